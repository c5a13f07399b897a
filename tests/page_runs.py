"""Synthetic run folders for the tests of the page."""

import json

import numpy as np

from zoo.records.ids import cell_id
from zoo.records.schema import line

FAMILIES = ("instance", "feature", "parameter", "relational")


def record(method, pair, seed, accuracy, *, family="feature", setting="unsupervised", parameters=None, **more):
    source, target = pair.split(":")
    made = {
        "source": source, "target": target, "data": {n: f"sha-{n}" for n in (source, target)}, "setting": setting,
        "method": method, "family": family, "learner": "logistic", "seed": seed, "trial": 0,
        "parameters": parameters or {}, "suite": {}, "code": "c1", "status": "ok", "reason": "",
        "metrics": {"accuracy": accuracy, "nll": 1.0 - accuracy}, "validators": {}, "n_test": 100, "fit_s": 1.0,
        "fit_cpu_s": 1.0, "shared_s": 0.5, "predict_s": 0.1, "peak_rss_mb": 300.0, "peak_cuda_mb": None,
        "certificate": {"gap": 0.001}, "device": "cpu", "versions": {"zoo": "0.1.0"}, "predictions_sha256": None,
    }  # fmt: skip
    made |= more
    return {"cell": cell_id(made), **made}


def write(folder, records, **suite):
    """A run folder of these records; label and method are the same."""
    pairs = list(dict.fromkeys(f"{r['source']}:{r['target']}" for r in records))
    names = sorted({side for pair in pairs for side in pair.split(":")})
    rows = {
        r["method"]: {k: r[k] for k in ("method", "family", "parameters")} | {"code": {r["learner"]: "c1"}}
        for r in records
    }
    meta = {
        "suite": {"name": "made", "dataset": "toy", "protocol": "holdout", "base": "logistic", "seeds": 2}
        | {"reference": "source_only", "features": "raw"} | suite,
        "pairs": pairs, "domains": {n: {"content": f"sha-{n}", "n": 100, "classes": 4} for n in names},
        "rows": rows, "versions": {"zoo": "0.1.0"},
    }  # fmt: skip
    (folder / "records").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(meta))
    (folder / "records" / "all.jsonl").write_bytes(b"".join(map(line, records)))
    return folder


def big(folder, methods=100, pairs=30, seeds=5, suite="made"):
    """A run of many methods; every third has curves."""
    rng = np.random.default_rng(0)
    names = [f"domain{i}" for i in range(6)]
    every = [f"{a}:{b}" for a in names for b in names if a != b][:pairs]
    steps = [float(s) for s in range(50, 1001, 50)]
    made = []
    for m in range(methods):
        method, family = (f"method_{m:03d}", FAMILIES[m % 4]) if m else ("source_only", "baseline")
        setting = "unsupervised" if m else "none"
        for pair in every:
            for seed in range(seeds):
                curves = {
                    "step": steps,
                    **{t: np.exp(-np.array(steps) / 300).round(5).tolist() for t in ("loss", "omega")},
                }
                made.append(
                    record(method, pair, seed, round(float(rng.uniform(0.3, 0.9)), 4), family=family, setting=setting,
                           curves=curves if m % 3 == 0 else {})
                )  # fmt: skip
    return write(folder, made, seeds=seeds, name=suite)
