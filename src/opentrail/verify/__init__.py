"""THE CHECKER: whether log files and digest files in a bucket are what was delivered, nothing less and nothing more.

A stranger to the writer: it shares no code with delivery, knows only the published formats (cloudtrail fact sheet 3 and
5), and reads any bucket, AWS's or ours. Judging is pure (``keys``, ``digest``, ``inflate``, ``log_files``, ``chain``,
``coverage``); ``validation`` fetches and hands over.
"""
