"""The peers' functions, written as each peer's documentation shows it."""
