"""Both SageMaker SDKs on the files and the policies of a launch: `make sdk`."""
