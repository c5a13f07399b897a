"""Random pairs of tables as text: dialects, columns of other kinds, marks of missing values, damage; read by pandas."""

import bz2
import gzip
import json
import lzma

import numpy as np
import pandas as pd

from tests.own_pairs import NoFigure, Pair, drawn, kinds, lost, options

PACKS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
GONE = ["", "NA", "NaN", "nan", "null", "None", "<NA>"]  # docs/data.md: what is missing without being said


def csv_pair(rng, folder):
    said = ["csv"]
    (sides, k), more = drawn(rng), options(rng, said)
    write = kinds(rng, k, said)
    keep = lost(rng, [c for _, c in sides], said)
    sep = str(rng.choice([",", ";", "\t", " ", "|"], p=[0.4, 0.2, 0.15, 0.15, 0.1]))
    style = {
        "quoting": int(rng.choice([0, 1, 2], p=[0.7, 0.15, 0.15])),
        "encoding": str(rng.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"], p=[0.7, 0.15, 0.1, 0.05])),
        "end": str(rng.choice(["\n", "\r\n", "\r"], p=[0.75, 0.2, 0.05])),
        "pack": str(rng.choice(["", ".gz", ".bz2", ".xz"], p=[0.8, 0.1, 0.05, 0.05])),
        "decimal": "," if sep in ";\t|" and rng.random() < 0.15 else ".",
        "headless": rng.random() < 0.12,
        "pad": sep in ",;" and rng.random() < 0.1,
        "trailing": sep != " " and rng.random() < 0.08,
        "blank": rng.random() < 0.1,
        "first": "sep=" if sep in ",;" and rng.random() < 0.03 else "",
        "comment": rng.random() < 0.03,
    }
    said += [f"{key} {v!r}" for key, v in [("sep", sep), *style.items()] if v not in (0, "", "utf-8", "\n", ".")]
    end = str(rng.choice([".csv", ".tsv", ".txt", ".dat"], p=[0.7, 0.1, 0.1, 0.1]))
    if style["pack"]:
        end = ".csv" + style["pack"]
    d = sides[0][0].shape[1]
    named = [f"{rng.choice(['f', 'X', 'feature ', 'ä', 'x.'])}{i}" for i in range(d)]
    label = str(rng.choice(["y", "label", "class", "Target", "kind", "my label"]))
    at = int(rng.choice([0, d // 2, d]))
    frames, keys = [], {"format": "csv"}
    if label in ("kind", "my label") or rng.random() < 0.2:
        keys["y"] = label
    for i, (X, c) in enumerate(sides):
        frame = pd.DataFrame(X[keep[i]], columns=named)
        frame.insert(at, label, pd.Series([write[i](int(v)) for v in c[keep[i]]], dtype=object))
        frames.append(frame)
    hand = {"missing": [], "drop": [], "categories": []}
    for trouble in sorted(
        rng.choice(list(TROUBLES), int(rng.choice([0, 1, 2], p=[0.45, 0.4, 0.15])), replace=False), key=LAST.__eq__
    ):
        TROUBLES[trouble](rng, frames, label, keys, hand, more)
        said.append(str(trouble))
    if style["headless"]:
        place = {c: str(j) for j, c in enumerate(frames[0].columns)}
        if rng.random() < 0.8:
            keys |= {"header": "none", "y": place[label]}
            for key in ("drop", "categories"):
                if key in keys:
                    keys[key] = [place.get(c, c) for c in keys[key]]
            keys.pop("x", None)
    if style["decimal"] == "," and rng.random() < 0.7:
        keys["decimal"] = ","
    paths, reads = [], []
    spoil = str(rng.choice(["", *SPOILS], p=[0.93, *[0.07 / len(SPOILS)] * len(SPOILS)]))
    for i, frame in enumerate(frames):
        path = folder / f"{'ab'[i]}{end}"
        text = body(frame, sep, style)
        if i == 1 and spoil:
            text = SPOILS[spoil](rng, text, sep)
        data = text.encode(style["encoding"])
        path.write_bytes(PACKS.get(style["pack"], lambda b: b)(data))
        paths.append(str(path))
        named = frames[0 if style["headless"] else i].columns.tolist()  # without a header, columns are told by place
        reads.append(lambda path=path, named=named: read_csv(path, named, label, sep, style, keys, hand))
    if spoil:
        said.append(spoil)
    if rng.random() < 0.12 and not spoil:
        together(rng, folder, frames, sep, style, keys, paths, reads, label, hand, said)
    else:
        keys["domains"] = dict(zip("ab", paths, strict=True))
    return Pair("csv", {"data": keys} | more, reads, said)


def body(frame, sep, style):
    """The text of a file in a dialect."""
    made = frame.copy()
    if style["decimal"] == ",":
        made = made.map(lambda v: repr(v).replace(".", ",") if isinstance(v, float) and v == v else v)
    if style["pad"]:
        made = made.map(lambda v: f" {v}" if isinstance(v, float) else v)
        made.columns = [f" {c} " if style["quoting"] == 0 else c for c in made.columns]
    text = made.to_csv(
        sep=sep, index=False, header=not style["headless"], quoting=style["quoting"], na_rep="", lineterminator="\n"
    )
    lines = text.splitlines()
    if style["trailing"]:
        lines = [line + sep for line in lines]
    if style["first"]:
        lines.insert(0, f"sep={sep}")
    if style["comment"] and not style["headless"]:
        lines[0 if not style["first"] else 1] = "# " + lines[0 if not style["first"] else 1]
    if style["blank"]:
        lines += ["", ""]
    return style["end"].join(lines) + style["end"]


def together(rng, folder, frames, sep, style, keys, paths, reads, label, hand, said):
    """One file with a column of domains in place of two."""
    by, values = str(rng.choice(["domain", "site"])), (["u", "v"], ["1", "2"])[int(rng.random() < 0.5)]
    if list(frames[0].columns) != list(frames[1].columns):
        keys["domains"] = dict(zip("ab", paths, strict=True))
        return
    whole = pd.concat([f.assign(**{by: v}) for f, v in zip(frames, values, strict=True)], ignore_index=True)
    whole = whole.iloc[rng.permutation(len(whole))]
    path = folder / paths[0].rpartition("/")[2].replace("a", "all", 1)
    path.write_bytes(PACKS.get(style["pack"], lambda b: b)(body(whole, sep, style).encode(style["encoding"])))
    keys |= {"file": str(path), "by": by if "header" not in keys else str(whole.shape[1] - 1)}
    said.append("by")

    def part(value):
        named = [*frames[0].columns, by]
        X, y, rest = read_csv(path, named, label, sep, style, keys, hand, whole=True)
        return X[rest[by].astype(str).str.strip() == value], y[(rest[by].astype(str).str.strip() == value).to_numpy()]

    reads[:] = [lambda v=v: part(v) for v in values]
    reads.append(values)


def read_csv(path, named, label, sep, style, keys, hand, whole=False):
    """Features, NaN where missing, and labels of a file, by pandas."""
    mark = sep if sep != " " else r"\s+"
    extra = ["(end)"] if style["trailing"] else []
    skip = bool(style["first"]) + (not style["headless"])
    by = keys.get("by", "")
    by = named[int(by)] if by.isdigit() else by
    try:
        frame = pd.read_csv(
            path,
            sep=mark,
            header=None,
            names=named + extra,
            skiprows=skip,
            index_col=False,
            encoding=style["encoding"],
            decimal=style["decimal"],
            skipinitialspace=True,
            keep_default_na=False,
            na_values={c: GONE + hand["missing"] for c in named if c != label},
            converters={label: str},
            on_bad_lines="error",
        )
    except (ValueError, UnicodeError, pd.errors.ParserError) as error:
        raise NoFigure(str(error)) from None
    kept = [c for c in named if c not in (label, by, *hand["drop"], *hand["categories"])]
    try:
        X = frame[kept].to_numpy(np.float64) if kept else np.empty((len(frame), 0))
    except (ValueError, TypeError) as error:
        raise NoFigure(str(error)) from None
    words = [(frame[c].astype(object).where(frame[c].notna(), None), c) for c in hand["categories"]]
    if words:
        levels = hand["levels"]
        X = np.concatenate([X, *[[[str(v).strip() == w for w in levels[c]] for v in col] for col, c in words]], 1)
    y = frame[label].str.strip().to_numpy(object)
    if style["decimal"] == ",":
        y = np.array([t.replace(",", ".") if t.replace(",", "").replace("-", "").isdigit() else t for t in y], object)
    y = np.array(["" if t in hand["missing"] else t for t in y], object)
    return (X, y, frame) if whole else (X, y)


def _cells(rng, frames, label, mark, share=0.1):
    """A mark in a few cells of a few features."""
    for frame in frames:
        for c in [c for c in frame.columns if c != label][:2]:
            at = rng.random(len(frame)) < share
            frame[c] = pd.Series([mark if a else v for v, a in zip(frame[c].tolist(), at, strict=True)], dtype=object)


def _missing(mark, said=True):
    def trouble(rng, frames, label, keys, hand, more):
        _cells(rng, frames, label, mark)
        if rng.random() < 0.75:
            keys["impute"] = str(rng.choice(["mean", "median"]))
        if said and rng.random() < 0.8:
            keys["missing"] = [mark]
            hand["missing"] = [mark]

    return trouble


def _inserted(make, name, drop=0.0, key="drop"):
    """A column of some other kind, perhaps dropped by key."""

    def trouble(rng, frames, label, keys, hand, more):
        at, gone = int(rng.integers(0, frames[0].shape[1] + 1)), rng.random() < drop
        for i, frame in enumerate(frames):
            frame.insert(min(at, frame.shape[1]), name, pd.Series(make(rng, len(frame), i, frame), dtype=object))
        if gone:
            keys[key] = [*keys.get(key, []), name]
            hand[key].append(name)
            if key == "categories":
                hand["levels"] = hand.get("levels", {}) | {
                    name: sorted({str(v).strip() for f in frames for v in f[name] if v not in GONE})
                }

    return trouble


def _one_cell(value):
    def trouble(rng, frames, label, keys, hand, more):
        frame = frames[int(rng.integers(2))]
        c = next(c for c in frame.columns if c != label)
        values = frame[c].tolist()
        if values:
            values[int(rng.integers(len(values)))] = value
        frame[c] = pd.Series(values, dtype=object)

    return trouble


def _unlabelled(mark):
    def trouble(rng, frames, label, keys, hand, more):
        frame, values = frames[1], frames[1][label].tolist()
        frame[label] = pd.Series([mark if rng.random() < 0.3 else v for v in values], dtype=object)
        if mark == "?" and rng.random() < 0.7:
            keys["missing"] = hand["missing"] = ["?"]

    return trouble


def _scaled(by):
    def trouble(rng, frames, label, keys, hand, more):
        for frame in frames:
            for c in [c for c in frame.columns if c != label]:
                if frame[c].dtype != object:
                    frame[c] = frame[c] * by

    return trouble


def _reordered(rng, frames, label, keys, hand, more):
    frames[1] = frames[1][[*rng.permutation(frames[1].columns)]]


def _wider(rng, frames, label, keys, hand, more):
    frames[1]["another"] = rng.normal(size=len(frames[1])).round(3)


def _twice(rng, frames, label, keys, hand, more):
    for frame in frames:
        frame.insert(0, frame.columns[-1], frame[frame.columns[-1]], allow_duplicates=True)


def _same(rng, frames, label, keys, hand, more):
    frames[1] = frames[0].copy()


def _case(rng, frames, label, keys, hand, more):
    frames[1][label] = pd.Series([str(v).upper() for v in frames[1][label]], dtype=object)


LAST = "a name twice"  # after which columns cannot be told by name
TROUBLES = {
    "missing: empty": _missing("", said=False),
    "missing: NA": _missing("NA", said=False),
    "missing: ?": _missing("?"),
    "missing: -999": _missing(-999),
    "missing: n/a": _missing("n/a"),
    "no target label: empty": _unlabelled(""),
    "no target label: ?": _unlabelled("?"),
    "no target label: -1": _unlabelled("-1"),
    "ids": _inserted(lambda r, n, i, f: [f"p{v}" for v in range(n)], "id", 0.5),
    "row numbers": _inserted(lambda r, n, i, f: list(range(1, n + 1)), "number", 0.3),
    "constant": _inserted(lambda r, n, i, f: [7] * n, "const"),
    "equal column": _inserted(lambda r, n, i, f: f.iloc[:, -1].tolist(), "again", 0.3),
    "dates": _inserted(lambda r, n, i, f: [f"2020-01-{1 + v % 28:02}" for v in range(n)], "day", 0.5),
    "words": _inserted(lambda r, n, i, f: r.choice(["red", "blue", "dark red"], n).tolist(), "hue", 0.6, "categories"),
    "words of one domain": _inserted(lambda r, n, i, f: r.choice(["p", f"q{i}"], n).tolist(), "grp", 1, "categories"),
    "truth": _inserted(lambda r, n, i, f: r.choice([True, False], n).tolist(), "flag"),
    "truth in words": _inserted(lambda r, n, i, f: r.choice(["yes", "no"], n).tolist(), "smokes", 0.4, "categories"),
    "percent": _inserted(lambda r, n, i, f: [f"{v}%" for v in range(n)], "share", 0.3),
    "thousands": _inserted(lambda r, n, i, f: [f"{1 + v % 9},{100 + v}" for v in range(n)], "price", 0.3),
    "unix times": _inserted(lambda r, n, i, f: (1_600_000_000 + 977 * r.permutation(n)).tolist(), "time"),
    "an empty column": _inserted(lambda r, n, i, f: [""] * n, "void", 0.5),
    "prose": _inserted(lambda r, n, i, f: [f"it is not so bad as {v} says" for v in range(n)], "remark", 0.5),
    "underscores": _inserted(lambda r, n, i, f: [f"1_0{v % 10}" for v in range(n)], "code"),
    "hexadecimal": _inserted(lambda r, n, i, f: [f"0x{v:x}" for v in range(n)], "code", 0.3),
    "exponents": _inserted(lambda r, n, i, f: [f"{v + 1}E-0{1 + v % 3}" for v in range(n)], "rate"),
    "quoted numbers": _inserted(lambda r, n, i, f: [f"{v / 7:.3f}" for v in r.permutation(n)], "q"),
    "infinity": _one_cell("inf"),
    "an outlier": _one_cell(1e30),
    "overflow": _one_cell("1e400"),
    "a word among numbers": _one_cell("n.d."),
    "a blank": _one_cell(" "),
    "tiny": _scaled(1e-25),
    "huge": _scaled(1e30),
    "small": _scaled(1e-6),
    "other order of columns": _reordered,
    "a column more": _wider,
    LAST: _twice,
    "the same samples": _same,
    "upper case": _case,
}


def _ragged(rng, text, sep, by=1):
    lines = text.splitlines()
    at = int(rng.integers(1, len(lines))) if len(lines) > 1 else 0
    lines[at] = lines[at] + sep + "5" if by > 0 else lines[at].rpartition(sep)[0]
    return "\n".join(lines) + "\n"


SPOILS = {
    "ragged: longer": lambda rng, text, sep: _ragged(rng, text, sep, 1),
    "ragged: shorter": lambda rng, text, sep: _ragged(rng, text, sep, -1),
    "empty file": lambda rng, text, sep: "",
    "header alone": lambda rng, text, sep: text.splitlines()[0] + "\n",
    "an open quote": lambda rng, text, sep: text.replace("\n", '\n"', 1),
    "NUL": lambda rng, text, sep: text[: len(text) // 2] + "\0" + text[len(text) // 2 :],
    "a cut": lambda rng, text, sep: text[: int(len(text) * 0.7)],
    "json": lambda rng, text, sep: json.dumps([1, 2]),
}
