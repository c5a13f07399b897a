"""Label sets: which classes the two sides of a pair share, and which one side alone has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

OPEN = frozenset({"open", "universal"})  # under which a target has classes that are unknown


@dataclass(frozen=True)
class Sets:
    """The classes of a pair, sorted.

    >>> print(Sets.of({0, 1, 2}, {1, 3}))
    shared 1, source only 2, target only 1
    """

    shared: tuple[Any, ...]
    source_only: tuple[Any, ...]
    target_only: tuple[Any, ...]

    @classmethod
    def of(cls, source: set[Any], target: set[Any]) -> Sets:
        return cls(*(tuple(sorted(part)) for part in (source & target, source - target, target - source)))

    @property
    def counts(self) -> dict[str, int]:
        """How many classes each of the three holds, as run.json says it."""
        return {"shared": len(self.shared), "source_only": len(self.source_only), "target_only": len(self.target_only)}

    @property
    def setting(self) -> str:
        """The narrowest of `label_sets` that these classes fit.

        >>> Sets.of({0, 1, 2}, {0, 1}).setting, Sets.of({0, 1}, {0, 1, 2}).setting
        ('partial', 'open')
        """
        if not self.target_only:
            return "partial" if self.source_only else "closed"
        return "universal" if self.source_only else "open"

    def __str__(self) -> str:
        return said(self.counts)


def said(counts: dict[str, int]) -> str:
    """Counts of classes in words.

    >>> said({"shared": 25, "source_only": 6, "target_only": 3})
    'shared 25, source only 6, target only 3'
    """
    return ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in counts.items())


def lines(of: Iterable[tuple[str, dict[str, int]]]) -> list[str]:
    """Pairs and their counts of classes, a line each; one for all where they are alike.

    >>> lines([("a:b", {"shared": 2}), ("b:a", {"shared": 2})])
    ['all pairs: shared 2']
    """
    alike: dict[str, list[str]] = {}
    for pair, counts in of:
        alike.setdefault(said(counts), []).append(pair)
    if len(alike) == 1 and len(pairs := next(iter(alike.values()))) > 1:
        pairs[:] = ["all pairs"]
    return [f"{', '.join(pairs)}: {text}" for text, pairs in alike.items()]


def between(classes: dict[str, set[Any]]) -> dict[str, dict[str, int]]:
    """Counts of the classes of every two domains that have some, in either direction."""
    pairs = ((s, t) for s in classes for t in classes if s != t and classes[s] and classes[t])
    return {f"{s}:{t}": Sets.of(classes[s], classes[t]).counts for s, t in pairs}
