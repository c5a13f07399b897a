"""What seeds permutations, splits, folds and labelled draws: a digest that the driver alone knows."""

from __future__ import annotations

import hashlib
import hmac
from functools import cached_property
from typing import NoReturn

import numpy as np


class Secret:
    """A digest of samples and their labels, from which all is drawn that would tell labels to whoever could draw it.

    It is neither printed nor pickled, so that no message, record or file can hold it by accident. What may be written
    is `content`, from which there is no way back.

    >>> Secret.of("a domain", np.arange(3))
    Secret(…)
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, *parts: object) -> Secret:
        """From arrays, and from what prints alike on every machine.

        Not the digest that run.json held before there was a secret: those of known data sets have been published.
        """
        found = hashlib.sha256(b"zoo secret")
        for part in parts:
            if isinstance(part, np.ndarray):
                found.update(repr((part.shape, part.dtype.str)).encode())
                found.update(np.ascontiguousarray(part).data)
            else:
                found.update(repr(part).encode())
        return cls(found.digest())

    @cached_property
    def content(self) -> str:
        """What run.json, records and ids carry: equal for equal data, and telling nothing else."""
        return self._drawn("content").hex()

    def generator(self, *purpose: object) -> np.random.Generator:
        """Random numbers for one purpose, such as ``"split", seed``; those for another tell nothing of them.

        >>> secret = Secret.of("a domain", np.arange(3))
        >>> draws = [secret.generator("split", seed).random() for seed in (0, 1, 0)]
        >>> draws[0] == draws[2] != draws[1]
        True
        """
        return np.random.default_rng(int.from_bytes(self._drawn("generator", *purpose), "big"))

    def _drawn(self, *purpose: object) -> bytes:
        return hmac.digest(self._key, repr(purpose).encode(), "sha256")

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a domain's secret stays in the driver: it cannot be pickled or copied")
