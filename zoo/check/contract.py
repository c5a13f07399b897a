"""What the contract tests of a kind of data are: a toy pair, and the promises that are tried on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from zoo import discover
from zoo.errors import BadInput

if TYPE_CHECKING:
    from zoo.check.subject import Subject
    from zoo.discover import MethodInfo

PLAIN = "samples"  # the kind of a method that needs no noun


class Contract:
    """The public subclass in the file of ``zoo/check/`` that is called as the kind holds the methods of that kind.

    Attributes
    ----------
    tests : in the order of the printout, after that of the needs and before that of the citation
    n_classes : of the toy pair, or the 1 of values
    task : a file of ``zoo/tasks/``: what is predicted
    all_see_it : whether baselines see all that the learner sees, and may so be compared with it
    net : the network that is trained on it
    opens : whether its toy pair can have classes that are unknown, ``toy(unknown=True)``
    """

    tests: ClassVar[tuple[Callable[[Subject], str | None], ...]] = ()
    n_classes: ClassVar[int] = 2
    task: ClassVar[str] = "classification"
    all_see_it: ClassVar[bool] = True
    net: ClassVar[str] = "mlp"
    opens: ClassVar[bool] = False

    def toy(self, **how: Any) -> Any:
        """A toy pair: ``fields(device, use)`` are what a task may grant, ``asked`` is what `predict` gets."""
        raise NotImplementedError

    def concerns(self, info: MethodInfo) -> bool:
        """Whether a method that needs no noun is tried on this kind as well."""
        return True

    def beside(self, use: str) -> set[str]:
        """Fields that are sent for the learner, with those that the method needs."""
        return set()


def contracts(info: MethodInfo) -> list[Contract]:
    """The contracts of the kind whose nouns a method needs; of samples, and further kinds without nouns, where it needs
    none; and of other tasks.

    Raises
    ------
    BadInput
        There are no tests for that kind.
    """
    known, kinds = discover.contracts(), discover.kinds()
    own = [name for name, kind in kinds.items() if info.needs & set(kind.nouns)] or [PLAIN]
    if not (there := [name for name in own if name in known]):
        raise BadInput(f"{info.path}: there are no contract tests of methods on {own[0]} (zoo/check/{own[0]}.py)")
    beside = [n for n in known if n in kinds and n != PLAIN and not kinds[n].nouns] if own == [PLAIN] else []
    chosen = [there[0], *sorted(info.tasks & known.keys()), *beside]
    found: list[Contract] = [discover.load(known[name])() for name in chosen]
    return [c for c in found if c.task in info.tasks and c.concerns(info)]
