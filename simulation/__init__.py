"""The platform and the AWS around it in this process, on a clock that jumps."""
