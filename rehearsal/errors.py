"""Why a rehearsal ends before its story does."""


class RehearsalError(Exception):
    """AWS or the platform did something that the story does not expect; the text says what."""


class OutOfTimeError(RehearsalError):
    """A step or the whole run reached its time limit."""
