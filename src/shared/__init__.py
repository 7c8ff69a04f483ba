"""The domain, and one module for each AWS service that is spoken to."""
