"""Pairs as they are written, beside SOURCE:TARGET: all of one form in one word; and those of single sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zoo.errors import BadInput
from zoo.kinds.base import origins

ALL, ONE = "all", "one"
LEAVE_ONE_OUT = f"{ALL}:{ONE}"
CHOOSING = ("info_max",)  # judge single sources where none is asked for: it compares fits of unlike sources
MEANING = f"{LEAVE_ONE_OUT} is each domain once the target, all others together its sources"


def expanded(given: Iterable[str], domains: Sequence[str]) -> list[str]:
    """Pairs as SOURCE:TARGET: ``all:one`` stands for each domain once the target, all others together its sources.

    A domain that is called so comes first.

    Raises
    ------
    BadInput
        One of the two words where it means nothing; one domain only.

    >>> expanded(["all:one", "a:b"], ["a", "b", "c"])
    ['b+c:a', 'a+c:b', 'a+b:c', 'a:b']
    """
    found: list[str] = []
    for text in given:
        source, _, target = text.partition(":")
        words = {source, target} & {ALL, ONE} - set(domains)
        if text == LEAVE_ONE_OUT and words:
            if len(domains) < 2:
                raise BadInput(f"pair {text!r}: {MEANING}: there is one domain, {domains[0]}")
            found += [f"{'+'.join(d for d in domains if d != one)}:{one}" for one in domains]
        elif words:
            raise BadInput(f"pair {text!r}: write SOURCE:TARGET; {MEANING}")
        else:
            found.append(text)
    return found


def crowded(source: str, batch_size: int) -> str:
    """Why batches cannot hold an equal part of each source, as methods that are told them apart need; '' if they can.

    >>> crowded("a+b", 64), crowded("a+b+c", 5)
    ('', 'needs two samples and more of each of 3 sources in a batch, and batch_size is 5')
    """
    k = len(origins(source))
    if k == 1 or batch_size // k > 1:
        return ""
    return f"needs two samples and more of each of {k} sources in a batch, and batch_size is {batch_size}"


def alone(sources: str, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs of one source each that a suite's ``sources: each`` has beside those of several; none are twice.

    >>> alone("each", [("a+b", "c"), ("a", "c")]), alone("pooled", [("a+b", "c")])
    ([('b', 'c')], [])
    """
    if sources != "each":
        return []
    parts = [(one, target) for source, target in pairs if len(origins(source)) > 1 for one in origins(source)]
    return [pair for pair in dict.fromkeys(parts) if pair not in pairs]
