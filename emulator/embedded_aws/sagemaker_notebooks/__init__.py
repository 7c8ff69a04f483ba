"""The notebook simulator: SageMaker's notebook instances, with their timing and faults."""
