"""The platform beside what people use today, measured: `make bench`."""
