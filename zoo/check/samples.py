"""The contract tests of methods on samples and on nodes of graphs: a name in the order of the printout, and a promise.

Each asks for observations and judges them; nothing here calls the method.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zoo.check import streams
from zoo.check.contract import Contract
from zoo.check.promised import single
from zoo.check.scored import accuracy, right, scores
from zoo.check.subject import (
    BRIEF,
    BUDGET,
    EXACT,
    ROUNDING,
    Skip,
    Subject,
    difference,
    expect,
    require,
    require_scores,
)
from zoo.check.toys import CLASSES, Pair, toy
from zoo.errors import Diverged
from zoo.kinds import unknown
from zoo.label_sets import OPEN
from zoo.learners import Learner
from zoo.ops.rows import thin
from zoo.promises import counted

CHANCE = 1 / CLASSES
HARM, CLOSE = 0.05, 0.1  # differences in accuracy
SOLVERS = 1e-3  # of scores, where rows of a solver's sums change places
SOURCES = 3
ROUNDED = 1e-2  # of scores, below which another order of float32 sums may be why
OPENLY = "under open label sets"


def shapes(s: Subject) -> None:
    """Scores are finite, non-negative [n, n_classes]; their rows sum to 1."""
    if not s.info.transductive_only:
        require_scores(s.given(s.fitted, "predict", s.pair.X), len(s.pair.X), s.columns, "predict(X)")
        what, rule, arguments = s.pair.of_source(s.use)
        require_scores(s.given(s.fitted, rule, *arguments), len(s.pair.Xs), s.columns, what)
    require(s.fitted.scores_t or not s.info.transductive_only, "transductive_only, but there is no scores_t()")
    if s.fitted.scores_t:
        require_scores(s.given(s.fitted, "scores_t"), len(s.pair.Xt), s.columns, "scores_t()")


def row_wise(s: Subject) -> None:
    """The scores of a subset, a permutation or a single sample are those rows of the scores."""
    if s.info.transductive_only:
        raise Skip("transductive only")
    X = s.pair.X
    if s.info.kind == "mapping" and isinstance(s.pair, Pair):
        for rule, part in (("target", X), ("source", s.pair.Xs)):
            _maps_alone(s, rule, part)
    whole = s.predict(s.fitted, X)
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(1))
    for what, rows in (("a permutation", order), ("a subset", order[:40]), ("one sample", order[:1])):
        off = difference(s.predict(s.fitted, X[rows]), whole[rows])
        require(off < ROUNDING, f"{what} of the samples is scored differently than among all (by {off:.2g})")


def _maps_alone(s: Subject, rule: str, X: Tensor) -> None:
    """A map gives each sample what it gives it among others: what it takes from them it has learnt before."""
    whole = s.predict(s.fitted, X, rule=rule)
    off = difference(s.predict(s.fitted, X[:1], rule=rule), whole[:1]) / (1 + float(whole[:1].abs().max()))
    if off >= ROUNDING:
        asks = "does it use their mean? fit_map is where a map learns from its samples"
        where = s.place(s.fitted, rule)
        require(False, f"{rule}(X) maps a sample otherwise alone than among all (by {off:.2g}): {asks}{where}")


def target_order(s: Subject) -> str | None:
    """Permuting Xt permutes the predictions (where not deterministic: keeps the accuracy)."""
    if "Xt" not in s.info.needs:
        raise Skip("needs no Xt")
    order = torch.randperm(len(s.pair.Xt), generator=torch.Generator().manual_seed(2))
    pair = s.pair.reordered(order)
    other = s.fit(pair)
    if s.info.deterministic:
        off = difference(scores(s, other, pair), scores(s, s.fitted)[order])
        why = f"after permuting Xt the same samples score differently (by {off:.2g})"
        if off < ROUNDED:
            how = "float32 sums depend on the order of their terms: task.Xt.double().mean(0) does not, to 1e-6"
            why += f": {how}; .to(X.dtype) at the end {single(s.info.path)}"
        require(off < EXACT, why.rstrip())
        return None
    before, after = accuracy(s, s.fitted), accuracy(s, other, pair)
    require(abs(before - after) < CLOSE, f"permuting Xt changes the accuracy from {before:.1%} to {after:.1%}")
    return f"{before:.1%} and {after:.1%}"


def same_seed(s: Subject) -> None:
    """The same seed gives the same predictions."""
    off = difference(scores(s, s.fit()), scores(s, s.fitted))
    require(off == 0, f"two fits with the same seed differ (by {off:.2g}): draw from task.generator or b.generator")


def deterministic(s: Subject) -> None:
    """What says so draws no random numbers: another seed changes nothing."""
    if not s.info.deterministic:
        raise Skip("does not say so")
    off = difference(scores(s, s.fit(seed=1)), scores(s, s.fitted))
    require(off < EXACT, f"deterministic = True, but another seed changes the scores (by {off:.2g})")


def target_labels(s: Subject) -> None:
    """Labels of the size of Xt that lie about in its process, and are nobody's, change nothing."""
    if "yt" in s.info.needs:
        raise Skip("an oracle is given them")
    g = torch.Generator().manual_seed(3)
    one, other = (torch.randint(CLASSES, s.pair.yt.shape, generator=g) for _ in range(2))
    first = scores(s, s.fit(bait=one))
    off = difference(scores(s, s.fit(bait=other)), first)
    if off and difference(scores(s, s.fit(bait=one)), first):
        raise Skip("two fits on the same task differ, so this cannot be told")
    require(off == 0, f"the scores depend on the target's labels, which it is not given (by {off:.2g})")


def better_than_chance(s: Subject) -> str:
    """It solves a toy pair: three classes, mildly shifted."""
    _not_chance_itself(s)
    got = accuracy(s, s.fitted)
    require(got > CHANCE + 0.2, f"accuracy {got:.1%} on the toy pair, where chance is {CHANCE:.1%}")
    return f"{got:.1%}"


def no_harm(s: Subject) -> str:
    """Without a shift it knows known classes hardly worse than its learner without adaptation; see `right`."""
    _not_chance_itself(s)
    if s.info.family == "baseline" and not s.contract.all_see_it:
        raise Skip("a baseline that sees less than the learner")
    pair = s.toy(shift=0.0)
    few = {"Xl", "yl"} & s.info.needs and "Xt" not in s.info.needs
    reference = "labelled_only" if few else "source_only"
    plain = _without_adaptation(s, pair, "l" if few else "s")
    # The learner has no other classes; where a method draws the line to unknown ones is what `open_sets` tries.
    got = accuracy(s, s.fit(pair), pair, known=True)
    require(got > plain - HARM, f"accuracy {got:.1%} where there is no shift, {reference} has {plain:.1%}")
    return f"{got:.1%}; {reference} {plain:.1%}"


def _without_adaptation(s: Subject, pair: Any, part: str) -> float:
    """The accuracy of the learner trained on the source ``s``, or on the labelled target samples ``l``, alone."""
    use = "net" if "model" in s.info.needs else s.use
    test, labels = (pair.Xt, pair.yt) if s.info.transductive_only else (pair.X, pair.y)
    fields, graphs = pair.fields("cpu", use)
    X, y = fields[f"X{part}"], fields[f"y{part}"]
    if use == "base":
        X, test = pair.vectors(X, part), pair.vectors(test, "t")
    net = "mlp" if graphs is None else "gcn"
    learner = Learner(net=net, budget=BUDGET, use=use, graphs=graphs)
    return right(learner.fit(X, y, CLASSES).predict(test), labels, known=True)


def open_sets(s: Subject) -> str:
    """What is for open label sets gives a last column there, highest for some, by which unknown is told from known."""
    if not s.info.label_sets & OPEN:
        raise Skip("is not for them")
    pair = s.contract.toy(unknown=True)
    fitted = s.fitted if s.open else s.fit(pair, columns=CLASSES + 1)
    only = s.info.transductive_only
    X, y = (pair.Xt, pair.yt) if only else (pair.X, pair.y)
    given = s.given(fitted, "scores_t") if only else s.given(fitted, "predict", X)
    require_scores(given, len(X), CLASSES + 1, f"{OPENLY} {'scores_t()' if only else 'predict(X)'}")
    found = given[1]
    assert found is not None
    if not only:
        off = difference(s.predict(fitted, X[:40]), found[:40])
        require(off < ROUNDING, f"{OPENLY} a subset of the samples is scored differently than among all (by {off:.2g})")
    said, told = unknown.metrics(found.numpy(), y.numpy()), float((found.argmax(1) == CLASSES).double().mean())
    area, both = (float(said[k] or 0.0) for k in ("auroc_unknown", "hos"))
    require(area > 0.6, f"by its last column an unknown sample scores above a known one in {area:.1%} of pairs")
    require(0 < told < 1, f"its last column is the highest of {'every' if told else 'no'} sample")
    return f"AUROC {area:.1%}; H-score {both:.1%}"


def several_sources(s: Subject) -> str:
    """What is told the source's domains goes by them: not by their numbers or the order of rows; one is enough."""
    if "ds" not in s.info.needs:
        raise Skip("is not told them")
    if not isinstance(s.pair, Pair):
        raise Skip("only tried on samples")
    ds = torch.arange(len(s.pair.Xs)) % 6 % SOURCES  # of unequal sizes
    pair = replace(s.pair, Xs=s.pair.Xs + 0.5 * ds[:, None] * torch.linspace(-1, 1, s.pair.Xs.shape[1]))
    order = torch.randperm(len(ds), generator=torch.Generator().manual_seed(4))
    seen = []
    for what, other in (
        ("as they are", pair.of_sources(ds)),
        ("with their domains in another order", pair.of_sources(ds, order)),
        ("of domains with other numbers", pair.of_sources((ds + 1) % SOURCES)),
    ):
        fitted = s.fit(other)
        found = s.predict(fitted, rule="scores_t") if s.info.transductive_only else s.predict(fitted, s.pair.X)
        seen.append((what, found, accuracy(s, fitted)))
    _, whole, before = seen[0]
    for what, found, after in seen[1:]:
        off = difference(found, whole)
        close = off < SOLVERS if s.info.deterministic else abs(before - after) < CLOSE
        by = f"by {off:.2g}" if s.info.deterministic else f"accuracy {after:.1%} for {before:.1%}"
        require(close, f"source samples {what} give other scores ({by})")
    got = accuracy(s, s.fit(pair.of_sources(torch.zeros_like(ds))))
    require(got > CHANCE + 0.2, f"accuracy {got:.1%} where all samples are of one source, chance is {CHANCE:.1%}")
    return f"{before:.1%} of {SOURCES} sources, {got:.1%} of one"


def refit(s: Subject) -> None:
    """The constructor only stores; a fitted adapter, and a clone of its parameters, fit again as if new."""
    stored = plain(s.info.parameters)
    require(s.params() == stored, "the constructor does not store its parameters as they are")
    adapter = s.fit(s.toy(seed=1), budget=BRIEF)  # what it learns there must not be felt later
    params = s.params(adapter)
    require(params == stored, f"fit changes the parameters to {params}")
    for what, how in (("a fitted adapter", {"again": adapter}), ("a clone", {"params": s.info.parameters})):
        off = difference(scores(s, s.fit(**how)), scores(s, s.fitted))  # type: ignore[arg-type]
        require(off == 0, f"{what} fitted again scores differently than a new one (by {off:.2g})")


def plain(parameters: dict[str, Any]) -> Any:
    """Parameters as they come back through JSON."""
    import json

    return json.loads(json.dumps(parameters))


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


def sparse_rows(s: Subject) -> None:
    """What takes sparse samples scores them as it scores the same ones dense."""
    if not s.info.sparse:
        raise Skip("takes no sparse samples")

    def thinned(X: Tensor) -> Tensor:
        return torch.where(X.abs() > 1, X, 0)

    dense = s.pair.mapped(thinned, thinned)
    sparse = dense.mapped(thin, thin)
    off = difference(scores(s, s.fit(sparse), sparse), scores(s, s.fit(dense), dense))
    require(off < EXACT, f"sparse = True, but sparse samples score differently than the same ones dense (by {off:.2g})")


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


def one_target_sample(s: Subject) -> None:
    """A single target sample does not crash it."""
    _survives(s, replace(s.pair, Xt=s.pair.Xt[:1], yt=s.pair.yt[:1]))


def shared_results(s: Subject) -> None:
    """It does not write into what it is given, which it may share with other methods."""
    spoilt = _spoils(s, "shared")
    require(not spoilt, f"fit or predict writes into {spoilt[0] if spoilt else ''}{_more(spoilt)}")


def process_state(s: Subject) -> str:
    """It leaves its process as it was: modes, filters, global random numbers, other modules' functions.

    What it prints is no fault, and counted.
    """
    spoilt = _spoils(s, "state")
    require(not spoilt, f"fit or predict changes {', '.join(spoilt[:3])}{_more(spoilt[2:])}")
    n = s.far.printed
    return f"it has printed {counted(n, 'line')}, which are not shown here" if n else ""


def _spoils(s: Subject, what: str) -> list[str]:
    if s.info.transductive_only:
        return s.spoils(what, s.task(s.pair, budget=BRIEF), "scores_t")
    if streams.alone(s):
        return s.spoils(what, s.task(s.pair, budget=BRIEF), "observe", *s.pair.asked)
    return s.spoils(what, s.task(s.pair, budget=BRIEF), "predict", *s.pair.asked)


def _more(spoilt: list[str]) -> str:
    return f" and {len(spoilt) - 1} more" if len(spoilt) > 1 else ""


def labels_too(s: Subject) -> None:
    """A deep adapter trains with labelled target samples as well, where a suite has some."""
    if s.info.kind != "deep":
        raise Skip("not deep")
    fitted = s.fit(budget=BRIEF, more=("Xl", "yl"))
    require_scores(s.given(fitted, "predict", s.pair.X), len(s.pair.X), s.columns, "predict(X)")


def device_agnostic(s: Subject) -> None:
    """Training steps run on the meta device, with no device context: what makes a tensor elsewhere fails.

    What the method's process says of this has to be believed: there are no numbers on that device.
    """
    if not (s.info.kind == "deep" or (s.info.kind == "parameter" and {"Xl", "yl"} <= s.info.needs)):
        raise Skip("trains no network by a penalty")
    answer = s.far.ask("train_on_meta", s.deadline, task=s.task(s.pair, budget=BRIEF))
    if expect(answer, exempt=bool)[0]:
        raise Skip("host_sync = True: it needs numbers on the host")


class Plain(Contract):
    """Vectors, by which images and all that has no noun of its own are tried too."""

    n_classes = CLASSES
    opens = True
    tests = (
        shapes,
        row_wise,
        target_order,
        same_seed,
        deterministic,
        target_labels,
        better_than_chance,
        no_harm,
        open_sets,
        several_sources,
        refit,
        uneven_sizes,
        more_features_than_samples,
        duplicate_rows,
        constant_column,
        sparse_rows,
        one_target_class,
        far_apart,
        large_features,
        one_target_sample,
        shared_results,
        process_state,
        labels_too,
        device_agnostic,
        *streams.TESTS,
    )

    def toy(self, **how: Any) -> Any:
        return toy(**how)


def _survives(s: Subject, pair: Any, or_says_why: bool = False) -> None:
    try:
        fitted = s.fit(pair, budget=BRIEF)
    except (FloatingPointError, Diverged):  # a typed failure with its reason, not an accident
        if or_says_why:
            return
        raise
    if streams.alone(s):
        return require_scores(("Tensor", scores(s, fitted, pair)), len(pair.Xt), s.columns, "the scores")
    only = s.info.transductive_only
    given = s.given(fitted, "scores_t") if only else s.given(fitted, "predict", pair.X)
    require_scores(given, len(pair.Xt) if only else len(pair.X), s.columns, "the scores")


def _not_chance_itself(s: Subject) -> None:
    if s.info.family == "baseline" and s.info.learner == "own":
        raise Skip("a baseline without a learner is chance itself")
