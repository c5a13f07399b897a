"""What domains are beside each other: the same samples, other scales, classes that differ by a slip of the pen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from zoo.data import _labels
from zoo.errors import BadInput
from zoo.graph import Graph, is_sparse

UNLABELLED = "-1"  # as scikit-learn and many data sets mark samples without a label
SMALL, LARGE, UNEVEN, APART = 1e-3, 1e5, 1e6, 50.0
Raw = dict[str, tuple[Any, np.ndarray]]


def checked(
    raw: Raw, files: Mapping[str, str], normalise: Sequence[str], split: bool, classes: bool = True
) -> tuple[Raw, dict[str, list[str]]]:
    """Domains as they are to be used, and what is to be said of each.

    Parameters
    ----------
    files : where each domain comes from
    split : whether a column separates them, so that samples that stand in two are only noted
    classes : whether labels are classes, and no values

    Raises
    ------
    BadInput
        Two hold the same samples, or images of other ranges; classes that differ in case only.
    """
    notes: dict[str, list[str]] = {name: [] for name in raw}
    raw = _labelled(raw, notes, classes)
    for one, other in combinations(raw if classes else (), 2):
        mine, theirs = (set(raw[d][1].tolist()) - {""} for d in (one, other))
        if near := _labels.alike(theirs, mine):
            raise BadInput(
                f"data: domains: {other}: {files[other]}: classes differ only in case from those of {files[one]}, such "
                f"as {near[0]} and {near[1]}: write them alike"
            )
    raw = _images_alike(raw, notes)
    _apart(raw, notes, split)
    _scales(raw, notes, normalise)
    return raw, notes


def _labelled(raw: Raw, notes: dict[str, list[str]], by_class: bool) -> Raw:
    """Which samples have no label: -1 is none where other domains have the same classes without it."""
    classes = {name: set(labels.tolist()) - {""} for name, (_, labels) in raw.items()}
    known = set().union(*(c for c in classes.values() if UNLABELLED not in c))
    found: Raw = {}
    for name, (X, labels) in raw.items():
        others = classes[name] - {UNLABELLED}
        if by_class and UNLABELLED in classes[name] and len(others) > 1 and others <= known:
            labels = np.where(labels == UNLABELLED, "", labels)
        n = int((labels == "").sum())
        if n and n == len(labels):
            notes[name].append(
                'no sample has a label: as a target it is adapted to and not scored ("–"), and no row is ranked by it; '
                "zoo predict DIR --method NAME --out FILE writes what is predicted of it"
            )
        elif n:
            notes[name].append(
                f"{n} of {len(labels)} samples have no label: as a target's they are adapted to and not scored, as a "
                "source's left out"
            )
        found[name] = (X, labels)
    return found


def _images_alike(raw: Raw, notes: dict[str, list[str]]) -> Raw:
    """Images of float in 0..255 as those in 0..1 beside which they stand."""
    tops = {n: (float(X.min()), float(X.max())) for n, (X, _) in raw.items() if _is_images(X)}
    unit = [n for n, (low, high) in tops.items() if low >= 0 and high <= 1]
    for name, (low, high) in tops.items():
        if not unit or name in unit or high <= 2:
            continue
        if low < 0 or high > 255:
            raise BadInput(
                f"x: images of {name} are in {low:g} to {high:g}, those of {unit[0]} in 0 to 1 (bytes are divided by "
                "255): scale them alike"
            )
        raw[name] = (raw[name][0] / np.float32(255), raw[name][1])
        notes[name].append(f"images in {low:g} to {high:g} were divided by 255, as those of {unit[0]} are in 0 to 1")
    return raw


def _is_images(X: Any) -> bool:
    return not isinstance(X, Graph) and not is_sparse(X) and X.ndim == 4 and X.dtype != np.uint8 and X.size > 0


def _apart(raw: Raw, notes: dict[str, list[str]], split: bool) -> None:
    """Refuse domains that hold the same samples with the same labels."""
    digests = {n: _digests(X, labels) for n, (X, labels) in raw.items() if not isinstance(X, Graph)}
    for one, other in combinations(digests, 2):
        mine, theirs = digests[one], digests[other]
        common = (mine & theirs).total()
        least = min(mine.total(), theirs.total())
        telling = min(len(mine) / mine.total(), len(theirs) / theirs.total()) > 0.5 or common == max(
            mine.total(), theirs.total()
        )
        if not common or not telling:
            continue
        said = f"{common} of the {least} samples of {one if mine.total() == least else other}"
        # Rows of few words may well be alike: of sparse samples it is only said.
        if common * 2 >= least >= 4 and not split and not is_sparse(raw[one][0]):
            raise BadInput(
                f"data: domains: {one} and {other} hold the same samples ({said}), so that a method is trained on what "
                "it is tested on: give each its own"
            )
        notes[other].append(f"{said} stand, with their labels, in both {one} and {other}")


def _digests(X: Any, labels: np.ndarray) -> Counter[tuple[bytes, str]]:
    if is_sparse(X):
        ends = X.indptr
        rows = [X.indices[a:b].tobytes() + X.data[a:b].tobytes() for a, b in pairwise(ends)]
    else:
        few = X[:, :, ::16, ::16] if X.dtype == np.uint8 and X.ndim == 4 else X  # photographs lie on the disk
        rows = [str(x).encode() for x in X] if X.dtype == object else [row.tobytes() for row in few]  # texts
    return Counter(zip(rows, labels.tolist(), strict=True))


def _scales(raw: Raw, notes: dict[str, list[str]], normalise: Sequence[str]) -> None:
    """Say where features are of a size to which methods are blind, or of another than the other domain's."""
    if normalise:
        return
    spreads: dict[str, float] = {}
    for name, (X, _) in raw.items():
        if isinstance(X, Graph) or is_sparse(X) or X.ndim != 2 or len(X) < 2:
            continue
        with np.errstate(invalid="ignore", over="ignore"):
            each = np.nanstd(X.astype(np.float64), axis=0)
        each = each[each > 0]
        if not len(each):
            continue
        spreads[name] = top = float(each.max())
        advice = "methods that measure distances or shrink weights are blind to such: normalise: [zscore]"
        if top < SMALL or each.min() > LARGE:
            notes[name].append(f"features vary by {top:.2g}; {advice}")
        elif top / each.min() > UNEVEN:
            notes[name].append(f"features vary by {each.min():.2g} to {top:.2g}; {advice}")
    for one, other in combinations(spreads, 2):
        if not 1 / APART < spreads[one] / spreads[other] < APART:
            notes[other].append(
                f"features vary by up to {spreads[other]:.2g}, those of {one} by {spreads[one]:.2g}: are the units the "
                "same? if not, scale them alike, or normalise: [zscore]"
            )
