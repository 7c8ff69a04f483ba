"""A response URL without its signature."""

URL = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/reply"
