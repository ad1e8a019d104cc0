"""S3 Lifecycle: rules of buckets, what they say of a version, carrying it out, and the archive."""
