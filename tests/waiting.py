"""Waiting and unique names, shared with the embedded AWS's own tests."""

from aws_testing.waiting import await_that as await_that
from aws_testing.waiting import unique as unique
