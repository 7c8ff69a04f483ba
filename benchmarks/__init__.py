"""What the platform costs in time, calls and size: `make bench`."""
