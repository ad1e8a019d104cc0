"""Topics: what SNS keeps, decides and delivers, below its API (``services/sns``)."""
