"""What a task may hold, by name, and the label access that this amounts to; how its source model may be trained.

Imports nothing: listing reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

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


def trained(source_model: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a method's `source_model` changes in the budget of the source model and in the options of its network.

    >>> trained({"label_smoothing": 0.1, "weight_norm": True})
    ({'label_smoothing': 0.1}, {'weight_norm': True})
    """
    parts = ({"label_smoothing"}, {"weight_norm"})
    budget, backbone = ({k: v for k, v in source_model.items() if k in part and v} for part in parts)
    return budget, backbone


def untrainable(source_model: dict[str, Any], needs: Iterable[str]) -> str:
    """Why a source model cannot be trained as a method's `source_model` says, or an empty text.

    >>> untrainable({"label_smoothing": 1.5}, {"model"})
    'label_smoothing is a float from 0.0 to below 1.0, got 1.5'
    """
    if source_model and "model" not in set(needs):
        return "it gets none, as its needs do not name 'model'"
    if odd := source_model.keys() - {"label_smoothing", "weight_norm"}:
        return f"there are label_smoothing and weight_norm, not {sorted(map(repr, odd))[0]}"
    smoothing, normed = source_model.get("label_smoothing", 0.0), source_model.get("weight_norm", False)
    if not isinstance(smoothing, float) or not 0 <= smoothing < 1:
        return f"label_smoothing is a float from 0.0 to below 1.0, got {smoothing!r}"
    return "" if isinstance(normed, bool) else f"weight_norm is True or False, got {normed!r}"
