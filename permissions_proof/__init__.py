"""The proof of least privilege: compares the permissions of the roles with their use."""
