"""What the peers need besides their own code: functions around the same calls of SageMaker's."""
