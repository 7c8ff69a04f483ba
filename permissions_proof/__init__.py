"""The proof of least privilege: what the roles are granted, held against what they use."""
