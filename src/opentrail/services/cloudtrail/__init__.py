"""AWS CloudTrail's API."""
