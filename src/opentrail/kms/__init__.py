"""Keys of KMS: what they are, where they are kept, what they encrypt, and who may use them."""
