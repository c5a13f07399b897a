"""The contract tests: what every adapter promises, tried on toy pairs; and every validator (`judge`).

The method runs in a process of its own (`far`), which is sent what its needs declare. Verdicts are computed here, where
no line of it runs, from the scores that come back; the labels that they are compared with stay here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from zoo import discover, select
from zoo.check import judge, streams
from zoo.check.contract import contracts
from zoo.check.subject import LIMIT, Outcome, Subject, citation, needs, outcome

__all__ = ["Outcome", "run"]


def run(method: str | Path, plugins: Sequence[Path] = (), limit: float = LIMIT) -> list[Outcome]:
    """Run the contract tests on a known method or validator, or on that in a file.

    Parameters
    ----------
    limit : seconds that each test may take

    Raises
    ------
    BadInput
        There is no such method, its file breaks a rule that is read from the source, or cannot be imported; its kind of
        data has no tests.
    """
    if (validator := judge.found(method)) is not None:
        return judge.run(validator, limit)
    if str(method).endswith(".py"):
        known = discover.methods([*plugins, Path(method)])  # refuses what cannot be resolved
        path = Path(method).resolve()
        info = next(i for i in known.values() if i.path == path)
    else:
        known = discover.methods(plugins)
        if str(method) not in known:
            raise discover.unknown("method", str(method), [*known, *select.validators()])
        info = known[str(method)]
    found: list[Outcome] = []
    for c in contracts(info)[: 1 if streams.only(info) else None]:
        found += _tried(Subject(info, limit, c), anew=not found or c.task != "classification")
        if len(found) == 1:  # it did not fit
            break
    return [*found, outcome(citation, Subject(info, limit))]


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
