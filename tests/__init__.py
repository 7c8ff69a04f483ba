"""The tests: unit, integration with the embedded AWS, end to end on the deployed platform."""
