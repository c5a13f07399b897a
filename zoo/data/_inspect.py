"""What files and folders hold, and a suite that runs on them: what is guessed is said."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo import label_sets, plain
from zoo.data import _columns, _folders, _labels, formats
from zoo.data._own import Own, dataset, format_of
from zoo.data._reading import names, reading
from zoo.data.formats.base import LABELS, Arrays, Format, Table
from zoo.errors import BadInput
from zoo.graph import is_sparse

TRIES = 12  # times that a suite is mended
ROLES = {
    "x": re.compile(r"(?i)(.*?)(x|features?|feats?|fts|fea|data|samples|images)(?![a-z]{3})(.*)"),
    "y": re.compile(r"(?i)(.*?)(y|labels?|class(?:es)?|targets?|gnd)(?![a-z]{3})(.*)"),
}


def inspect(paths: Sequence[Path]) -> dict[str, Any]:
    """What the files hold, and a suite to start from.

    Returns
    -------
    dict with ``files``, what each holds; ``suite``; ``guessed``, what stands in it by guess; ``label_sets``, how many
    classes each pair shares; ``problem``, why it cannot run as it is, or ''

    Raises
    ------
    BadInput
        A file that is not there, of an unknown format, or cannot be read; files of several formats.
    """
    paths = [path for given in paths for path in _unfolded(given)]
    kinds = {path: guess(path) for path in paths}
    if len(set(kinds.values())) > 1:
        raise BadInput("files of several formats: " + ", ".join(f"{p} ({k})" for p, k in kinds.items()))
    kind = kinds[paths[0]]
    guessed: list[str] = []
    data, problem = _draft(kind, paths, guessed)
    own: Any = None
    for _ in range(TRIES):
        if problem:
            break
        try:
            own = _loaded(data)
            break
        except BadInput as error:
            if not (fix := error.fix) or not (merged := _merged(data, fix, kind)):
                problem = str(error)
            else:
                guessed.append(f"{str(error).rpartition(': ')[0][:300] or error}: hence {_listed(fix)}")
                data = merged
    files = [_described(kind, path, data) for path in paths]
    suite: dict[str, Any] = {"data": data}
    sets: dict[str, dict[str, int]] = {}
    if own is not None:
        suite |= _beside(kind, own, guessed)
        if isinstance(own[0], Own) and "task" not in suite:
            sets = label_sets.between({d: set(labels.tolist()) - {""} for d, (_, labels) in own[1].items()})
        n = len(own[0].domains)
    else:
        n = len(data.get("domains", ()))
        suite |= {"methods": [*format_of(kind).methods], "seeds": 3}
    if n < 2:
        few = "a suite needs two domains or more: give several files, or add to domains"
        problem = f"{problem}; {few}" if problem else few
    return {"files": files, "suite": suite, "guessed": guessed, "label_sets": sets, "problem": problem}


def text(found: dict[str, Any]) -> str:
    """What `inspect` found as YAML that runs as it is, the findings as comments in it; a comment too if it cannot."""
    from io import StringIO

    from ruamel.yaml import YAML

    lines = []
    shared = set.intersection(*(set(f["classes"]) for f in found["files"]))
    for f in found["files"]:
        kinds = [f"{c} ({n})" for c, n in f["classes"].items()]
        lines.append(
            f"{f['file']}: {f['format']}, {len(kinds)} classes: {', '.join(kinds[:20])}{' …' * (len(kinds) > 20)}"
        )
        lines += [f"  {r['name']}  {r['type']}  {'×'.join(map(str, r['shape']))}" for r in f["found"]]
        lines += [f"  {f['problem']}"] if f["problem"] else []
        if own := sorted(set(f["classes"]) - shared):
            lines.append(f"  not in every file: {', '.join(own[:20])}")
    lines += [f"classes of {line}" for line in label_sets.lines(found["label_sets"].items())]
    lines += [f"guessed: {g}" for g in found["guessed"]]
    lines += [f"cannot run yet: {found['problem']}"] if found["problem"] else []
    out = StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.width, yaml.sort_base_mapping_type_on_output = None, 4096, False  # type: ignore
    yaml.dump(found["suite"], out)
    body = out.getvalue().rstrip()
    if found["problem"]:
        body = "\n".join(f"# {line}" for line in body.splitlines())
    return "\n".join([*(f"# {' '.join(line.splitlines())}" for line in lines), body])


def guess(path: Path) -> str:
    """The format of a file by its ending or its head, of a folder by what lies in it."""
    if why := plain.trouble(path):
        raise BadInput(f"{path} {why}")
    known = sorted(p.stem for p in Path(formats.__path__[0]).glob("*.py") if p.stem not in ("__init__", "base"))
    for name in known:
        if _fits(name, path):
            return name
    if path.is_dir():
        return _guessed_folder(path)
    endings = {suffix: name for name in known for suffix in getattr(format_of(name), "suffixes", ())}
    for suffix in sorted(endings, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return endings[suffix]
    raise BadInput(f"{path}: unknown format {path.suffix!r}: there are {', '.join(known)}")


def _guessed_folder(path: Path) -> str:
    kinds: Counter[str] = Counter()
    sounds = format_of("audiofolder").suffixes
    for i, file in enumerate(_folders.walked(path)):
        kinds["audiofolder" if file.suffix.lower() in sounds else "other"] += 1
        if i >= 1000:
            break
    return "audiofolder" if kinds["audiofolder"] > kinds["other"] else "imagefolder"


def _fits(name: str, path: Path) -> bool:
    """Whether a format knows a file by what it holds; what cannot be read says so as the one that its ending names."""
    try:
        fits = getattr(format_of(name), "fits", None)
        return fits is not None and bool(fits(path))
    except Exception:  # a damaged file raises nearly anything
        return False


def _unfolded(path: Path) -> list[Path]:
    """A folder of domains, each with class folders, as those."""
    if plain.trouble(path) or not path.is_dir() or (path / "edges.csv").is_file():
        return [path]
    below = [p for p in sorted(path.iterdir()) if p.is_dir() and not _folders.dropping(p)]
    inner = [q for p in below for q in p.iterdir() if not _folders.dropping(q)]
    deep = len(below) > 1 and inner and all(q.is_dir() for q in inner) and not _folders.split(path)
    return below if deep and not any((p / "edges.csv").is_file() for p in below) and _classes_below(below) else [path]


def _classes_below(folders: Sequence[Path]) -> bool:
    """Whether folders hold the same class folders, with files and no folders in these."""
    names = [{q.name.casefold() for q in p.iterdir() if q.is_dir() and not _folders.dropping(q)} for p in folders]
    return len(set.intersection(*names)) > 1


# A suite's data -------------------------------------------------------------------------------------------------------


def _draft(kind: str, paths: Sequence[Path], guessed: list[str]) -> tuple[dict[str, Any], str]:
    """The keys of ``data:`` to begin with, and why there can be none."""
    form = format_of(kind)
    domains: dict[str, Any] = {}
    stems = _stems(paths)
    if kind == "npz" and any(p.suffix.lower() == ".npy" for p in paths):
        domains = _by_rest({p.stem: str(p) for p in paths}, list(paths))
    else:
        for stem, path in zip(stems, paths, strict=True):
            parts = _folders.split(path) if form.lies_in == "folder" and path.is_dir() else []
            domains[stem] = [str(p) for p in parts] or str(path)
            guessed.extend([f"{path} holds a split of its own, which is pooled"] if parts else [])
    data: dict[str, Any] = {"format": kind, "domains": domains}
    try:
        if issubclass(form, Table):
            _of_table(data, form, paths, guessed)
        elif issubclass(form, Arrays):
            _of_arrays(data, form, paths, guessed)
        else:
            more: dict[str, Any] = {"files": _folders.split(paths[0])} if paths[0].is_dir() else {}
            with reading(one := form(paths[0], **({} if not more.get("files") else more))):
                if (frame := one.frame()) is not None:
                    one.by = _split_by(data, frame, paths, guessed)
                data |= one.guessed()[0]
            if form.each:
                keys = {stem: form(path).guessed()[0] for stem, path in zip(stems, paths, strict=True)}
                data |= {k: own for k in form.each if (own := {s: of[k] for s, of in keys.items() if k in of})}
                guessed.extend(f"{s}: {k}: {of[k]}" for s, of in keys.items() for k in form.each if k in of)
    except BadInput as error:
        return data, str(error)
    return data, ""


def _stems(paths: Sequence[Path]) -> list[str]:
    """Names of domains, of the paths' own."""
    found = [p.name.partition(".")[0] or p.name if p.is_file() else p.resolve().name for p in paths]
    if len(set(found)) < len(found):
        found = [f"{p.resolve().parent.name}_{stem}" for p, stem in zip(paths, found, strict=True)]
    return [_worded(stem) for stem in found]


def _worded(name: str) -> str:
    word = "".join(c if c.isalnum() else "_" for c in name).strip("_") or "domain"
    return f"{word}_" if word == "weights" else word


def _by_rest(named: dict[str, str], paths: list[Path]) -> dict[str, Any]:
    """Files of X and of y by what their names have in common."""
    found: dict[str, list[str]] = {}
    for stem, path in named.items():
        rest = next((_rest(stem, role) for role in ("x", "y") if _rest(stem, role) is not None), stem)
        found.setdefault(_worded(str(rest)), []).append(path)
    return dict(found)


def _rest(name: str, role: str) -> str | None:
    """What is left of a name without the word for features or labels in it; None where it has none."""
    match = ROLES[role].fullmatch(name)
    return f"{match[1]}{match[3]}" if match else None


def _of_table(data: dict[str, Any], kind: type[Table], paths: Sequence[Path], guessed: list[str]) -> None:
    """Which column is the label, and whether one holds the domains."""
    form = kind(paths[0])
    with reading(form):
        try:
            columns = form.columns()
        except BadInput as error:
            if not error.fix:
                raise
            data |= error.fix
            guessed.append("the first line looks like a sample, hence header: none")
            form = kind(paths[0], **{k: v for k, v in error.fix.items() if k != "y"})
            columns = form.columns()
        frame = form.frame()
        by = _split_by(data, frame, paths, guessed)
        y = data.get("y") or _label(frame, [c for c in columns if c != by])
        data["y"] = y
        if y.lower() not in LABELS:
            guessed.append(f"{y!r} holds the labels")
        if len(paths) > 1:
            alone = [c for c in columns if c.lower() in _columns.DOMAINS and c != y and frame[c].nunique() == 1]
            if alone:
                data["drop"] = alone
                guessed.append(f"{alone[0]!r} names the domain")


def _split_by(data: dict[str, Any], frame: Any, paths: Sequence[Path], guessed: list[str]) -> str:
    """The column of a single table that holds the domains, if one does; the keys of ``data:`` say so then."""
    named = [c for name in _columns.DOMAINS for c in frame.columns if str(c).lower() == name] if len(paths) == 1 else []
    by = next((str(c) for c in named if 2 <= frame[c].nunique() <= max(2, min(50, len(frame) // 4))), "")
    if by:
        data |= {"by": by, "file": str(paths[0])}
        del data["domains"]
        guessed.append(f"{by!r} holds the domains")
    return by


def _label(frame: Any, columns: Sequence[str]) -> str:
    """The column of labels: by its name, the only one of a few words, or the last that has few values."""
    for name in ("label", "class", "target", "y", *sorted(LABELS)):
        if hit := [c for c in columns if c.lower() == name]:
            return hit[0]
    wordy = [c for c in columns if _columns.numbers(frame[c], ".", ())[1].mean() > 0.5]
    few = [c for c in wordy if 2 <= frame[c].nunique() <= max(2, len(frame) // 4)]
    if len(few) == 1:
        return few[0]
    counted = [c for c in columns if c not in wordy and 2 <= frame[c].nunique() <= max(2, min(20, len(frame) // 4))]
    if few or counted:
        return [c for c in columns if c in few or c in counted][-1]
    return columns[-1]


def _of_arrays(data: dict[str, Any], kind: type[Format], paths: Sequence[Path], guessed: list[str]) -> None:
    """Which arrays hold features and labels, and whether a file holds several domains."""
    files = [Path(p) for p in next(iter(data["domains"].values()))] if paths[0].suffix.lower() == ".npy" else [paths[0]]
    form = kind(files[0], files=files)
    with reading(form):
        headers = form.headers()  # type: ignore[attr-defined]
        if len(paths) == 1 and (several := _several(headers)):
            domains = {_domain(rest): rest for rest in several}
            data["file"] = str(paths[0])
            del data["domains"]
            data["x"] = {d: several[rest]["x"] for d, rest in domains.items()}
            data["y"] = {d: several[rest]["y"] for d, rest in domains.items()}
            guessed.append(f"the arrays of {len(domains)} domains by their names")
            return
        if (
            "by" not in data
            and len(paths) == 1
            and (by := next((n for n in headers if n.lower() in _columns.DOMAINS), ""))
        ):
            data["by"], data["file"] = by, str(paths[0])
            del data["domains"]
            form.by = by
            guessed.append(f"{by!r} holds the domains")
        keys, _ = form.guessed()
        data |= keys


def _domain(rest: str) -> str:
    number = re.fullmatch(r"\{(\d+)\}", rest)
    return f"domain{number[1]}" if number else _worded(rest)


def _several(headers: dict[str, tuple[tuple[int, ...], str]]) -> dict[str, dict[str, str]]:
    """Names of features and labels by what they have in common, where there are several of both."""
    found: dict[str, dict[str, str]] = {}
    for name, (shape, _) in headers.items():
        vector = len(shape) == 1 or (len(shape) == 2 and 1 in shape)
        for role in ("y", "x") if vector else ("x", "y"):
            rest = _rest(name, role)
            if rest is not None and role not in found.setdefault(rest, {}):
                found[rest][role] = name
                break
    whole = {rest: roles for rest, roles in found.items() if len(roles) == 2}
    return whole if len(whole) > 1 else {}


# Loading it -----------------------------------------------------------------------------------------------------------


def _loaded(data: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    own = dataset({"x": "", "y": "", "size": 0, "domains": {}} | data)
    if not isinstance(own, Own):  # loaded all the same: what is wrong in it is said
        return own, {domain: own.load(domain, None) for domain in own.domains}
    raw = {domain: own.load(domain, None) for domain in own.domains}
    if len(raw) > 1 and own.kind != "graphs":
        raw = own.together(raw, ("zscore",), not _real(raw))
    return own, raw


def _real(raw: dict[str, Any]) -> bool:
    return any(_labels.real(labels.tolist()) for _, labels in raw.values())


def _merged(data: dict[str, Any], fix: dict[str, Any], kind: str) -> dict[str, Any] | None:
    """The keys with those that mend them; None where they hold these already, or the format takes none of them."""
    takes = format_of(kind).keys
    new = dict(data)
    for key, value in fix.items():
        if key not in takes:
            continue
        if isinstance(value, list):
            new[key] = [*data.get(key, []), *(v for v in value if v not in data.get(key, []))]
        else:
            new[key] = value
    return None if new == data else new


def _beside(kind: str, loaded: tuple[Any, dict[str, Any]], guessed: list[str]) -> dict[str, Any]:
    """The keys of the suite beside ``data:``."""
    own, raw = loaded
    suite: dict[str, Any] = {}
    last = {"methods": [*format_of(kind).methods], "seeds": 3}
    if not all(isinstance(loaded, tuple) for loaded in raw.values()):  # databases, not samples and labels
        return last
    vectors = own.kind in ("samples", "series")
    sparse = any(is_sparse(X) for X, _ in raw.values())
    if vectors:
        suite["normalise"] = ["l2"] if sparse else ["zscore"]
        guessed.append("normalise, since features of any scale are to count alike")
    classes = [set(labels.tolist()) - {""} for _, labels in raw.values()]
    if _real(raw):
        suite["task"] = "regression"
        guessed.append("task: regression, since the labels are real numbers")
    elif len(classes) > 1 and not any(a >= b for a in classes for b in classes if a is not b):
        suite["classes"] = "shared"
        guessed.append("classes: shared, since each domain has classes of its own")
    for domain in own.domains:
        guessed.extend(f"{domain}: {note}" for note in own.notes(domain))
    return suite | last


def _described(kind: str, path: Path, data: dict[str, Any]) -> dict[str, Any]:
    """What is in a file."""
    keys = {k: v for k, v in data.items() if k in ("header", "decimal", "missing", "by", "drop", "channels")}
    if isinstance(y := data.get("y"), str):
        keys["y"] = y
    parts = _folders.split(path) if path.is_dir() else []
    more: dict[str, Any] = keys | ({"files": parts} if parts else {})
    form = format_of(kind)(path, **more)
    entry: dict[str, Any] = {"file": str(path), "format": kind, "found": [], "classes": {}, "problem": ""}
    with reading(form):
        entry["found"] = form.rows()
        try:
            if isinstance(data.get("y"), dict) or path.suffix.lower() == ".npy":
                return entry
            _, labels = form.guessed()
            entry["classes"] = dict(sorted(Counter(t for t in names(labels, form).tolist() if t).items()))
        except BadInput as error:
            entry["problem"] = str(error)
    return entry


def _listed(fix: dict[str, Any]) -> str:
    return ", ".join(f"{k}: {v}" for k, v in fix.items())
