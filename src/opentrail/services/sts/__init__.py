"""AWS STS's API."""
