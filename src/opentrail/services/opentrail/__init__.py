"""What AWS has no API for: OpenTrail's own service, signed, authorised and recorded like any other."""

from pathlib import Path

MODEL_PATH = Path(__file__).parent / "model"
"""Where this service's botocore-format model is, in botocore's folder layout."""
