"""What a task may hold, by name, and the label access that this amounts to. Imports nothing: listing reads it."""

from __future__ import annotations

from collections.abc import Iterable

FIELDS = ("Xs", "ys", "Xt", "Xl", "yl", "As", "At", "Fs", "Ft", "model", "yt", "ds")


def setting_of(needs: Iterable[str]) -> str:
    """The label access that a set of needs amounts to.

    >>> setting_of({"Xs", "ys", "Xt"}), setting_of({"model", "Xl", "yl"})
    ('unsupervised', 'source-free few-shot')
    """
    needs = set(needs)
    if "yt" in needs:
        name = "oracle"
    elif needs & {"Xl", "yl"}:
        name = "semi-supervised" if "Xt" in needs else "few-shot"
    else:
        name = "unsupervised" if "Xt" in needs else "none"
    return f"source-free {name}" if "model" in needs and "Xs" not in needs else name
