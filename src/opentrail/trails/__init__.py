"""WHAT TO KEEP: trails, and which records they take."""
