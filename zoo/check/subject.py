"""The method under test as its judges see it: handles of what was fitted in its own process, and what these gave."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from zoo import discover
from zoo.check.contract import Contract, contracts
from zoo.check.near import Failure, Far, Hung, NotImported, Raised, clean
from zoo.discover import MethodInfo
from zoo.errors import BadInput, LeakError, Unsupported
from zoo.label_sets import OPEN
from zoo.task import FIELDS
from zoo.train import Budget

BUDGET = Budget(steps=150, batch_size=32, learning_rate=2e-3, precision="fp32")
BRIEF = replace(BUDGET, steps=5)  # where only crashes count
EXACT, ROUNDING = 1e-6, 1e-5  # of a deterministic method; of one model applied to other rows
LIMIT = 120.0  # seconds that one test may take


@dataclass(frozen=True)
class Outcome:
    """What one contract test gave. `detail` says what is wrong, or why it was skipped."""

    name: str
    ok: bool
    detail: str = ""
    skipped: bool = False


class Skip(Exception):
    """The test has no meaning for this adapter."""


@dataclass(frozen=True)
class Fitted:
    """An adapter that has been fitted, in the process where it lives."""

    far: Far
    name: str
    leaks: tuple[str, ...] = ()
    itself: bool = True
    scores_t: bool = False


class Subject:
    """A method with what is known of it; has it fitted on toy pairs.

    Parameters
    ----------
    limit : seconds that each test may take
    contract : the tests, where not those of its own kind
    """

    def __init__(self, info: MethodInfo, limit: float = LIMIT, contract: Contract | None = None) -> None:
        self.info, self.limit = info, limit
        self.deadline = time.monotonic() + limit
        self.hung = False
        self._far: Far | None = None
        self._contract = contract
        self._first: Fitted | None = None
        self._count = 0
        self._spoils: dict[str, list[str]] | None = None

    @cached_property
    def contract(self) -> Contract:
        """The tests, and the toy pair, of its kind of data."""
        return self._contract or contracts(self.info)[0]

    @property
    def open(self) -> bool:
        """Whether all tests are of open label sets, since it is for no others."""
        return self.contract.opens and self.info.label_sets <= OPEN

    @property
    def columns(self) -> int:
        """How many scores a sample gets, but in the tests of open label sets."""
        return self.contract.n_classes + self.open

    def toy(self, **how: Any) -> Any:
        """A toy pair, with a class that is unknown where all tests are of open label sets."""
        return self.contract.toy(**({"unknown": True} if self.open else {}), **how)

    @cached_property
    def pair(self) -> Any:
        """The toy pair that most tests look at."""
        return self.toy()

    @property
    def use(self) -> str:
        """Which learner it trains here; 'both' and 'own' are tried with the base classifier."""
        return "net" if self.info.learner == "net" else "base"

    @property
    def far(self) -> Far:
        """The process with the method; a new one where the last has ended."""
        if self._far is None or self._far.ended:
            self._far = Far()
            self._far.ask("load", self.deadline, info=self.info)
        return self._far

    @property
    def fitted(self) -> Fitted:
        """Fitted on the toy pair, once for all tests that look at it only."""
        if self._first is None or self._first.far.ended:
            self._first = self.fit()
        return self._first

    def task(
        self,
        pair: Any,
        *,
        seed: int = 0,
        budget: Budget = BUDGET,
        more: Iterable[str] = (),
        without: Iterable[str] = (),
        **rest: Any,
    ) -> Any:
        """What the far side makes a task of: no label of the target but for a method that is granted them."""
        fields, _ = pair.fields("cpu", self.use)
        granted = {*self.info.needs, *more} | ({"Xs", "ys"} if "model" in self.info.needs else set())
        granted = granted.union(self.contract.beside(self.use)) - {*without}
        return {
            "fields": {k: v for k, v in fields.items() if k in granted},
            "budget": budget,
            "use": self.use,
            "net": self.contract.net,
            "n_classes": self.contract.n_classes,
            "columns": self.columns,
            "predicts": self.contract.task,
            "seed": seed,
            "more": tuple(more),
            **rest,
        }

    def fit(self, pair: Any = None, again: Fitted | None = None, params: Any = None, **task: Any) -> Fitted:
        """Fit a new adapter, or one `again`; on the toy pair unless another is given."""
        self._count += 1
        name, far = f"fit {self._count}", again.far if again else self.far
        task = self.task(self.pair if pair is None else pair, **task)
        answer = far.ask("fit", self.deadline, name=name, task=task, again=again.name if again else "", params=params)
        leaks, itself, scores_t = expect(answer, leaks=list, itself=bool, scores_t=bool)
        return Fitted(far, name, tuple(f for f in FIELDS if f in leaks), itself, scores_t)

    def given(self, fitted: Fitted, rule: str, *arguments: Any) -> tuple[str, Tensor | None]:
        """What a rule of a fitted adapter gave: the name of its type, and if that is a tensor its values."""
        answer = fitted.far.ask("scores", self.deadline, name=fitted.name, rule=rule, arguments=arguments)
        (gives,) = expect(answer, gives=str)
        scores = answer.get("scores")
        return clean(gives), None if scores is None else torch.tensor(scores)

    def predict(self, fitted: Fitted, *arguments: Any, rule: str = "predict") -> Tensor:
        """Scores by a rule of a fitted adapter."""
        gives, scores = self.given(fitted, rule, *arguments)
        require(scores is not None, f"{rule} gives a {gives}, not a tensor")
        assert scores is not None
        require(scores.dim() == 2, f"{rule} has shape {list(scores.shape)}")
        return scores

    def place(self, fitted: Fitted, rule: str) -> str:
        """Where in the method's file a rule gives what it gives, by its own word, to stand behind a sentence."""
        said = fitted.far.ask("place", self.deadline, name=fitted.name, rule=rule)
        return f" {place}" if (place := clean(expect(said, place=str)[0])) else ""

    def params(self, fitted: Fitted | None = None) -> Any:
        """`get_params` of a fitted adapter, or of a new one."""
        far = fitted.far if fitted else self.far
        return expect(far.ask("params", self.deadline, name=fitted.name if fitted else ""), params=dict)[0]

    def spoils(self, what: str, task: dict[str, Any], rule: str, *arguments: Any) -> list[str]:
        """What is written into, ``shared`` or ``state``, by a fit and a prediction in a process of its own."""
        if self._spoils is None:
            far = Far()
            request = {"info": self.info, "task": task, "rule": rule, "arguments": arguments}
            answer = far.ask("spoils", self.deadline, **request)
            far.end()
            shared, state = expect(answer, shared=list, state=list)
            self._spoils = {"shared": [clean(s) for s in shared], "state": [clean(s) for s in state]}
        return self._spoils[what]

    def settle(self) -> None:
        """Failure where the process has said more than it was asked."""
        if self._far and not self._far.ended:
            self._far.ask("settle", self.deadline)

    def end(self) -> None:
        """End the process."""
        if self._far:
            self._far.end()


def expect(answer: dict[str, Any], **types: type) -> list[Any]:
    """Values of an answer; Failure where one is missing or of another type."""
    for name, kind in types.items():
        require(isinstance(answer.get(name), kind), "the method's process gives a malformed answer")
    return [answer[name] for name in types]


def outcome(test: Callable[[Subject], str | None], subject: Subject) -> Outcome:
    """Try one test, within its time."""
    name = test.__name__.replace("_", " ")
    if subject.hung:
        return Outcome(name, False, "not tried, for an earlier test took too long")
    subject.deadline = time.monotonic() + subject.limit
    try:
        detail = test(subject) or ""
        subject.settle()
        return Outcome(name, True, detail)
    except (Skip, Unsupported) as e:
        return Outcome(name, True, str(e), skipped=True)
    except Hung:
        subject.hung = True
        return Outcome(name, False, f"takes more than {subject.limit:g} s")
    except Failure as e:
        return Outcome(name, False, str(e))
    except NotImported as e:
        raise BadInput(str(e)) from None
    except (LeakError, Raised, FloatingPointError) as e:
        says = str(e) if isinstance(e, LeakError | Raised) else f"{type(e).__name__}: {e}"
        return Outcome(name, False, f"{says}{where(e, subject)}")
    except Exception as e:  # typed ones of the method that this test did not expect, or a fault of ours
        return Outcome(name, False, f"{type(e).__name__}: {clean(e)}{where(e, subject)}")


def where(error: Exception, subject: Subject) -> str:
    """The line of the method's file that raised."""
    line = getattr(error, "line", 0)
    return f" ({subject.info.path}:{line})" if line else ""


def require(condition: bool, why: str) -> None:
    """Failure unless the condition holds."""
    if not condition:
        raise Failure(why)


def require_scores(given: tuple[str, Tensor | None], n: int, n_classes: int, what: str) -> None:
    """Failure unless it is class scores [n, n_classes]."""
    gives, scores = given
    require(scores is not None, f"{what} gives a {gives}, not a tensor")
    assert scores is not None
    shape = [n, n_classes]
    require(list(scores.shape) == shape, f"{what} has shape {list(scores.shape)}, not {shape}")
    require(bool(torch.isfinite(scores).all()), f"{what} is not finite")
    require(bool((scores >= 0).all()), f"{what} is negative somewhere")
    off = float((scores.double().sum(1) - 1).abs().max())
    require(off < 1e-4, f"rows of {what} do not sum to 1 (off by {off:.2g})")


def difference(a: Tensor, b: Tensor) -> float:
    """The largest difference of two tensors, which a method may have given in different shapes."""
    require(a.shape == b.shape, f"scores of {list(a.shape)} stand against {list(b.shape)}")
    return float((a.double() - b.double()).abs().max()) if a.numel() else 0.0


def needs(s: Subject) -> None:
    """It reads the fields that it declares and no others, also not behind an ``except``."""
    leaks = s.fitted.leaks
    require(not leaks, f"fit reads task.{', task.'.join(leaks)}, which needs do not name")
    require(s.fitted.itself, "fit does not return self")


def citation(s: Subject) -> str | None:
    """Its citation is in ``zoo/refs.bib``."""
    if not s.info.cite:
        require(s.info.plugin or s.info.family == "baseline", "no citation")
        return "none given"
    known = discover.references()
    require(s.info.cite in known, str(discover.unknown("reference in zoo/refs.bib", s.info.cite, known)))
    return None
