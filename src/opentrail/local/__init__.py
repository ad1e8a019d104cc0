"""EMBEDDED PARTS: the servers that OpenTrail brings along, how each is configured, hardened and started."""
