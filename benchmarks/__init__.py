"""Measure the platform and the alternatives that people use today: `make bench`."""
