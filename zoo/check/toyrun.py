"""A toy run for what is made of records: all settings, an oracle, a cell that failed, names in odd letters."""

from __future__ import annotations

from typing import Any

from zoo.records import Record, Run
from zoo.records.ids import cell_id

PAIRS = ("amazon:webcam", "webcam:amazon")
METHODS = {  # label → method, family, setting, accuracy
    "source_only": ("source_only", "baseline", "none", 0.61),
    "coral": ("coral", "feature", "unsupervised", 0.66),
    "kmm": ("kmm", "instance", "unsupervised", 0.58),
    "50 % größer & <später>": ("coral", "feature", "unsupervised", 0.63),
    "target_only": ("target_only", "baseline", "oracle", 0.83),
}
STEPS = [50.0, 100.0, 150.0]


def whole(seeds: int = 3) -> Run:
    """All cells finished but one, which failed."""
    made = [_record(label, pair, seed) for label in METHODS for pair in PAIRS for seed in range(seeds)]
    lost = next(r for r in made if r["method"] == "kmm")
    lost |= {"status": "failed", "reason": "ValueError: a toy that failed", "metrics": {}}
    return _run(made, seeds)


def bare() -> Run:
    """One method on one pair and one seed, and nothing finished of another."""
    kept = [_record("source_only", PAIRS[0], 0), _record("coral", PAIRS[0], 0)]
    kept[1] |= {"status": "failed", "reason": "ValueError: a toy that failed", "metrics": {}}
    return _run(kept, 1)


def _record(label: str, pair: str, seed: int) -> Record:
    method, family, setting, accuracy = METHODS[label]
    source, target = pair.split(":")
    value = accuracy + 0.01 * seed - 0.02 * PAIRS.index(pair)
    made: dict[str, Any] = {
        **{"source": source, "target": target, "data": {n: f"sha-{n}" for n in (source, target)}},
        **{"setting": setting, "method": method, "family": family, "learner": "logistic", "seed": seed, "trial": 0},
        **{"parameters": {} if label == method else {"reg": 0.5}, "suite": {}, "code": "c1"},
        **{"status": "ok", "reason": "", "n_test": 100, "constant": False, "device": "cpu", "predictions_sha256": None},
        "metrics": {"accuracy": value, "balanced_accuracy": value, "f1_macro": value, "nll": 1 - value, "ece": 0.1},
        **{"fit_s": 1.0, "fit_cpu_s": 1.0, "shared_s": 0.5, "predict_s": 0.1},
        **{"peak_rss_mb": 300.0, "peak_cuda_mb": None, "certificate": {}, "validators": {}, "versions": {}},
        "curves": {"step": STEPS, "loss": [1.0, 0.6, 0.4]},
    }
    return {"cell": cell_id(made), **made}


def _run(records: list[Record], seeds: int) -> Run:
    """As `zoo.records.read` gives it."""
    rows: dict[str, Any] = {}
    for label, (method, family, _, _) in METHODS.items():
        own = [r for r in records if r["method"] == method and bool(r["parameters"]) == (label != method)]
        if own:
            rows[label] = {"method": method, "family": family, "parameters": own[0]["parameters"]}
            rows[label] |= {"code": {"logistic": "c1"}}
    suite = {"name": "toy", "dataset": "toy", "protocol": "holdout", "base": "logistic", "seeds": seeds}
    suite |= {"reference": "source_only", "features": "raw", "trials": 1}
    used = sorted({side for r in records for side in (r["source"], r["target"])})
    meta = {
        **{"suite": suite, "metric": "accuracy", "rows": rows, "unsupported": [], "partial": {}},
        "pairs": [pair for pair in PAIRS if any(f"{r['source']}:{r['target']}" == pair for r in records)],
        "domains": {n: {"content": f"sha-{n}", "n": 100, "classes": 4} for n in used},
        **{"versions": {"zoo": "0"}, "device": "cpu", "command": "", "started": ""},
    }
    return Run(meta, sorted(records, key=lambda r: str(r["cell"])))
