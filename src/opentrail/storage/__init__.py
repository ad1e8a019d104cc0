"""THE BUCKET: what OpenTrail itself needs of an object store, and boto3 behind it."""
