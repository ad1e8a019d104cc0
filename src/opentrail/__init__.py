"""OpenTrail: CloudTrail you can run yourself."""
