"""The contract tests: what every adapter promises, tried on toy pairs; of other plugins see `plugins`.

The method runs in a process of its own (`far`), which is sent what its needs declare. Verdicts are computed here, where
no line of it runs, from the scores that come back; the labels that they are compared with stay here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo import discover, plugged
from zoo.check import streams
from zoo.check.contract import contracts
from zoo.check.subject import LIMIT, Outcome, Subject, citation, needs, outcome
from zoo.errors import BadInput

__all__ = ["Outcome", "run"]


def run(method: str | Path, plugins: Sequence[Path] = (), limit: float = LIMIT) -> list[Outcome]:
    """Run the contract tests on a known method or validator, or on a plugin of any kind, by its name or file.

    Parameters
    ----------
    limit : seconds that each test may take

    Raises
    ------
    BadInput
        There is no such method, its file breaks a rule that is read from the source, or cannot be imported; its kind of
        data has no tests.
    """
    kind, info = _named(str(method), plugins)
    if kind in discover.names("check/plugins"):
        if not info.plugin and kind != "validator":
            raise BadInput(f"{info.name} is the zoo's own: zoo check tries the {kind}s of others")
        tests: list[Outcome] = importlib.import_module(f"zoo.check.plugins.{kind}").run(info, limit)
        return tests
    found: list[Outcome] = []
    for c in contracts(info)[: 1 if streams.only(info) else None]:
        found += _tried(Subject(info, limit, c), anew=not found or c.task != "classification")
        if len(found) == 1:  # it did not fit
            break
    return [*found, outcome(citation, Subject(info, limit))]


def _named(what: str, plugins: Sequence[Path]) -> tuple[str, Any]:
    """What is known of a plugin in a file, or of what is called so: a method, or else another thing; and its kind.

    Raises
    ------
    BadInput
        There is none, or it breaks a rule.
    """
    if what.endswith(".py"):
        kind, path = plugged.of(Path(what)), Path(what)
        known = plugged.found(kind, [*plugins, path])
        return kind, next(i for i in known.values() if i.path == path.resolve())
    every: list[str] = []
    for kind in (plugged.METHOD, *plugged.kinds()):
        known = plugged.found(kind, plugins)
        if what in known:
            return kind, known[what]
        every += known
    raise discover.unknown("method", what, every)


def _tried(subject: Subject, anew: bool) -> list[Outcome]:
    """The tests of one contract, its needs too if `anew`; those of another task than classification say so."""
    what = "" if subject.contract.task == "classification" else f"{subject.contract.task}: "
    try:
        found = [outcome(needs, subject)] if anew else []
        if not found or (found[0].ok and not found[0].skipped):  # else it did not fit, so nothing else can be said
            found += [_outcome(test, subject) for test in subject.contract.tests]
    finally:
        subject.end()
    return [replace(o, name=f"{what}{o.name}") for o in found]


def _outcome(test: Callable[[Subject], str | None], subject: Subject) -> Outcome:
    if streams.alone(subject) and test.__name__ in streams.OTHERS:
        return Outcome(test.__name__.replace("_", " "), True, "adapts to streams alone", skipped=True)
    return outcome(test, subject)
