"""`zoo report`: a run as one self-contained HTML page, several as a site; a pure function of records and known names.

Nothing is loaded from anywhere: style, script and records stand in the page, and its policy forbids the rest. What
others wrote (labels, reasons) is text everywhere: Jinja2 escapes it, the script puts it in as text, and only the script
whose hash the policy names runs.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import printable
from zoo.records import Run
from zoo.report import compared
from zoo.report import validators as judged
from zoo.report.cite import Known, bibtex
from zoo.report.page import board, content
from zoo.report.page.blobs import Blobs

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Asked:
    """A run and what its records alone do not tell.

    Attributes
    ----------
    badge : of its last verification
    confusions : class names and counts [true, predicted, n] by cell
    unconfused : why there are none
    """

    run: Run
    badge: str = ""
    confusions: Mapping[str, Any] = field(default_factory=dict)
    unconfused: str = ""


def page(asked: Asked, known: Known, home: str = "") -> str:
    """One run's page.

    Parameters
    ----------
    home : the file of the site's index, if there is one
    """
    run = asked.run
    shown, failures = content.main(run)
    grids, words = compared.parts(run)
    defaults = {name: info.parameters for name, info in known.methods.items()}
    searched = content.selection(run)
    return _render(
        "run.html",
        title=run.meta["suite"].get("name") or "a run",
        home=home,
        main=shown,
        failures=failures,
        selection=searched,
        rules=judged.render(run).splitlines() if run.values else [],
        grids=grids,
        words=[*words, *run.remarks()],
        domains=content.domains(run),
        cite=bibtex(run, known, asked.badge).splitlines(),
        badge=asked.badge,
        unconfused=asked.unconfused,
        blobs=Blobs(run, defaults, asked.confusions),
        families=sorted({row.family for _, rows in shown.table.groups for row in rows}),
        done=content.progress(run),
    )


def site(runs: Mapping[str, Asked], known: Known) -> dict[str, str]:
    """The files of a site, by name: a page for each run, and the index with the leaderboard."""
    files = {f"{name}.html": page(asked, known, "index.html") for name, asked in runs.items()}
    rows = [board.Entry.of(name, asked.run, asked.badge) for name, asked in runs.items()]
    columns, leaders = board.leaders({name: asked.run for name, asked in runs.items()})
    return files | {
        "index.html": _render("index.html", title="Results", entries=rows, columns=columns, leaders=leaders)
    }


def names(folders: Sequence[Path]) -> dict[str, Path]:
    """What the pages of folders are called: what tells their paths apart, in plain letters.

    >>> list(names([Path("results/a/1"), Path("results/a/3"), Path("results/b")]))
    ['a-1', 'a-3', 'b']
    """
    import os
    import re

    paths = [Path(os.path.abspath(folder)) for folder in folders]
    top = Path(os.path.commonpath([p.parent for p in paths]))
    found: dict[str, Path] = {}
    for folder, path in zip(folders, paths, strict=True):
        plain = re.sub(r"[^A-Za-z0-9_.]+", "-", "-".join(path.relative_to(top).parts)).strip("-.") or "run"
        name, n = plain, 1
        while name.lower() in {"index", *map(str.lower, found)}:
            n += 1
            name = f"{plain}-{n}"
        found[name] = folder
    return found


def _render(name: str, **values: Any) -> str:
    style, script = ((HERE / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    digests = {kind: _digest(text) for kind, text in (("style", style), ("script", script))}
    text = _templates().get_template(name).render(style=style, script=script, digests=digests, **values)
    return text + "\n"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda v: v if isinstance(v, Markup) else printable(v),
    )
    made.globals["value"] = content.value
    return made
