"""The platform on the embedded AWS: the story of `make launch`, and an AWS to use (`make aws`)."""
