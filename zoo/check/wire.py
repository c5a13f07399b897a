"""What a method's process may say: JSON and raw arrays of numbers. Nothing is unpickled, nothing is believed."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np

LIMIT = 1 << 26  # bytes of one message
KINDS = ("<f8", "<i8", "|b1")
HEAD = struct.Struct("<QI")  # bytes that follow, and how many of them are JSON


class Malformed(Exception):
    """Bytes that are no message."""


def encode(message: dict[str, Any]) -> bytes:
    """A message as bytes; values are JSON, or arrays at the top level.

    >>> bytes_ = encode({"n": 1, "scores": np.eye(2)})
    >>> decode(bytes_[HEAD.size :], sizes(bytes_[: HEAD.size])[1])["scores"].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    arrays = {k: np.ascontiguousarray(v) for k, v in message.items() if isinstance(v, np.ndarray)}
    plain = {k: v for k, v in message.items() if k not in arrays}
    shapes = {k: [v.dtype.str, list(v.shape)] for k, v in arrays.items()}
    head = json.dumps([plain, shapes], allow_nan=False).encode()
    body = b"".join(v.tobytes() for v in arrays.values())
    return HEAD.pack(len(head) + len(body), len(head)) + head + body


def sizes(head: bytes) -> tuple[int, int]:
    """How many bytes follow a head, and how many of them are JSON.

    Raises
    ------
    Malformed
        More than a message may have.
    """
    total, n = HEAD.unpack(head)
    if not n <= total <= LIMIT:
        raise Malformed(f"a message of {total} bytes")
    return total, n


def decode(body: bytes, n: int) -> dict[str, Any]:
    """The message whose first `n` bytes are JSON; lengths, types and shapes are checked before anything is made.

    Raises
    ------
    Malformed
        Anything that `encode` would not have written.
    """
    try:
        plain, shapes = json.loads(body[:n])
        found, at = dict(plain), n
        for name, (kind, shape) in dict(shapes).items():
            if (
                kind not in KINDS
                or name in found
                or len(shape) > 4
                or not all(type(k) is int and k >= 0 for k in shape)
            ):
                raise Malformed("an array of an unknown kind")
            size = math.prod(shape) * np.dtype(kind).itemsize
            if size > len(body) - at:
                raise Malformed("an array longer than its message")
            found[name] = np.frombuffer(body, kind, math.prod(shape), at).reshape(shape)
            at += size
    except (ValueError, TypeError, RecursionError, UnicodeDecodeError) as e:
        raise Malformed(f"no message ({type(e).__name__})") from None
    if at != len(body):
        raise Malformed("bytes that belong to no array")
    return found
