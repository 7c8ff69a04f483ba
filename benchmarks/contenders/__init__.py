"""What serves the launches: this platform, and its peers."""
