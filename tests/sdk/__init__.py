"""`make sdk`: both SageMaker SDKs with the files and the policies of a launch."""
