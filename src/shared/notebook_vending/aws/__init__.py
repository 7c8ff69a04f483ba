"""One module for each AWS service that is called, under the name boto3 has for it."""
