"""What a relational method learned: which predicate became which, and its trees and rules as readable logic."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from zoo import records
from zoo.errors import BadInput, printable
from zoo.records.schema import check_tree
from zoo.report.drawing import drawable

Number = Annotated[float, Field(ge=-1e100, le=1e100)]


class Part(BaseModel):
    """Of what fits explain, that which is shown."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class Mapped(Part):
    source: str
    target: str | None
    inverted: bool = False
    sign: Number = 1
    score: Number | None = None


class Rule(Part):
    weight: Number
    rule: str


class Leaf(Part):
    value: Number
    n: int | None = None
    test: None = None


class Test(Part):
    test: str
    yes: Test | Leaf
    no: Test | Leaf


class Explanation(Part):
    mapping: list[Mapped] = []
    rules: list[Rule] = []
    trees: list[Test | Leaf] = []


DRAWN = 4  # trees in a picture


def find(cell: str, folders: Sequence[Path]) -> tuple[records.Record, list[dict[str, Any]]]:
    """The record of a cell, by its id or the beginning of it, and what each training fold's fit explained.

    Raises
    ------
    BadInput
        No such cell, several, or one that explains nothing.
    """
    there = [(f, r) for f in folders for r in records.read(f).records if r["cell"].startswith(cell)]
    searched = ", ".join(map(str, folders)) or "no run folder"
    if len({r["cell"] for _, r in there}) != 1:
        what = f"{len(there)} cells begin with" if there else "no cell is called"
        raise BadInput(f"{what} {cell!r} in {searched}; give --run DIR and an id from its records")
    folder, record = there[0]
    path = folder / "explanations" / f"{record['cell']}.json"
    if not path.is_file():
        raise BadInput(f"{folder}: {record['method']} left no explanation of {record['cell']}; run the cell again")
    return record, _explanations(path)


def _explanations(path: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(path.read_bytes())
        check_tree(found)
        TypeAdapter(list[Explanation]).validate_python(found)
    except (ValueError, RecursionError, OSError) as error:
        if isinstance(error, ValidationError):
            error = ValueError(f"{'.'.join(map(str, error.errors()[0]['loc']))}: {error.errors()[0]['msg']}")
        raise BadInput(f"{path}: damaged ({error}); run the cell again") from None
    return found  # type: ignore[no-any-return]


def explaining(folder: Path, method: str = "") -> list[records.Record]:
    """The cells of a run that explain something."""
    kept = {path.stem for path in (folder / "explanations").glob("*.json")}
    return [r for r in records.read(folder).records if r["cell"] in kept and method in ("", r["method"])]


def text(record: records.Record, explanations: list[dict[str, Any]], fold: int) -> str:
    """The mapping, the rules and the trees of one training fold, in lines.

    >>> tree = {"test": "boss(A, C), boss(C, B)", "yes": {"value": 1.5, "n": 4}, "no": {"value": -0.5, "n": 9}}
    >>> record = {"cell": "ab", "method": "m", "source": "s", "target": "t", "seed": 0, "metrics": {}}
    >>> mapping = [{"source": "parent", "target": "boss", "inverted": False, "sign": 1, "score": 0.25}]
    >>> print(text(record, [{"mapping": mapping, "trees": [tree]}], 1))
    ab: m, s→t, seed 0, training fold 1 of 1
    <BLANKLINE>
    predicate of the source  of the target  effect  score
    parent                   boss           same     0.25
    <BLANKLINE>
    tree 1
      boss(A, C), boss(C, B)
        yes  +1.500  (4 atoms)
        no   -0.500  (9 atoms)
    """
    known = explanations[_index(fold, len(explanations))]
    pair = f"{record['source'] or '·'}→{record['target']}"
    blocks = [
        f"{record['cell']}: {record['method']}, {pair}, seed {record['seed']}, "
        f"training fold {fold} of {len(explanations)}"
    ]
    blocks += ["\n".join(_mapping(known["mapping"]))] if known.get("mapping") else []
    rules = [f"{r['weight']:+.3f}  {r['rule']}" for r in known.get("rules", [])]
    blocks += ["\n".join(["rules, with their weights", *rules])] if rules else []
    for i, tree in enumerate(known.get("trees", []), 1):
        blocks.append("\n".join([f"tree {i}", *_branch(tree, "  ")]))
    return "\n".join(map(printable, "\n\n".join(blocks).split("\n")))


def picture(record: records.Record, explanations: list[dict[str, Any]], fold: int, suffix: str) -> bytes:
    """The first trees of one training fold, drawn; `suffix` is the format's."""
    import io

    from matplotlib.figure import Figure

    trees = explanations[_index(fold, len(explanations))].get("trees", [])[:DRAWN]
    if not trees:
        raise BadInput(f"{record['method']} has no trees to draw in {record['cell']}")
    wide = sum(_leaves(t) for t in trees)
    figure = Figure(figsize=(max(6.0, 2.1 * wide), 1.2 + 1.3 * max(map(_depth, trees))), layout="constrained")
    axes = figure.subplots(1, len(trees), gridspec_kw={"width_ratios": [_leaves(t) for t in trees]}, squeeze=False)[0]
    for i, (ax, tree) in enumerate(zip(axes, trees, strict=True), 1):
        ax.set_axis_off()
        ax.set_title(f"tree {i}", fontsize=9)
        _draw(ax, tree, 0.0, 0)
        ax.set_xlim(-0.6, _leaves(tree) - 0.4)
        ax.set_ylim(-max(map(_depth, trees)) - 0.1, 0.5)
    pair = f"{record['source'] or '·'}→{record['target']}"
    figure.suptitle(f"{record['method']}, {pair}, seed {record['seed']}, training fold {fold}", fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix.lstrip("."), dpi=150)
    return buffer.getvalue()


def _index(fold: int, of: int) -> int:
    if not 1 <= fold <= of:
        raise BadInput(f"--fold {fold}: this cell was trained on {of} folds, counted from 1")
    return fold - 1


def _mapping(rows: list[dict[str, Any]]) -> Iterator[str]:
    head = ["predicate of the source", "of the target", "effect", "score"]
    cells = [
        [
            r["source"],
            "–" if r["target"] is None else r["target"] + (" (arguments inverted)" if r.get("inverted") else ""),
            "" if r["target"] is None else "same" if r.get("sign", 1) > 0 else "opposite",
            "" if r.get("score") is None else f"{r['score']:.3g}",
        ]
        for r in rows
    ]
    widths = [max(len(row[j]) for row in [head, *cells]) for j in range(4)]
    for row in [head, *cells]:
        yield "  ".join(
            [*(c.ljust(w) for c, w in zip(row[:3], widths, strict=False)), row[3].rjust(widths[3])]
        ).rstrip()


def _branch(node: dict[str, Any], indent: str) -> Iterator[str]:
    if "test" not in node:
        yield f"{indent}{_leaf(node)}"
        return
    yield indent + node["test"]
    for answer in ("yes", "no"):
        child = node[answer]
        head = f"{indent}  {answer.ljust(3)}  "
        if "test" in child:
            yield head.rstrip()
            yield from _branch(child, indent + " " * 4)
        else:
            yield head + _leaf(child)


def _leaf(node: dict[str, Any]) -> str:
    return f"{node['value']:+.3f}" + (f"  ({node['n']} atoms)" if "n" in node else "")


def _leaves(node: dict[str, Any]) -> int:
    return _leaves(node["yes"]) + _leaves(node["no"]) if "test" in node else 1


def _depth(node: dict[str, Any]) -> int:
    return 1 + max(_depth(node["yes"]), _depth(node["no"])) if "test" in node else 1


def _draw(ax: Any, node: dict[str, Any], left: float, depth: int) -> float:
    """Draw a node whose leaves start at `left`; returns where it stands."""
    if "test" not in node:
        x, label = left, _leaf(node).replace("  ", "\n")
        box = {"boxstyle": "round", "facecolor": "#dbeafe" if node["value"] > 0 else "#fee2e2", "edgecolor": "#888888"}
    else:
        yes = _draw(ax, node["yes"], left, depth + 1)
        no = _draw(ax, node["no"], left + _leaves(node["yes"]), depth + 1)
        x, label = (yes + no) / 2, "\n".join(map(drawable, node["test"].split("), "))).replace("\n", "),\n")
        for child, answer in ((yes, "yes"), (no, "no")):
            ax.plot([x, child], [-depth, -depth - 1], color="#888888", linewidth=1, zorder=1)
            ax.text((x + child) / 2, -depth - 0.5, answer, fontsize=7, ha="center", color="#444444", zorder=2)
        box = {"boxstyle": "square", "facecolor": "white", "edgecolor": "#444444"}
    ax.text(x, -depth, label, fontsize=7, ha="center", va="center", bbox=box, zorder=3)
    return x
