"""The domain of notebook vending, and one module for each AWS service that it calls."""
