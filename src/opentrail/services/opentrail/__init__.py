"""What AWS has no API for: OpenTrail's own service, signed, authorised and recorded like any other."""
