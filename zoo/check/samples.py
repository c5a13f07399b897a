"""The contract tests: what every adapter promises, tried on toy pairs.

A toy pair is three Gaussian classes, moved a little in the target; for methods on graphs the classes are those of a
stochastic block model. An adapter is given what its needs declare.
"""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from zoo import discover
from zoo.check_graphs import toy_graphs
from zoo.discover import MethodInfo
from zoo.errors import Diverged, LeakError, Unsupported
from zoo.learners import Learner
from zoo.seeds import derive
from zoo.task import Task
from zoo.train import Budget

CLASSES, WIDTH, LABELS = 3, 6, 3
CHANCE = 1 / CLASSES
BUDGET = Budget(steps=150, batch_size=32, learning_rate=2e-3, precision="fp32")
BRIEF = replace(BUDGET, steps=5)  # where only crashes count
EXACT, ROUNDING = 1e-6, 1e-5  # of a deterministic method; of one model applied to other rows
HARM, CLOSE = 0.05, 0.1  # differences in accuracy


@dataclass(frozen=True)
class Outcome:
    """What one contract test gave. `detail` says what is wrong, or why it was skipped."""

    name: str
    ok: bool
    detail: str = ""
    skipped: bool = False


def run(method: str | Path, plugins: Sequence[Path] = ()) -> list[Outcome]:
    """Run the contract tests on a known method, or on the adapter in a file.

    Raises
    ------
    BadInput
        There is no such method, or its file breaks a rule that is read from the source.
    """
    if str(method).endswith(".py"):
        path = Path(method).resolve()
        known = discover.methods([*plugins, Path(method)])
        info = next(i for i in known.values() if i.path == path)
    else:
        known = discover.methods(plugins)
        if str(method) not in known:
            raise discover.unknown("method", str(method), known)
        info = known[str(method)]
    subject = Subject(info, discover.load(info))
    if info.needs & {"Fs", "Ft"}:
        from zoo import check_facts

        return [_outcome(test, subject) for test in (*check_facts.TESTS, citation)]
    first = _outcome(needs, subject)
    if not first.ok or first.skipped:  # it did not fit, so nothing else can be said
        return [first, _outcome(citation, subject)]
    return [first, *(_outcome(test, subject) for test in (*TESTS, citation))]


def _outcome(test: Callable[[Subject], str | None], subject: Subject) -> Outcome:
    name = test.__name__.replace("_", " ")
    try:
        return Outcome(name, True, test(subject) or "")
    except (Skip, Unsupported) as e:
        return Outcome(name, True, str(e), skipped=True)
    except Failure as e:
        return Outcome(name, False, str(e))
    except Exception as e:  # a plugin is a stranger's code
        return Outcome(name, False, f"{type(e).__name__}: {' '.join(str(e).split())}{_line(e, subject.info.path)}")


class Failure(Exception):
    """The adapter broke the contract."""


class Skip(Exception):
    """The test has no meaning for this adapter."""


# Toys -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Pair:
    """Source, target and K labelled target samples; `X`, `y` is a test set of the target."""

    Xs: Tensor
    ys: Tensor
    Xt: Tensor
    yt: Tensor
    Xl: Tensor
    yl: Tensor
    X: Tensor
    y: Tensor

    def reordered(self, order: Tensor) -> Pair:
        return replace(self, Xt=self.Xt[order], yt=self.yt[order])

    def mapped(self, source: Callable[[Tensor], Tensor], target: Callable[[Tensor], Tensor]) -> Pair:
        """With other features."""
        return replace(self, Xs=source(self.Xs), Xt=target(self.Xt), Xl=target(self.Xl), X=target(self.X))

    def fields(self, device: Any, use: str) -> tuple[dict[str, Any], Any]:
        """What a task may grant; no graphs."""
        found = {k: getattr(self, k).to(device) for k in ("Xs", "ys", "Xt", "yt", "Xl", "yl")}
        return found, None


def toy(shift: float = 1.0, n_s: int = 150, n_t: int = 120, seed: int = 0, width: int = WIDTH) -> Pair:
    """Gaussian classes; the target is moved and stretched, by less than the classes are apart."""
    g = torch.Generator().manual_seed(derive("toy", seed))

    def draw(n: int, shift: float) -> tuple[Tensor, Tensor]:
        y = (torch.arange(n) % CLASSES)[torch.randperm(n, generator=g)]
        X = 3 * torch.eye(CLASSES, width)[y] + torch.randn(n, width, generator=g)
        return (1 + 0.2 * shift) * X + 0.5 * shift, y

    few, fl = draw(CLASSES * LABELS, shift)
    return Pair(*draw(n_s, 0.0), *draw(n_t, shift), few, fl, *draw(600, shift))


@lru_cache(maxsize=8)
def _source_model(pair: Any, budget: Budget) -> Any:
    fields, graphs = pair.fields("cpu", "net")
    return _learner(budget, "net", graphs).fit(fields["Xs"], fields["ys"], CLASSES)


def _learner(budget: Budget, use: str, graphs: Any = None) -> Learner:
    net = "mlp" if graphs is None else "gcn"
    return Learner(base="logistic", net=net, budget=budget, seed=0, use=use, graphs=graphs)


class Watched(Task):
    """A task that remembers undeclared reads, also those whose LeakError the adapter swallows."""

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except LeakError:
            self.__dict__.setdefault("leaks", set()).add(name)
            raise


# The adapter under test -----------------------------------------------------------------------------------------------


class Subject:
    """An adapter's class with what is known of it; fits it on toy pairs. `fitted` is what the first test fitted."""

    fitted: Any

    def __init__(self, info: MethodInfo, cls: Any) -> None:
        self.info, self.cls = info, cls
        self.graphs = bool(info.needs & {"As", "At"})
        self.pair = self.toy()

    def toy(self, **how: Any) -> Any:
        """A toy pair of samples, or of graphs."""
        return toy_graphs(**how) if self.graphs else toy(**how)

    @property
    def use(self) -> str:
        """Which learner it trains here; 'both' and 'own' are tried with the base classifier."""
        return "net" if self.info.learner == "net" else "base"

    def task(
        self, pair: Any, *, seed: int = 0, budget: Budget = BUDGET, device: str = "cpu", more: Iterable[str] = ()
    ) -> Watched:
        fields, graphs = pair.fields(device, self.use)
        fields["ds"] = torch.arange(len(pair.Xs), device=device) % 2
        if "model" in self.info.needs:
            fields["model"] = copy.deepcopy(_source_model(pair, budget)).to(device)
        needs, learner = self.info.needs | set(more), _learner(budget, self.use, graphs)
        return Watched(fields, needs=needs, learner=learner, n_classes=CLASSES, device=device, seed=seed)

    def fit(self, pair: Any = None, adapter: Any = None, **task: Any) -> Any:
        adapter = self.cls() if adapter is None else adapter
        return adapter.fit(self.task(pair or self.pair, **task))

    def scores(self, adapter: Any, pair: Any = None) -> Tensor:
        """Scores of the target samples that it was fitted on."""
        if self.info.transductive_only:
            return adapter.scores_t()
        return adapter.predict((pair or self.pair).Xt)

    def accuracy(self, adapter: Any, pair: Any = None) -> float:
        """On the test set, or on Xt where it has no rule for other samples."""
        pair = pair or self.pair
        if self.info.transductive_only:
            return _accuracy(adapter.scores_t(), pair.yt)
        return _accuracy(adapter.predict(pair.X), pair.y)


def _accuracy(scores: Tensor, y: Tensor) -> float:
    return float((scores.argmax(1) == y).double().mean())


def _difference(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).abs().max())


def _require(condition: bool, why: str) -> None:
    if not condition:
        raise Failure(why)


def _require_scores(scores: Any, n: int, what: str) -> None:
    _require(isinstance(scores, Tensor), f"{what} gives a {type(scores).__name__}, not a tensor")
    _require(tuple(scores.shape) == (n, CLASSES), f"{what} has shape {list(scores.shape)}, not {[n, CLASSES]}")
    _require(bool(torch.isfinite(scores).all()), f"{what} is not finite")
    _require(bool((scores >= 0).all()), f"{what} is negative somewhere")
    off = float((scores.double().sum(1) - 1).abs().max())
    _require(off < 1e-4, f"rows of {what} do not sum to 1 (off by {off:.2g})")


# The tests: a name in the order of the printout, a docstring that says what is promised -------------------------------


def needs(s: Subject) -> None:
    """It reads the fields that it declares and no others, also not behind an ``except``."""
    s.fitted = fitted_on_what_it_declares(s, s.task(s.pair))


def fitted_on_what_it_declares(s: Subject, task: Task) -> Any:
    """The method fitted; Failure if it reads a field that its needs do not name, or returns something else."""
    try:
        fitted = s.cls().fit(task)
    except LeakError as e:
        raise Failure(f"{e}{_line(e, s.info.path)}") from e
    leaks = vars(task).get("leaks")
    _require(not leaks, f"fit reads task.{', task.'.join(sorted(leaks or ()))}, which needs do not name")
    _require(isinstance(fitted, s.cls), "fit does not return self")
    return fitted


def shapes(s: Subject) -> None:
    """Scores are finite, non-negative [n, n_classes]; their rows sum to 1."""
    if not s.info.transductive_only:
        _require_scores(s.fitted.predict(s.pair.X), len(s.pair.X), "predict(X)")
        if s.graphs and s.use == "base":
            _require_scores(s.fitted.predict(s.pair.Xs, s.pair.As), len(s.pair.Xs), "predict(X, A) of the source")
        else:
            Xs = s.pair.fields("cpu", s.use)[0]["Xs"]
            _require_scores(s.fitted.predict_source(Xs), len(s.pair.Xs), "predict_source(X)")
    if hasattr(s.fitted, "scores_t"):
        _require_scores(s.fitted.scores_t(), len(s.pair.Xt), "scores_t()")
    elif s.info.transductive_only:
        raise Failure("transductive_only, but there is no scores_t()")


def row_wise(s: Subject) -> None:
    """The scores of a subset, a permutation or a single sample are those rows of the scores."""
    if s.info.transductive_only:
        raise Skip("transductive only")
    X = s.pair.X
    whole = s.fitted.predict(X)
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(1))
    for what, rows in (("a permutation", order), ("a subset", order[:40]), ("one sample", order[:1])):
        off = _difference(s.fitted.predict(X[rows]), whole[rows])
        _require(off < ROUNDING, f"{what} of the samples is scored differently than among all (by {off:.2g})")


def target_order(s: Subject) -> str | None:
    """Permuting Xt permutes the predictions (where not deterministic: keeps the accuracy)."""
    if "Xt" not in s.info.needs:
        raise Skip("needs no Xt")
    order = torch.randperm(len(s.pair.Xt), generator=torch.Generator().manual_seed(2))
    pair = s.pair.reordered(order)
    other = s.fit(pair)
    if s.info.deterministic:
        off = _difference(s.scores(other, pair), s.scores(s.fitted)[order])
        _require(
            off < EXACT, f"after permuting Xt the same samples score differently (by {off:.2g}; sums want float64)"
        )
        return None
    before, after = s.accuracy(s.fitted), s.accuracy(other, pair)
    _require(abs(before - after) < CLOSE, f"permuting Xt changes the accuracy from {before:.1%} to {after:.1%}")
    return f"{before:.1%} and {after:.1%}"


def same_seed(s: Subject) -> None:
    """The same seed gives the same predictions."""
    off = _difference(s.scores(s.fit()), s.scores(s.fitted))
    _require(off == 0, f"two fits with the same seed differ (by {off:.2g}): draw from task.generator or b.generator")


def deterministic(s: Subject) -> None:
    """What says so draws no random numbers: another seed changes nothing."""
    if not s.info.deterministic:
        raise Skip("does not say so")
    off = _difference(s.scores(s.fit(seed=1)), s.scores(s.fitted))
    _require(off < EXACT, f"deterministic = True, but another seed changes the scores (by {off:.2g})")


def target_labels(s: Subject) -> None:
    """Overwriting the labels of Xt, wherever they are in this process, changes nothing."""
    if "yt" in s.info.needs:
        raise Skip("an oracle is given them")
    s.pair.yt.copy_(s.pair.yt.roll(1))
    try:
        off = _difference(s.scores(s.fit()), s.scores(s.fitted))
    finally:
        s.pair.yt.copy_(s.pair.yt.roll(-1))
    if off and _difference(s.scores(s.fit()), s.scores(s.fitted)):
        raise Skip("two fits on the same task differ, so this cannot be told")
    _require(off == 0, f"the scores depend on the target's labels, which it is not given (by {off:.2g})")


def better_than_chance(s: Subject) -> str:
    """It solves a toy pair: three classes, mildly shifted."""
    _not_chance_itself(s)
    got = s.accuracy(s.fitted)
    _require(got > CHANCE + 0.2, f"accuracy {got:.1%} on the toy pair, where chance is {CHANCE:.1%}")
    return f"{got:.1%}"


def no_harm(s: Subject) -> str:
    """Without a shift it is hardly worse than its learner without adaptation."""
    _not_chance_itself(s)
    if s.graphs and s.info.family == "baseline":
        raise Skip("a baseline that sees less than the learner")
    pair = s.toy(shift=0.0)
    few = {"Xl", "yl"} & s.info.needs and "Xt" not in s.info.needs
    reference = "labelled_only" if few else "source_only"
    X, y = (pair.Xl, pair.yl) if few else (pair.Xs, pair.ys)
    use = "net" if "model" in s.info.needs else s.use
    test, labels = (pair.Xt, pair.yt) if s.info.transductive_only else (pair.X, pair.y)
    if s.graphs:
        fields, graphs = pair.fields("cpu", use)
        X = fields["Xl" if few else "Xs"]
        X, test = (X, test) if use == "net" else (pair.As.x[X], pair.At.x[test])
        plain = _accuracy(_learner(BUDGET, use, graphs).fit(X, y, CLASSES).predict(test), labels)
    else:
        plain = _accuracy(_learner(BUDGET, use).fit(X, y, CLASSES).predict(test), labels)
    got = s.accuracy(s.fit(pair), pair)
    _require(got > plain - HARM, f"accuracy {got:.1%} where there is no shift, {reference} has {plain:.1%}")
    return f"{got:.1%}; {reference} {plain:.1%}"


def refit(s: Subject) -> None:
    """The constructor only stores; a fitted adapter, and a clone of its parameters, fit again as if new."""
    _require(s.cls().get_params() == s.info.parameters, "the constructor does not store its parameters as they are")
    adapter = s.fit(s.toy(seed=1), budget=BRIEF)  # what it learns there must not be felt later
    params = adapter.get_params()
    _require(params == s.info.parameters, f"fit changes the parameters to {params}")
    for what, again in (("a fitted adapter", adapter), ("a clone", s.cls(**params))):
        off = _difference(s.scores(s.fit(adapter=again)), s.scores(s.fitted))
        _require(off == 0, f"{what} fitted again scores differently than a new one (by {off:.2g})")


def uneven_sizes(s: Subject) -> None:
    """Many more target than source samples, or the reverse, do not crash it."""
    for n_s, n_t in ((12, 300), (300, 8)):
        _survives(s, s.toy(n_s=n_s, n_t=n_t))


def more_features_than_samples(s: Subject) -> None:
    """Covariances without full rank do not crash it."""
    _survives(s, s.toy(n_s=30, n_t=24, width=60))


def duplicate_rows(s: Subject) -> None:
    """Samples that occur several times do not crash it."""
    p = s.pair
    half = torch.arange(len(p.Xs)) % (len(p.Xs) // 4), torch.arange(len(p.Xt)) % (len(p.Xt) // 4)
    _survives(s, replace(p, Xs=p.Xs[half[0]], ys=p.ys[half[0]], Xt=p.Xt[half[1]], yt=p.yt[half[1]]))


def constant_column(s: Subject) -> None:
    """A feature that never varies does not crash it."""

    def flat(X: Tensor) -> Tensor:
        return torch.cat([X[:, :-1], torch.full_like(X[:, -1:], 2.0)], 1)

    _survives(s, s.pair.mapped(flat, flat))


def one_target_class(s: Subject) -> None:
    """A target of one class only gives scores, or a reason."""
    p, only = s.pair, s.pair.yt == 0
    _survives(s, replace(p, Xt=p.Xt[only], yt=p.yt[only]), or_says_why=True)


def far_apart(s: Subject) -> None:
    """Domains so far apart that kernels between them underflow give scores, or a reason."""
    _survives(s, s.pair.mapped(lambda X: X, lambda X: X + 1e4), or_says_why=True)


def large_features(s: Subject) -> None:
    """Features a million times larger give scores, or a reason."""
    _survives(s, s.pair.mapped(lambda X: X * 1e6, lambda X: X * 1e6), or_says_why=True)


def shared_results(s: Subject) -> None:
    """It does not write into what it shares with other methods."""
    kept: list[tuple[Tensor, int]] = []

    def memo(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        value = function(*arguments, **options)
        kept.extend((t, t._version) for t in tree_iter(value) if isinstance(t, Tensor))
        return value

    task = s.task(s.pair, budget=BRIEF)
    task.memo = memo
    s.cls().fit(task)
    _require(all(t._version == before for t, before in kept), "fit writes into a result of task.shared")


def one_target_sample(s: Subject) -> None:
    """A single target sample does not crash it."""
    _survives(s, replace(s.pair, Xt=s.pair.Xt[:1], yt=s.pair.yt[:1]))


def labels_too(s: Subject) -> None:
    """A deep adapter trains with labelled target samples as well, where a suite has some."""
    if s.info.kind != "deep":
        raise Skip("not deep")
    _require_scores(s.fit(budget=BRIEF, more=("Xl", "yl")).predict(s.pair.X), len(s.pair.X), "predict(X)")


def device_agnostic(s: Subject) -> None:
    """Training steps run on the meta device, with no device context: what makes a tensor elsewhere fails."""
    if not (s.info.kind == "deep" or (s.info.kind == "parameter" and {"Xl", "yl"} <= s.info.needs)):
        raise Skip("trains no network by a penalty")
    if s.cls.host_sync:
        raise Skip("host_sync = True: it needs numbers on the host")
    task, adapter = s.task(s.pair, budget=BRIEF, device="meta"), s.cls()
    with _OneDevice():
        (task.learner.train if s.info.kind == "deep" else task.learner.tune)(task, adapter)


def citation(s: Subject) -> str | None:
    """Its citation is in ``zoo/refs.bib``."""
    if not s.info.cite:
        _require(s.info.plugin or s.info.family == "baseline", "no citation")
        return "none given"
    known = discover.references()
    _require(s.info.cite in known, str(discover.unknown("reference in zoo/refs.bib", s.info.cite, known)))
    return None


TESTS = (
    shapes,
    row_wise,
    target_order,
    same_seed,
    deterministic,
    target_labels,
    better_than_chance,
    no_harm,
    refit,
    uneven_sizes,
    more_features_than_samples,
    duplicate_rows,
    constant_column,
    one_target_class,
    far_apart,
    large_features,
    one_target_sample,
    shared_results,
    labels_too,
    device_agnostic,
)


def _survives(s: Subject, pair: Any, or_says_why: bool = False) -> None:
    try:
        adapter = s.fit(pair, budget=BRIEF)
    except (FloatingPointError, Diverged):  # a typed failure with its reason, not an accident
        if or_says_why:
            return
        raise
    n = len(pair.Xt) if s.info.transductive_only else len(pair.X)
    _require_scores(adapter.scores_t() if s.info.transductive_only else adapter.predict(pair.X), n, "the scores")


def _not_chance_itself(s: Subject) -> None:
    if s.info.family == "baseline" and s.info.learner == "own":
        raise Skip("a baseline without a learner is chance itself")


def _line(e: BaseException, path: Path) -> str:
    own = [f for f in traceback.extract_tb(e.__traceback__) if f.filename == str(path)]
    return f" ({path}:{own[-1].lineno})" if own else ""


class _OneDevice(TorchDispatchMode):
    """Refuses what a GPU would refuse and the meta device lets pass: CPU tensors in matrix products."""

    MIXED = {torch.ops.aten.index.Tensor, torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [t for t in tree_iter((args, kwargs)) if isinstance(t, Tensor)]
        if func not in self.MIXED and any(t.is_meta for t in tensors):
            astray = [t for t in tensors if t.dim() and not t.is_meta]
            if astray:
                made = f"{list(astray[0].shape)} made on the {astray[0].device}"
                raise RuntimeError(f"a tensor {made} meets one of the batch's device in {func}")
        return func(*args, **(kwargs or {}))
