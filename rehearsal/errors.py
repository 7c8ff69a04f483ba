"""Why a rehearsal ends before its story does."""


class RehearsalError(Exception):
    """AWS or the platform did something unexpected. The message describes it."""


class OutOfTimeError(RehearsalError):
    """A step or the whole run reached its time limit."""
