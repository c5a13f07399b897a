"""Seeds from names. A file of its own, so that code which only draws does not depend on all that a Task can do."""

from __future__ import annotations

import hashlib


def derive(*parts: object) -> int:
    """A 63-bit seed from any printable parts; the same on every machine.

    >>> derive("split", "digits", 0) == derive("split", "digits", 0) != derive("split", "digits", 1)
    True
    """
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
