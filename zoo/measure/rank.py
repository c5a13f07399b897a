"""Which source to transfer from: suite → pairs → transferability scores, before anything is adapted.

All scores but the A-distance read target labels, so they are diagnostics of the harness and never an adapter's. They
see the target's adapt part alone: in holdout no test row, neither sample nor label, is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from zoo.bench import guests, suite
from zoo.errors import BadInput
from zoo.kinds.base import Data
from zoo.kinds.samples import Protocol
from zoo.learners.base import fit_base
from zoo.machine import versions
from zoo.measure.domains import CAP, SPLITS, Beside, Track, flat, loaded
from zoo.ops import distance, transferability


def measure(
    name: str,
    *,
    pairs: Sequence[str] | None = None,
    data_root: str | Path | None = None,
    net: str | None = None,
    weights: str | None = None,
    seed: int = 0,
    track: Track = iter,
    plugins: Sequence[Path] = (),
) -> dict[str, Any]:
    """The five scores of each pair, with everything that they depend on, as JSON would hold it.

    The source model is logistic regression on what the suite's base learners see of the source. LEEP takes its
    probabilities on the target and NCE its decisions. LogME and the H-score of the target's features alone would be the
    same whatever the source: the H-score takes the logits, and LogME, which has no intercept, the probabilities, whose
    sum is one. (Of logits it would hang on their mean: a source of unbalanced classes would gain by it.)

    The A-distance is that of the features without the suite's normalisation, as of ``zoo distance --raw``: domains
    z-scored one by one have equal means, which leave a linear classifier nothing.

    Parameters
    ----------
    net, weights : of photographs, whose frozen features base learners see
    seed : of the splits (holdout) and of the A-distance
    track : wraps the sequence of pairs, to show progress
    plugins : files, of which one may hold the data set

    Raises
    ------
    BadInput
        As `zoo run`; features of a source-trained network; fewer than 4 samples in a domain's adapt part.
    """
    asked = suite.load(name, {"pairs": pairs, "net": net, "weights": weights}, plugins)
    if asked.features == "source":
        raise BadInput(
            f"zoo rank {asked.name}: its base learners see features of a network trained on each source (features: "
            "source), and zoo rank trains no network; a suite file with features: raw or frozen can be ranked"
        )
    guests.refuse(asked, "zoo rank")
    asked = asked.model_copy(update={"labels": 0})  # the whole adapt part is read
    wanted, data = loaded(asked, data_root, lambda domain: len(Protocol.adapt_rows(asked, domain, seed)))
    return {
        "suite": asked.recorded(),
        "domains": {name: {"n": len(d.y), "content": d.content} for name, d in data.domains.items()},
        "classes": len(data.classes),
        "model": "logistic",
        "reads_target_labels": ["leep", "nce", "log_me", "h_score"],
        "settings": {"seed": seed, "cap": CAP, "splits": SPLITS},
        "versions": versions(),
        "rows": score(asked, data, wanted, seed, track),
    }


def score(
    asked: suite.Suite, data: Data, wanted: list[tuple[str, str]], seed: int, track: Track = iter
) -> list[dict[str, Any]]:
    """A row a pair, sorted by target; computed one by one, so that a row does not depend on the other pairs."""
    samples = Protocol(asked, data)
    raw = Protocol(asked.model_copy(update={"normalise": ()}), data)
    names = list(data.domains)
    ordered = sorted(wanted, key=lambda pair: names.index(pair[1]))
    return [_row(samples, raw, source, target, seed) for source, target in track(ordered)]


def _row(samples: Protocol, raw: Protocol, source: str, target: str, seed: int) -> dict[str, Any]:
    found = samples.pair(source, target, seed, base=True).oracle  # Xt and yt of the adapt part
    Xs, Xt = flat(found["Xs"]), flat(found["Xt"])
    ys, yt = torch.from_numpy(found["ys"]), torch.from_numpy(found["yt"])
    model = fit_base("logistic", Xs, ys, len(samples.data.classes))
    P = model.predict(Xt)
    logits = torch.from_numpy(model.estimator.decision_function(Xt.numpy()))  # type: ignore[attr-defined]
    logits = logits[:, None] if logits.ndim == 1 else logits
    return {
        "source": source,
        "target": target,
        "n": [len(Xs), len(Xt)],
        "leep": transferability.leep(P, yt),
        "nce": transferability.nce(P.argmax(1), yt),
        "log_me": transferability.log_me(P, yt),
        "h_score": transferability.h_score(logits, yt),
        "proxy_a": _proxy_a(raw, source, target, seed),
    }


def _proxy_a(raw: Protocol, source: str, target: str, seed: int) -> float:
    both = Beside.of(raw.pair(source, target, seed, base=True).oracle, source, target, seed)
    return distance.proxy_a_distance(*both.few, splits=SPLITS, permutations=0, generator=both.generator).distance
