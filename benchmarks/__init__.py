"""The platform beside what people use today, measured: see docs/benchmarks.md."""
