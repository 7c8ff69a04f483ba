"""The notebook simulator: SageMaker's notebook instances, over time and with their faults."""
