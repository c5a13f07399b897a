"""Hashes of JSON values: the id of a cell, which is all that decides its result, and the digest of a record's line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

IDENTITY = (
    *("data", "source", "target", "setting", "method", "learner", "seed", "trial", "parameters", "suite", "code"),
)


def canonical(value: Any) -> str:
    """The hash of a JSON value; equal for equal values in any key order.

    >>> canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})
    True
    """
    return _sha256(value)[:16]


def cell_id(record: Mapping[str, Any]) -> str:
    """The id of the cell that a record says it is of; KeyError where it does not say all of `IDENTITY`.

    The number of a trial is none of it, since two trials with equal parameters are one cell: it is hashed as 0.
    """
    return canonical({key: record[key] for key in IDENTITY} | {"trial": 0})


def digest(record: Mapping[str, Any]) -> str:
    """The hash of all that a record holds but its digest.

    >>> digest({"cell": "ab", "digest": "whatever"}) == digest({"cell": "ab"})
    True
    """
    return _sha256({key: value for key, value in record.items() if key != "digest"})


def _sha256(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
