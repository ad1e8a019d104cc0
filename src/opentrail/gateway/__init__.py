"""BYTES TO BYTES: from a request's bytes to a recorded reply."""
