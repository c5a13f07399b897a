"""The contract tests: what every adapter promises, tried on toy pairs; and every validator (`judge`).

The method runs in a process of its own (`far`), which is sent what its needs declare. Verdicts are computed here, where
no line of it runs, from the scores that come back; the labels that they are compared with stay here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo import discover, select
from zoo.check import judge
from zoo.check.contract import others
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
    subject = Subject(info, limit)
    try:
        tests = subject.contract.tests
        first = outcome(needs, subject)
        if not first.ok or first.skipped:  # it did not fit, so nothing else can be said
            return [first, outcome(citation, subject)]
        found = [first, *(outcome(test, subject) for test in tests)]
    finally:
        subject.end()
    for other in others(info):
        subject = Subject(info, limit, other)
        try:
            found += [outcome(test, subject) for test in other.tests]
        finally:
            subject.end()
    return [*found, outcome(citation, subject)]
