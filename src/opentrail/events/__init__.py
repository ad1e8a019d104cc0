"""WHAT HAPPENED: from a call and its outcome to the bytes of an event record. Pure: no I/O, threads or logging."""
