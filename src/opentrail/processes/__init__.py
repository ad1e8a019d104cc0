"""CHILDREN: child processes, started on free ports, watched, restarted with back-off, stopped by pid."""
