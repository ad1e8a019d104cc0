"""WHO CALLS: principals, credentials, bucket owners and the policies that decide."""
