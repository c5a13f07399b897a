"""Texts: words counted anew for each pair, or what a pretrained encoder makes of them.

``features: tfidf`` (the default) are scikit-learn's `TfidfVectorizer` of words and pairs of words, its other settings
as they come. Its vocabulary and weights are those of the pair's training parts: what the source trains on and what the
target adapts to, without labels. Nothing of it is chosen by accuracy. It is a sparse matrix that stays one.
With ``net: hf:...`` base learners see the encoder's features, and networks stand on them, or train it with
``trainable: all`` or ``top:N``.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import source
from zoo.data import _cache
from zoo.errors import BadInput
from zoo.kinds._rows import training_rows
from zoo.kinds.base import Data, Domain, Draws, Pair, origins
from zoo.kinds.samples import Protocol, Samples

if TYPE_CHECKING:
    from zoo.bench.suite import Suite


class Text(Samples):
    """Sentences or documents."""

    protocols = ("holdout", "transductive")  # the weights of words are those of all of a target

    def features(self, suite: Suite) -> str:
        return "frozen" if suite.encodes else "tfidf"

    def check(self, suite: Suite) -> None:
        super().check(suite)
        if suite.features not in (("frozen", "source") if suite.encodes else ("tfidf",)):
            how = "tfidf, or with net: hf:FOLDER frozen"
            raise BadInput(f"features: {suite.features}: {suite.dataset} holds texts, which have features: {how}")
        if "zscore" in suite.normalise and not suite.encodes:
            raise BadInput("normalise: zscore would make the sparse counts of words dense: l1 and l2 keep them sparse")
        if suite.normalise and suite.trainable != "head" and suite.encodes:
            raise BadInput(f"normalise: {', '.join(suite.normalise)}: an encoder that trains reads tokens, not numbers")

    def fits(self, suite: Suite, shape: tuple[int, ...]) -> None:
        """Any network stands on vectors; those for images cannot."""
        if suite.network is not None and suite.network.smallest:
            raise BadInput(f"net {suite.net}: takes images, but samples of {suite.dataset} are texts")

    def damaged(self, X: Any) -> int | None:
        return None

    def domain(self, suite: Suite, name: str, X: Any, y: np.ndarray, classes: list[str], device: str) -> Domain:
        texts = [str(t) for t in X]
        key = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
        if not suite.encodes:
            return Domain.build(name, np.array(texts, dtype=object), y, classes, key=f"texts {key}")
        encoder: Any = importlib.import_module("zoo.nets._hf")
        Z = embedded(encoder, suite.net, texts, key, device)
        if suite.trainable == "head":
            return Domain.build(name, Z, y, classes, key=f"texts {key} {encoder.content(suite.net)}")
        return Domain.build(name, encoder.tokens(suite.net, texts), y, classes, key=f"texts {key}", frozen=Z)

    def draws(self, suite: Suite, data: Data) -> Draws:
        return Protocol(suite, data) if suite.encodes else Words(suite, data)


class Words(Draws):
    """The protocol over counts of words, whose vocabulary and weights are those of a pair's training parts."""

    def __init__(self, suite: Suite, data: Data) -> None:
        super().__init__(suite, data)
        self._pairs = lru_cache(maxsize=4)(self._pair)

    def pair(self, source: str | None, target: str, seed: int, base: bool = False) -> Pair:
        return self._pairs(source, target, seed)

    def _pair(self, source: str | None, target: str, seed: int) -> Pair:
        from sklearn.feature_extraction.text import TfidfVectorizer

        domains = {name: self.data.source(name) for name in origins(source)} | {target: self.data.target(target)}
        parts = [d.X[training_rows(self.suite, d, seed)] for d in domains.values()]
        made = TfidfVectorizer(ngram_range=(1, 2))
        try:
            made.fit(np.concatenate(parts))
        except ValueError:  # an empty vocabulary
            raise BadInput(f"{self.suite.dataset}: no text of {', '.join(domains)} holds a word") from None
        counted = {name: replace(d, X=made.transform(d.X).astype(np.float32).tocsr()) for name, d in domains.items()}
        return Protocol(self.suite, replace(self.data, domains=counted, sources={}, targets={})).pair(
            source, target, seed
        )


def embedded(encoder: Any, net: str, texts: list[str], key: str, device: str) -> np.ndarray:
    """Features [n, width] of texts by an encoder, from the cache where they are there."""
    code = source.code_hash(source.ROOT / "nets" / "_hf.py")
    made_of = (key, encoder.content(net), code)
    width = encoder.width(net)

    def fill(whole: np.ndarray) -> None:
        print(f"extracting features of {len(texts)} texts with {net}", file=sys.stderr)
        whole[:] = encoder.embedded(net, texts, device)

    name = hashlib.sha256(repr(made_of).encode()).hexdigest()
    return np.array(_cache.array("features", name, (len(texts), width), np.float32, fill))
