"""Relational databases: a folder with a folder per fold, in each ``facts.txt`` and perhaps ``pos.txt``, ``neg.txt``."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np

from zoo import discover, plain
from zoo.data import _atoms
from zoo.data._atoms import Atom
from zoo.data._reading import reading
from zoo.data.base import Dataset
from zoo.data.formats.base import Format
from zoo.errors import BadInput
from zoo.facts import Database, Fold
from zoo.facts import Facts as Evidence
from zoo.secret import Secret

NEGATIVES = ("given", "closed")
SAME_TYPE = 0.5  # of the smaller position's constants, shared by two argument positions of one type
SAME_ROWS = 0.9  # of a predicate's rows, found among the target's with arguments permuted: an inverse
MOST_TUPLES = 10_000_000  # of a closed world: gigabytes
FEW_ROWS = 5  # rows of a fold from which the rule is applied to it alone

Rows = dict[str, np.ndarray]


class Facts(Format):
    """Facts over constants, ``pred(a,b).`` a line; a folder per fold."""

    kind = "facts"
    keys = ("target", "aliases", "negatives", "reflexive")
    each = ("target", "negatives")
    methods = ("propositional", "rdn_boost", "predicate_mapping")
    lies_in = "folder"

    def rows(self) -> list[dict[str, Any]]:
        atoms = [a for fold in _folds(self.path) for a in _atoms.facts(fold / "facts.txt")]
        counts = Counter((a.predicate, len(a.arguments)) for a in atoms)
        return [{"name": p, "type": "facts", "shape": [n, arity]} for (p, arity), n in sorted(counts.items())]

    def guessed(self) -> tuple[dict[str, Any], np.ndarray]:
        """The most frequent predicate of ``pos.txt``; a closed world where a fold has no ``neg.txt``."""
        folds = _folds(self.path)
        said = Counter(a.predicate for fold in folds for a in _optional(fold / "pos.txt", "pos"))
        if not said:
            there = ", ".join(sorted({r["name"] for r in self.rows()})[:8])
            raise self.bad(f"target: say which predicate is asked for: {there or '-'}")
        target = said.most_common(1)[0][0]
        denied = [a for fold in folds for a in _optional(fold / "neg.txt", "neg") if a.predicate == target]
        given = all((fold / "neg.txt").is_file() for fold in folds)
        labels = np.repeat(np.array(["true", "false"]), [said[target], len(denied)])
        return {"target": target, **({} if given else {"negatives": "closed"})}, labels

    @classmethod
    def fits(cls, path: Path) -> bool:
        """Whether a folder holds folds with facts."""
        return path.is_dir() and any(path.glob("*/facts.txt"))


class Own(Dataset):
    """The ``data:`` key of a suite of facts: a folder a database, with a folder of files a fold.

    Raises
    ------
    BadInput
        A folder that is not there, a domain without a target predicate; on loading, whatever is wrong in a file.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data
        for name, path in data["domains"].items():
            if why := plain.trouble(path, "folder"):
                raise BadInput(f"data: domains: {name}: {path} {why}")
            if name not in data.get("target", {}):
                raise BadInput(f"data: target: say which predicate of {name} is asked for, such as {name}: advisedby")
        vars(self).update(domains=tuple(data["domains"]), kind="facts")

    def load(self, domain: str, root: Path | None) -> Any:
        """The database of a domain."""
        of = self._data
        aliases, negatives = of.get("aliases", {}).get(domain, ()), of.get("negatives", {}).get(domain, "given")
        path = Path(of["domains"][domain])
        options = {"aliases": aliases, "negatives": negatives, "reflexive": of.get("reflexive", False), "name": domain}
        with reading(Facts(path), domain):
            return read(path, of["target"][domain], **options)


def read(
    path: Path,
    target: str,
    *,
    aliases: Sequence[str] = (),
    negatives: str = "given",
    reflexive: bool = False,
    name: str = "",
) -> Database:
    """The database in a folder, with the target's leaks closed.

    Parameters
    ----------
    path : Path
        The folder. Each folder in it is a fold, with evidence in ``facts.txt``; the target's positives stand there or
        in ``pos.txt``, its negatives in ``neg.txt``. A ``background.txt`` may give the types as modes.
    target : str
        The predicate that is asked for.
    aliases : sequence of str
        Predicates that say the target in other words and are left out of the evidence, beside what is found: those
        whose rows are, more than 90 % of them, the target's with arguments permuted, in a fold or in all together.
    negatives : {'given', 'closed'}
        From ``neg.txt``, or all type-consistent tuples of a fold's constants that are not positive (closed world).
    reflexive : bool
        Whether examples with twice the same constant for arguments of one type are kept.
    name : str
        How the domain is called; the folder's name unless given.

    Raises
    ------
    BadInput
        What is not there, is malformed or does not fit together, in one line.
    """
    if negatives not in NEGATIVES:
        raise BadInput(f"negatives: {discover.unknown('choice', negatives, NEGATIVES)}")
    folders = _folds(path)
    files = {kind: [_optional(f / f"{kind}.txt", kind) for f in folders] for kind in ("facts", "pos", "neg")}
    atoms = [a for kind in ("facts", "pos", "neg") for fold in files[kind] for a in fold]
    modes = _atoms.modes(path / "background.txt") if (path / "background.txt").is_file() else []
    arities = _arities([*atoms, *modes])
    schema = sorted({a.predicate for kind in ("facts", "pos") for fold in files[kind] for a in fold})
    for asked in (target, *aliases):
        if asked not in schema:
            raise BadInput(f"{path}: {discover.unknown('predicate', asked, schema)}")

    constants = tuple(sorted({c for a in atoms for c in a.arguments}))
    ids = {c: i for i, c in enumerate(constants)}
    known = [_tables(fold, ids, arities, schema) for fold in files["facts"]]
    said = [_tables(fold, ids, arities, schema) for fold in files["pos"]]
    denied = [_tables([a for a in fold if a.predicate == target], ids, arities, schema) for fold in files["neg"]]
    positives = [distinct([k[target], s[target]]) for k, s in zip(known, said, strict=True)]
    left_out = dict.fromkeys(aliases, "an alias of the target")
    left_out |= {p: "another target of pos.txt" for p in schema if p != target and any(len(s[p]) for s in said)}
    left_out |= _inverses(known, positives, target)
    kept = [p for p in schema if p != target and p not in left_out]
    types, notes = _types(known + said + denied, modes, arities, (kept, [target, *sorted(left_out)]))
    notes += [f"{p} is left out of the evidence: {why}" for p, why in sorted(left_out.items())]

    examples, dropped = [], 0
    for folder, table, yes, no in zip(folders, known, positives, denied, strict=True):
        false = _closed(folder, table, yes, types, target) if negatives == "closed" else _minus(no[target], yes)
        X = np.concatenate([yes, false]).astype(np.int64)
        y = np.repeat([1, 0], [len(yes), len(false)])
        twice = np.zeros(len(X), bool) if reflexive else _twice(X, types[target])
        dropped += int(twice.sum())
        examples.append((X[~twice], y[~twice]))
        for label, what in ((1, "positive"), (0, "negative")):
            if not (examples[-1][1] == label).any():
                raise BadInput(_without(folder, target, what, dropped=bool(twice[y == label].any())))
    if dropped:
        notes.append(f"{dropped} reflexive examples of {target} are dropped")
    world = " × ".join(types[target])
    notes.append(f"negatives: closed world, {world}" if negatives == "closed" else "negatives: as given in neg.txt")

    shown = {p: types[p] for p in sorted([target, *kept])}
    tables = [a for table, (X, y) in zip(known, examples, strict=True) for a in (*(table[p] for p in kept), X, y)]
    secret = Secret.of((target, constants, shown, [f.name for f in folders]), *tables)
    folds = []
    for folder, table, (X, y) in zip(folders, known, examples, strict=True):
        order = secret.generator("order", folder.name).permutation(len(X))
        evidence = Evidence(target, {p: table[p] for p in kept}, shown, constants)
        folds.append(Fold(folder.name, evidence, X[order], y[order]))
    return Database(name or path.resolve().name, tuple(folds), secret, tuple(notes))


def distinct(tables: Iterable[np.ndarray]) -> np.ndarray:
    """The distinct rows of several tables, sorted."""
    return np.unique(np.concatenate(list(tables)), axis=0)


def _folds(path: Path) -> list[Path]:
    """The folds' folders, in the order of the numbers in their names."""
    if not path.is_dir():
        raise BadInput(f"{path} is not there: expected a folder with a folder per fold")
    found = [f for f in path.iterdir() if f.is_dir() and not f.name.startswith(".")]
    if not found:
        raise BadInput(f"{path}: holds no folds: expected {path.name}/FOLD/facts.txt")
    return sorted(found, key=lambda f: [(int(d or 0), s) for d, s in re.findall(r"(\d*)(\D*)", f.name)])


def _optional(path: Path, kind: str) -> list[Atom]:
    if not path.is_file():
        if kind == "facts":
            raise BadInput(f"{path} is not there: each folder of a database is a fold and has its facts.txt")
        return []
    return _atoms.facts(path)


def _arities(atoms: Iterable[Atom]) -> dict[str, int]:
    first: dict[str, Atom] = {}
    for a in atoms:
        other = first.setdefault(a.predicate, a)
        if len(other.arguments) != len(a.arguments):
            raise BadInput(
                f"{a.place}: {a.predicate} has {_count(a)} here, but {len(other.arguments)} in {other.place}"
            )
    return {p: len(a.arguments) for p, a in first.items()}


def _count(atom: Atom) -> str:
    return f"{len(atom.arguments)} argument{'s' * (len(atom.arguments) > 1)}"


def _tables(atoms: Iterable[Atom], ids: dict[str, int], arities: dict[str, int], schema: list[str]) -> Rows:
    """The distinct atoms of each predicate of the schema as ids of constants."""
    rows: dict[str, list[list[int]]] = {p: [] for p in schema}
    for a in atoms:
        rows.setdefault(a.predicate, []).append([ids[c] for c in a.arguments])
    return {p: np.unique(np.array(rows[p], np.int32).reshape(-1, arities[p]), axis=0) for p in schema}


def _types(
    tables: list[Rows], modes: list[Atom], arities: dict[str, int], schema: tuple[list[str], list[str]]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The type of each argument of the predicates: as the modes say, otherwise by the constants that positions share.

    Two positions are of one type if they share two constants or more, and more than half of the smaller one's: one
    shared constant merges nothing, for a constant may stand in two types.
    """
    kept, predicates = schema[0], schema[0] + schema[1]
    positions = [(p, i) for p in predicates for i in range(arities[p])]
    pooled = {p: distinct(t[p] for t in tables) for p in predicates}
    seen = {(p, i): np.unique(pooled[p][:, i]) for p, i in positions}
    stated: dict[tuple[str, int], Atom] = {}
    for mode in modes:
        for i, kind in enumerate(mode.arguments):
            other = stated.setdefault((mode.predicate, i), mode)
            if other.arguments[i] != kind:
                where = f"argument {i + 1} of {mode.predicate}"
                raise BadInput(f"{mode.place}: {where} is of {kind!r}, but {other.arguments[i]!r} in {other.place}")
    kinds = {position: mode.arguments[position[1]] for position, mode in stated.items() if position in seen}

    group = {position: {position} for position in positions}

    def merge(a: tuple[str, int], b: tuple[str, int]) -> None:
        if group[a] is not group[b]:
            group[a] |= group[b]
            for position in group[b]:
                group[position] = group[a]

    for a, b in combinations(sorted(kinds), 2):
        if kinds[a] == kinds[b]:
            merge(a, b)
    shares = []
    for a, b in combinations(positions, 2):
        shared = len(np.intersect1d(seen[a], seen[b], assume_unique=True))
        share = shared / min(len(seen[a]), len(seen[b]))
        if shared > 1 and share > SAME_TYPE:
            shares.append((-share, a, b))
    for _, a, b in sorted(shares):  # the surest first, for modes forbid some
        if len({kinds[p] for p in group[a] | group[b] if p in kinds}) < 2:
            merge(a, b)

    # An inferred type is called after a position in the evidence that holds most of it.
    def called(position: tuple[str, int]) -> str:
        for stated_one in sorted(group[position]):
            if stated_one in kinds:
                return kinds[stated_one]
        first = min(group[position], key=lambda q: (q[0] not in kept, q[0] in schema[1][1:], -len(seen[q]), q))
        return f"{first[0]}.{first[1] + 1}"

    types = {p: tuple(called((p, i)) for i in range(arities[p])) for p in predicates}
    inferred = sorted({p for p, i in positions if (p, i) not in kinds})
    if not inferred:
        return types, ["types: as background.txt gives them"]
    given = "types: inferred from shared constants"
    return types, [given + (f" for {', '.join(inferred)}, otherwise as background.txt gives them" if kinds else "")]


def _inverses(known: list[Rows], positives: list[np.ndarray], target: str) -> dict[str, str]:
    """The predicates that say the target with arguments permuted, and how that shows."""
    width, found = positives[0].shape[1], {}
    everywhere = distinct(positives)
    for p in sorted(known[0]):
        if p == target or known[0][p].shape[1] != width or width < 2:
            continue
        pooled = distinct(t[p] for t in known)
        places = [(pooled, everywhere), *((t[p], y) for t, y in zip(known, positives, strict=True))]
        for order in permutations(range(width)):
            for i, (rows, truth) in enumerate(places):
                if not len(rows) or (i and len(rows) < FEW_ROWS):
                    continue
                share = _among(rows[:, order], truth).mean()
                if share > SAME_ROWS and p not in found:
                    how = "repeats" if order == tuple(range(width)) else "inverts"
                    found[p] = f"it {how} {target} ({share:.0%} of its rows{' in a fold' if i else ''})"
    return found


def _among(rows: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Which rows are among the (distinct) rows of another table."""
    there = set(map(tuple, truth.tolist()))
    return np.array([tuple(r) in there for r in rows.tolist()], bool)


def _minus(rows: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return rows[~_among(rows, truth)]


def _closed(folder: Path, table: Rows, yes: np.ndarray, types: dict[str, tuple[str, ...]], target: str) -> np.ndarray:
    """All type-consistent tuples of constants seen in the fold, less the positives."""
    seen: dict[str, list[np.ndarray]] = {}
    for p, kinds in types.items():
        for i, kind in enumerate(kinds):
            seen.setdefault(kind, []).append((yes if p == target else table[p])[:, i])
    domains = [np.unique(np.concatenate(seen[kind])) for kind in types[target]]
    if (n := math.prod(map(len, domains))) > MOST_TUPLES:
        raise BadInput(f"{folder}: negatives: closed: {n:.3g} tuples of {target} are too many; give neg.txt")
    grid = np.stack([g.ravel() for g in np.meshgrid(*domains, indexing="ij")], 1)
    return _minus(grid, yes)


def _twice(X: np.ndarray, kinds: tuple[str, ...]) -> np.ndarray:
    """Which rows have the same constant for two arguments of one type."""
    pairs = [(i, j) for i, j in combinations(range(len(kinds)), 2) if kinds[i] == kinds[j]]
    return np.any([X[:, i] == X[:, j] for i, j in pairs], axis=0) if pairs else np.zeros(len(X), bool)


def _without(folder: Path, target: str, what: str, dropped: bool) -> str:
    if dropped:
        return f"{folder}: has no {what} example of {target} but reflexive ones; `reflexive: true` keeps them"
    if what == "positive":
        return f"{folder}: has no positive example of {target}, in facts.txt or pos.txt; leave the fold out"
    return f"{folder}: has no negative example of {target} in neg.txt; `negatives: closed` takes all other pairs"
