"""Random pairs of arrays as NumPy and SciPy save them: types, byte orders, layouts, labels, damage; read by NumPy."""

import numpy as np
import scipy.sparse as sp

from tests.own_pairs import NoFigure, Pair, drawn, kinds, lost, options

TYPES = ["f4", "f8", ">f4", ">f8", "f2", "i1", "u1", "i2", ">i4", "i8", "u8", "bool", "longdouble", "c16", "O", "U8"]
AXES = ["2", "F", "strided", "1", "transposed", "sparse"]
LABELS = ["as drawn", "column", "row", "one-hot", "object", "bytes", "float", ">i2", "short"]


def npz_pair(rng, folder):
    said = ["npz"]
    (sides, k), more = drawn(rng), options(rng, said)
    write = kinds(rng, k, said)
    keep = lost(rng, [c for _, c in sides], said)
    weights = np.array([4, 6, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5])
    dtype = str(rng.choice(TYPES, p=weights / weights.sum()))
    axes = str(rng.choice(AXES, p=[0.66, 0.1, 0.05, 0.05, 0.04, 0.1]))
    of_y = str(rng.choice(LABELS, p=[0.58, 0.1, 0.06, 0.03, 0.05, 0.05, 0.07, 0.03, 0.03]))
    way = str(rng.choice(["npz", "npy", "by", "keys"], p=[0.6, 0.15, 0.15, 0.1])) if axes != "sparse" else "npz"
    trouble = str(rng.choice(["", *ARRAYS], p=[0.6, *[0.4 / len(ARRAYS)] * len(ARRAYS)]))
    said += [dtype, f"axes {axes}", f"y {of_y}", way, *([trouble] if trouble else [])]
    x, y = [str(v) for v in [("X", "y"), ("data", "target"), ("fts", "labels"), ("one", "two")][rng.integers(4)]]
    keys, made = {"format": "npz"}, []
    for i, (X, c) in enumerate(sides):
        X, labels = X[keep[i]], [write[i](int(v)) for v in c[keep[i]]]
        made.append([*ARRAYS.get(trouble, lambda rng, i, X, y, keys, more: (X, y))(rng, i, X, labels, keys, more)])
    arrays = [(shaped(rng, typed(X, dtype), axes), labelled(labels, of_y)) for X, labels in made]
    if x == "one" or rng.random() < 0.2:
        keys |= {"x": x, "y": y}
    reads = saved(rng, folder, arrays, axes, way, x, y, keys)
    return Pair("npz", {"data": keys} | more, reads, said)


def typed(X, dtype):
    with np.errstate(all="ignore"):
        if dtype == "bool":
            return np.median(X) < X if X.size else X.astype(bool)
        if dtype.lstrip(">")[0] in "iu" and dtype != "O":
            least, most = (-120, 120) if "i" in dtype else (0, 250)
            return np.clip(np.nan_to_num(X * (10 if np.abs(X).max(initial=0) < 20 else 1)), least, most).astype(dtype)
        return X.astype(dtype)


def shaped(rng, X, axes):
    if axes == "sparse":
        numbers = X.astype(object).astype(str).astype(float) if X.dtype.kind == "U" else np.real(X)
        with np.errstate(all="ignore"):
            numbers = np.nan_to_num(numbers.astype(np.float64))
        return getattr(sp, f"{rng.choice(['csr', 'csc', 'coo'])}_matrix")(np.where(np.abs(numbers) < 0.5, 0, numbers))
    if axes == "strided":
        return np.repeat(X, 2, axis=1)[:, ::2]
    if axes == "1":
        return X[:, 0] if X.shape[1] else X
    return {"F": np.asfortranarray(X), "transposed": X.T}.get(axes, X)


def labelled(labels, of_y):
    y = np.array(labels) if labels else np.array([], int)
    if of_y == "object" or y.dtype == object:
        return y.astype(object)
    if of_y == "float" and y.dtype.kind in "biu":
        return y.astype(float)
    if of_y == ">i2" and y.dtype.kind in "iu" and np.abs(y).max(initial=0) < 30000:
        return y.astype(">i2")
    if of_y == "bytes" and y.dtype.kind == "U" and all(str(t).isascii() for t in y):
        return y.astype("S")
    if of_y == "one-hot":
        return (y[:, None] == np.unique(y)).astype(int)
    if of_y == "short":
        return y[:-1]
    return {"column": y[:, None], "row": y[None]}.get(of_y, y)


def saved(rng, folder, arrays, axes, way, x, y, keys):
    """Write the arrays in some way; returns how they are read by hand."""
    save = np.savez_compressed if rng.random() < 0.3 else np.savez
    if axes == "sparse":
        keys.pop("x", None), keys.pop("y", None)
        keys["domains"] = {}
        for name, (X, labels) in zip("ab", arrays, strict=True):
            sp.save_npz(folder / f"{name}.npz", X)
            np.save(folder / f"{name}_y.npy", labels, allow_pickle=True)
            keys["domains"][name] = [str(folder / f"{name}.npz"), str(folder / f"{name}_y.npy")]
        return [
            lambda n=n: by_hand(sp.load_npz(folder / f"{n}.npz").toarray(), loaded(folder / f"{n}_y.npy")) for n in "ab"
        ]
    if way == "npy":
        keys["domains"] = {}
        for name, both in zip("ab", arrays, strict=True):
            keys["domains"][name] = []
            for what, array in zip((x, y), both, strict=True):
                np.save(folder / f"{name}_{what}.npy", array, allow_pickle=True)
                keys["domains"][name].append(str(folder / f"{name}_{what}.npy"))
        return [lambda n=n: by_hand(*(loaded(folder / f"{n}_{what}.npy") for what in (x, y))) for n in "ab"]
    if way == "by" and arrays[0][0].shape[1:] == arrays[1][0].shape[1:] and arrays[0][1].ndim == 1:
        first, last = ("u", "v") if rng.random() < 0.5 else (3, 12)
        groups = np.repeat([first, last], [len(a[0]) for a in arrays])
        whole = {x: np.concatenate([a[0] for a in arrays]), y: np.concatenate([a[1] for a in arrays]), "domain": groups}
        save(folder / "all.npz", **whole)
        keys |= {"file": str(folder / "all.npz"), "by": "domain"}

        def part(value):
            X, labels, of = (loaded(folder / "all.npz", n) for n in (x, y, "domain"))
            if len(labels) != len(X):
                raise NoFigure("unequal")
            return by_hand(X[of == value], labels[of == value])

        return [lambda: part(first), lambda: part(last), [str(first), str(last)]]
    if way == "keys":
        named = {f"{w}_{n}": a for n, both in zip("ab", arrays, strict=True) for w, a in zip((x, y), both, strict=True)}
        save(folder / "all.npz", **named)
        keys |= {
            "file": str(folder / "all.npz"),
            "x": {n: f"{x}_{n}" for n in "ab"},
            "y": {n: f"{y}_{n}" for n in "ab"},
        }
        return [lambda n=n: by_hand(*(loaded(folder / "all.npz", f"{w}_{n}") for w in (x, y))) for n in "ab"]
    for name, (X, labels) in zip("ab", arrays, strict=True):
        save(folder / f"{name}.npz", **{x: X, y: labels})
    keys["domains"] = {n: str(folder / f"{n}.npz") for n in "ab"}
    return [lambda n=n: by_hand(*(loaded(folder / f"{n}.npz", what) for what in (x, y))) for n in "ab"]


def loaded(path, name=""):
    try:
        found = np.load(path, allow_pickle=False)
        return found[name] if name else found
    except ValueError as error:
        raise NoFigure(str(error)) from None


def by_hand(X, y):
    if X.dtype.kind not in "biuf" or X.ndim > 4:
        raise NoFigure(f"{X.dtype}")
    if y.size != max(y.shape, default=0) or y.size != len(X):
        raise NoFigure("labels")
    return X.astype(np.float64).reshape(len(X), -1), y.ravel()


def _nan(rng, i, X, y, keys, more):
    X = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    if i == 0 and rng.random() < 0.7:
        keys["impute"] = str(rng.choice(["mean", "median"]))
    return X, y


def _one(value):
    def trouble(rng, i, X, y, keys, more):
        X = X.copy()
        if i == 1 and X.size:
            X[int(rng.integers(len(X))), 0] = value
        return X, y

    return trouble


def _minus(rng, i, X, y, keys, more):
    X = np.where(rng.random(X.shape) < 0.1, -999.0, X)
    if i == 0 and rng.random() < 0.7:
        keys |= {"impute": "mean", "missing": ["-999"]}
    return X, y


def _none(mark):
    def trouble(rng, i, X, y, keys, more):
        numbers = all(isinstance(v, int | float) for v in y)
        gone = mark if numbers or mark != mark else ""
        return X, y if i == 0 or (mark != mark and not numbers) else [gone if rng.random() < 0.3 else v for v in y]

    return trouble


ARRAYS = {
    "NaN": _nan,
    "infinity": _one(np.inf),
    "an outlier": _one(1e30),
    "-999": _minus,
    "no target label: NaN": _none(float("nan")),
    "no target label: -1": _none(-1),
    "constant column": lambda rng, i, X, y, keys, more: (np.concatenate([X, np.ones((len(X), 1))], 1), y),
    "row numbers": lambda rng, i, X, y, keys, more: (np.concatenate([np.arange(len(X))[:, None], X], 1), y),
    "wider": lambda rng, i, X, y, keys, more: (np.concatenate([X] * (1 + i), 1), y),
    "no rows": lambda rng, i, X, y, keys, more: (X[:0], y[:0]) if i else (X, y),
    "no columns": lambda rng, i, X, y, keys, more: (X[:, :0], y),
    "tiny": lambda rng, i, X, y, keys, more: (X * 1e-25, y),
    "huge": lambda rng, i, X, y, keys, more: (X * 1e30, y),
    "beyond float32": lambda rng, i, X, y, keys, more: (X * 1e60, y),
    "far from 0": lambda rng, i, X, y, keys, more: (X + 1e9, y),
    "sorted by class": lambda rng, i, X, y, keys, more: (
        X[np.argsort(list(map(str, y)), kind="stable")],
        [y[j] for j in np.argsort(list(map(str, y)), kind="stable")],
    ),
}
