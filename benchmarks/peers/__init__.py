"""The functions that the peers need in addition to their own code, with the same calls."""
