"""The functions: each parses its event, calls the domain, returns."""
