"""The few ways in which zoo says no."""


class ZooError(Exception):
    """Base of all errors that zoo raises on purpose."""


class BadInput(ZooError):
    """What the user gave cannot be used: one line that says what, where, and what would be right."""


class Unsupported(ZooError):
    """A method cannot run in this suite; the reason becomes one line under the table."""


class LeakError(ZooError):
    """An adapter read a field that its ``needs`` does not name.

    Deliberately no AttributeError, so that ``getattr(task, "yt", None)`` cannot hide it.
    """


class Diverged(ZooError):
    """A loss became NaN or infinite."""
