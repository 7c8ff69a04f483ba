"""The contenders that process the launches: this platform, and its peers."""
