"""Base learners as suites write them: a name, perhaps with options, checked and in one form."""

from __future__ import annotations

from typing import Any

from zoo import wrappers
from zoo.errors import BadInput, unknown
from zoo.parameters import cast
from zoo.tasks import Problem, parted


def based(problem: Problem, text: str) -> str:
    """A base learner with the options that are not its defaults, however it was written; of "" the standard one.

    Raises
    ------
    BadInput
        Another name than those of the task, an option that it does not have, a value of the wrong type.
    """
    name, given = parted(text or problem.bases[0])
    if ":" in name:
        own = wrappers.learner(name, problem.name).parameters
        if odd := [option for option in given if option not in own]:
            raise unknown(f"option of base: {name}:", odd[0], own)
        return joined(name, {k: v for k, v in sorted(given.items()) if v != own[k]})
    if name not in problem.bases:
        raise BadInput(f"base: {name}: task: {problem.name} has {', '.join(problem.bases)}")
    known, said = problem.options.get(name, {}), {}
    for option, value in given.items():
        if option not in known:
            raise unknown(f"option of base: {name}:", option, known)
        said[option] = cast(f"base: {name}: {option}", value, known[option])
        if said[option] < 0 or (not said[option] and known[option]):
            raise BadInput(f"base: {name}: {option}: expected more than 0, got {value}")
    return joined(name, {k: v for k, v in sorted(said.items()) if v != known[k]})


def joined(name: str, options: dict[str, Any]) -> str:
    """A base learner as one text.

    >>> joined("svc", {"C": 10.0})
    'svc(C=10.0)'
    """
    return f"{name}({', '.join(f'{k}={v!r}' for k, v in options.items())})" if options else name
