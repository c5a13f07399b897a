"""The stream of a target: which domains it is made of, the order of its samples, its batches, and its own metric.

The order is drawn from the target's secret and the seed. What it tells of the labels (``by_class``) is what the suite
asked for, and reaches a method no earlier than its samples do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo import streams
from zoo.errors import BadInput
from zoo.graph import stacked
from zoo.kinds.base import Domain
from zoo.secret import Secret

if TYPE_CHECKING:
    from zoo.bench.suite import Suite

LAST = 0.1  # share of the stream that `accuracy_last` is of


def joined(name: str, domains: list[Domain]) -> Domain:
    """Several domains as one target, of which each sample knows where it came from."""
    for d in domains:
        if d.graph is not None or d.groups is not None:
            raise BadInput(f"target {name}: domains of graphs and of series are no parts of one stream")
    many = [d.X.shape[0] for d in domains]
    offsets = np.cumsum([0, *(int(d.rows.max(initial=-1)) + 1 for d in domains)])
    frozen = None if any(d.frozen is None for d in domains) else stacked([d.frozen for d in domains])
    return Domain(
        name,
        stacked([d.X for d in domains]),
        np.concatenate([d.y for d in domains]),
        np.concatenate([d.rows + k for d, k in zip(domains, offsets, strict=False)]),
        Secret.of("joined", *(d.secret.generator("joined").bytes(32) for d in domains)),
        frozen,
        notes=tuple(dict.fromkeys(note for d in domains for note in d.notes)),
        levels=domains[0].levels,
        parts=np.repeat(np.arange(len(domains)), many),
    )


def targets(suite: Suite, pairs: list[tuple[str, str]], domains: dict[str, Domain]) -> dict[str, Domain]:
    """Domains with those that several of them make as one target.

    Raises
    ------
    BadInput
        A target's samples lack labels, or are of one domain and are to come ``by_domain``.
    """
    if suite.protocol != streams.NAME:
        return domains
    found = dict(domains)
    for target in dict.fromkeys(t for _, t in pairs):
        own = streams.parts(target)
        for name in own:
            if n := len(domains[name].unlabelled):
                why = f"{n} samples have no label, and every sample of a stream is scored: leave them out"
                raise BadInput(f"{suite.source.place(name) or suite.dataset}: domain {name}: protocol: stream: {why}")
        if len(own) > 1:
            found[target] = joined(target, [domains[name] for name in own])
        one = (p := found[target].parts) is None or not len(p) or p.min() == p.max()
        if suite.order == "by_domain" and one:
            how = f"write the domains that come one after another, such as {suite.source.domains[0]}:a+b"
            raise BadInput(f"order: by_domain: target {target} is one domain; {how}")
    return found


def arrival(order: str, domain: Domain, seed: int) -> np.ndarray:
    """Rows of a target in the order in which they arrive.

    ``shuffled``: any order. ``by_class``: one class after another, in an order that is drawn. ``by_domain``: one domain
    after another, in the order in which they are named. Within a class, or a domain, any order.
    """
    generator = domain.secret.generator("stream", order, seed)
    drawn = generator.permutation(len(domain.y))
    if order == "shuffled":
        return drawn
    if order == "by_domain":
        assert domain.parts is not None
        key = domain.parts
    else:
        key = generator.permutation(int(domain.strata.max(initial=0)) + 1)[domain.strata]
    found: np.ndarray = drawn[np.argsort(key[drawn], kind="stable")]
    return found


def batches(n: int, size: int) -> list[np.ndarray]:
    """The places of n samples by batches; a last one of a single sample, which has no variance, joins the one before.

    >>> [len(b) for b in batches(10, 4)], [len(b) for b in batches(9, 4)]
    ([4, 4, 2], [4, 5])
    """
    cuts = list(range(size, n - 1, size))
    return np.split(np.arange(n), cuts)


def metrics(scores: np.ndarray, y: np.ndarray) -> dict[str, float | None]:
    """What is said of a stream beside the metrics of all of it: the accuracy over its last tenth."""
    if not len(y):
        return {"accuracy_last": None}
    last = slice(-max(1, round(LAST * len(y))), None)
    return {"accuracy_last": float((scores[last].argmax(1) == y[last]).mean())}
