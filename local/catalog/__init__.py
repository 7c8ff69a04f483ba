"""The Service Catalog simulator."""
