"""The few ways in which zoo says no, and how what others said is passed on."""


def one_line(text: str, limit: int = 300) -> str:
    """A stranger's text as one printable line: no control characters, no bidi overrides, no lone surrogates.

    >>> one_line("a\\nb \\x1b[31m")
    'a b ?[31m'
    """
    short = " ".join(text[: 8 * limit].split())
    return "".join(c if c.isprintable() else "?" for c in short)[:limit]


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
