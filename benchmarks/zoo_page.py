"""The page of the zoo, docs/methods.md: what each method does, needs and takes, its paper, where it wins and fails."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from zoo import discover

ACCENTS = {'"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", "c": "\u0327", "v": "\u030c"}
LETTERS = {r"{\ss}": "ß", r"{\o}": "ø", r"{\O}": "Ø", r"{\l}": "ł", r"{\L}": "Ł", r"{\i}": "ı", r"\&": "&", "--": "–"}


def section(family: str, standings: list[dict[str, Any]]) -> str:
    """A heading for each method of a family, in the order of their names."""
    known = [info for info in discover.methods().values() if info.family == family and not info.plugin]
    return "\n".join(_entry(info, [row for row in standings if row["method"] == info.name]) for info in known)


def _entry(info: discover.MethodInfo, rows: list[dict[str, Any]]) -> str:
    parameters = ", ".join(f"`{name} = {value!r}`{_range(info, name)}" for name, value in info.parameters.items())
    facts = [
        f"needs `{', '.join(sorted(info.needs))}` ({info.setting})",
        f"parameters: {parameters}" if parameters else "no parameters",
        *(f"paper: {paper(discover.references()[key.strip()])}" for key in info.cite.split(",") if key),
        *_stands(rows),
    ]
    return f"### {info.name}\n\n{_safe(info.summary)}\n\n" + "".join(f"- {fact}\n" for fact in facts)


def _range(info: discover.MethodInfo, name: str) -> str:
    if name not in info.space:
        return ""
    kind, *ends = info.space[name]
    return f" ({kind}: {', '.join(map(str, ends))})"


def _stands(rows: list[dict[str, Any]]) -> list[str]:
    """Gains over the reference of the method's learner, in points, in every published table that ranks it."""
    if not rows:
        return []
    tables = ", ".join(f"{row['run']} {_signed(row['gain'])} ({row['setting']})" for row in rows)
    best = max(rows, key=lambda row: float(row["best_gain"]))
    worst = min(rows, key=lambda row: float(row["worst_gain"]))
    lost, pairs = (sum(int(row[key]) for row in rows) for key in ("lost", "pairs"))
    ends = [
        f"wins most: {best['run']} {_arrow(best['best_pair'])} {_signed(best['best_gain'])}",
        f"fails most: {worst['run']} {_arrow(worst['worst_pair'])} {_signed(worst['worst_gain'])}"
        f"; below its reference on {lost} of {pairs} pairs",
    ]
    if float(best["best_gain"]) <= 0:
        ends[0] = "wins nowhere"
    if not lost:
        ends[1] = f"fails nowhere: below its reference on none of {pairs} pairs"
    return [f"gain over its reference: {tables}", *ends]


def _signed(text: str) -> str:
    return f"{float(text):+z.1f}".replace("-", "−")


def _arrow(pair: str) -> str:
    return pair.replace(":", "→")


def _safe(text: str) -> str:
    """Literals of reStructuredText as Markdown's; what else Markdown would read as its own is escaped."""
    parts = text.replace("``", "`").split("`")
    return "`".join(part if i % 2 else re.sub(r"([*_<\[])", r"\\\1", part) for i, part in enumerate(parts))


def paper(entry: str) -> str:
    r"""A BibTeX entry in one line: who, what, when.

    >>> paper("@article{k, author = {Peyr{\\'e}, Gabriel and Cuturi, Marco}, title = {{OT}}, year = {2019},}")
    'Peyré and Cuturi, OT, 2019'
    """
    field = {name: _plain(_braced(entry, name)) for name in ("author", "title", "year")}
    names = [name.split(",")[0].strip() for name in field["author"].split(" and ")]
    who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return f"{who}, {field['title']}, {field['year']}"


def _braced(entry: str, name: str) -> str:
    start = re.search(rf"\b{name}\s*=\s*{{", entry)
    if start is None:
        return ""
    depth, at = 1, start.end()
    while depth:
        depth += {"{": 1, "}": -1}.get(entry[at], 0)
        at += 1
    return entry[start.end() : at - 1]


def _plain(text: str) -> str:
    """LaTeX's accents as letters, without its braces."""
    for tex, letter in LETTERS.items():
        text = text.replace(tex, letter)
    text = re.sub(
        r"\\([\"'`^~cv])\s*{?\\?(\w)}?",
        lambda m: unicodedata.normalize("NFC", m[2].replace("ı", "i") + ACCENTS[m[1]]),
        text,
    )
    return re.sub(r"[{}$]", "", text)
