"""The functions: each parses its event, calls shared, returns."""
