"""Random small csv and npz pairs as people write them, and what NumPy, pandas and scikit-learn make of them by hand.

Nothing here is zoo's: a pair is drawn, written in some dialect with some troubles, and read again by pandas or NumPy,
told the dialect that it was written in.
"""

import unicodedata
from dataclasses import dataclass, field

import numpy as np
from sklearn.linear_model import LogisticRegression

CLASSES = {
    "int": lambda c: c,
    "one": lambda c: c + 1,
    "signed": lambda c: 2 * c - 1,
    "huge": lambda c: 10**12 + c,
    "01": lambda c: f"0{c + 1}",
    "1.0": lambda c: f"{c + 1}.0",
    "1e0": lambda c: f"{c + 1:.3e}",
    "+1": lambda c: f"+{c + 1}",
    "padded": lambda c: f" {c + 1} ",
    "word": lambda c: ["cat", "dog", "owl", "bee"][c],
    "accent": lambda c: ["été", "naïve", "Ω", "日本"][c],
    "decomposed": lambda c: unicodedata.normalize("NFD", ["été", "naïve", "Ω", "日本"][c]),
    "comma": lambda c: ["a, b", "c;d", 'say "x"', "e f"][c],
    "NA": lambda c: ["NA", "None", "nan", "null"][c],
    "case": lambda c: ["a", "A", "b", "B"][c],
    "yes": lambda c: ["no", "yes", "maybe", "?"][c],
    "mixed": lambda c: ["1", "2", "x", "y"][c],
    "real": lambda c: c + 0.5,
}
ONES = ("one", "01", "1.0", "1e0", "+1", "padded")  # the same classes, written differently


class NoFigure(Exception):
    """By hand there is no figure either."""


@dataclass
class Pair:
    """Two files, the suite on them, and a reading by hand."""

    form: str
    suite: dict
    read: list  # of each domain: a function that gives its features as float64 [n, d], NaN where missing, and labels
    said: list = field(default_factory=list)  # what was drawn, in words


def names(labels):
    """Labels as text: equal numbers are one, truth is 1 and 0, blank is none."""
    texts = []
    for v in labels:
        if isinstance(v, bytes):
            v = v.decode()
        if isinstance(v, bool | np.bool):
            v = int(v)
        none = v is None or (isinstance(v, float | np.floating) and np.isnan(v))
        texts.append("" if none else unicodedata.normalize("NFC", str(v)).strip())
    kept = {t.lower() for t in texts if t}
    if kept <= {"true", "false", "0", "1"}:
        texts = [{"true": "1", "false": "0"}.get(t.lower(), t) for t in texts]
    found = []
    for t in texts:
        try:
            x = float(t) if t.lower() not in ("nan", "inf", "infinity") and "_" not in t else None
        except ValueError:
            x = None
        found.append(None if not t else str(int(x)) if x is not None and np.isfinite(x) and x == int(x) else t)
    return found


# What is drawn --------------------------------------------------------------------------------------------------------


def drawn(rng):
    """Samples of two domains [n, d] and their classes from 0."""
    n = [int(rng.choice([3, 6, 10, 20, 40, 60], p=[0.03, 0.07, 0.2, 0.3, 0.2, 0.2])) for _ in range(2)]
    d, k = int(rng.integers(1, 7)), int(rng.choice([2, 3, 4], p=[0.6, 0.25, 0.15]))
    means = 2 * rng.normal(size=(k, d))
    scale = 10.0 ** rng.integers(-2, 3, d) if rng.random() < 0.3 else np.ones(d)
    found = []
    for i in range(2):
        c = rng.permutation(np.arange(n[i]) % k)
        X = (means[c] + rng.normal(size=(n[i], d)) + i * rng.normal(size=d)) * scale
        found.append((np.round(X, int(rng.integers(1, 6))), c))
    return found, k


def kinds(rng, k, said):
    """How the classes of either domain are written."""
    kind = str(rng.choice([c for c in CLASSES if k == 2 or c != "yes"]))
    if rng.random() < 0.1 and k == 2:
        both = [str(v) for v in rng.choice(["bool", "int"], 2)]
    elif kind in ONES:
        both = [str(v) for v in rng.choice(ONES, 2)]
    elif kind in ("accent", "decomposed"):
        both = [str(v) for v in rng.choice(["accent", "decomposed"], 2)]
    else:
        both = [kind, kind]
    said.append("labels " + "/".join(dict.fromkeys(both)))
    write = CLASSES | {"bool": lambda c: bool(c)}
    return [write[b] for b in both]


def lost(rng, labels, said):
    """Classes that a domain lacks, or has alone."""
    what = str(rng.choice(["", "source", "target", "one"], p=[0.88, 0.05, 0.05, 0.02]))
    if not what:
        return [np.ones(len(c), bool) for c in labels]
    said.append(f"a class missing in {what}")
    keep = [np.ones(len(c), bool) for c in labels]
    i = what == "target"
    keep[i] = labels[i] == 0 if what == "one" else labels[i] != 0
    return keep


def options(rng, said):
    """Keys of the suite beside the data."""
    more = {}
    if rng.random() < 0.4:
        more["normalise"] = [str(rng.choice(["zscore", "l2", "l1"]))]
        said.append(f"normalise {more['normalise'][0]}")
    return more


# The figure -----------------------------------------------------------------------------------------------------------


def figure(pair):
    """Accuracies by hand that an order of the rows and a rounding to float32 can give, and the samples they are of."""
    reads = pair.read[:2]
    (Xs, ys), (Xt, yt) = (read() for read in reads)
    ys, yt = names(ys), names(yt)
    raw = (Xs, ys), (Xt, yt)
    if "-1" in yt and "-1" not in ys and len(set(yt) - {"-1", None}) > 1 and set(yt) - {"-1", None} <= set(ys):
        yt = [None if v == "-1" else v for v in yt]
    if "-1" in ys and "-1" not in yt and len(set(ys) - {"-1", None}) > 1 and set(ys) - {"-1", None} <= set(yt):
        ys = [None if v == "-1" else v for v in ys]
    for X, y in ((Xs, ys), (Xt, yt)):
        if not len(X) or not X.shape[1] or not any(y):
            raise NoFigure("nothing there")
    if Xs.shape[1] != Xt.shape[1]:
        raise NoFigure("unequal widths")
    missing = [float(m) for m in pair.suite["data"].get("missing", []) if str(m).lstrip("-").isdigit()]
    Xs, Xt = (prepared(X, missing, pair.suite) for X in (Xs, Xt))
    if not (np.isfinite(Xs).all() and np.isfinite(Xt).all()):
        raise NoFigure("not finite")
    if not set(filter(None, yt)) <= set(filter(None, ys)) or len(set(filter(None, ys))) < 2:
        raise NoFigure("classes")
    here, there = np.array([v is not None for v in ys]), np.array([v is not None for v in yt])
    Xs, ys = Xs[here], np.array(ys, object)[here].astype(str)
    Xt, yt = Xt[there], np.array(yt, object)[there].astype(str)
    found = []
    mixed = np.random.default_rng(0).permutation(len(Xs))
    for order, kind in ((np.arange(len(Xs)), np.float64), (mixed, np.float32)):
        model = LogisticRegression(C=1.0, max_iter=1000).fit(Xs[order].astype(kind).astype(float), ys[order])
        found.append(model.predict_proba(Xt))
    right = np.array([model.classes_[p.argmax(1)] == yt for p in found])
    chance = np.array([p[np.arange(len(yt)), np.searchsorted(model.classes_, yt)] for p in found])
    top = np.sort(found[0], 1)
    unsure = ((right != right[0]).any(0) | (top[:, -1] - top[:, -2] < 1e-4)).sum()
    return right[0].mean(), unsure / len(yt), chance, raw


def prepared(X, missing, suite):
    """Missing values filled and features normalised by what the domain itself holds."""
    X = np.where(np.isin(X, missing), np.nan, X) if missing else X.copy()
    how = suite["data"].get("impute")
    if how and np.isnan(X).any():
        with np.errstate(all="ignore"):
            fill = {"mean": np.nanmean, "median": np.nanmedian}[how](X, axis=0)
        X = np.where(np.isnan(X), fill, X)
    for norm in suite.get("normalise", []):
        if norm == "zscore":
            spread = X.std(0)
            X = (X - X.mean(0)) / np.where(spread > 0, spread, 1)
        else:
            size = np.linalg.norm(X, 1 if norm == "l1" else 2, axis=1, keepdims=True)
            X = X / np.where(size > 0, size, 1)
    return X
