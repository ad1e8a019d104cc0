"""JOURNAL TO BUCKET: windows, plans, log files, and the courier that carries them."""
