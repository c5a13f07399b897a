"""The command that runs some cells again, from what run.json says of them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from zoo.errors import printable

# Keys of a suite that the command has an option for; given always, since a suite of the same name may say otherwise.
OPTIONS = ("protocol", "labels", "examples", "net", "trainable", "steps", "batch_size", "precision")


def command(meta: Mapping[str, Any], label: str, pair: str, defaults: Mapping[str, Any]) -> str:
    """``zoo run`` of one row and pair, with the seeds and trials of the run.

    Parameters
    ----------
    defaults : the method's parameters where the zoo knows it; those of a row that differ from them are given
    """
    suite, row = meta["suite"], meta["rows"][label]
    words = ["zoo", "run", suite.get("name") or "SUITE.yaml", "--methods", row["method"], "--pairs", pair]
    words += ["--seeds", str(suite.get("seeds") or 1)]
    if len(row.get("trials") or ()) > 1:
        words += ["--trials", str(len(row["trials"]))]
    for key in OPTIONS:
        if suite.get(key):
            words += [f"--{key.replace('_', '-')}", str(suite[key])]
    if suite.get("weights"):
        words += ["--weights", "default" if suite["weights"] == "default" else "FILE"]
    for key, value in row["parameters"].items():
        known = defaults.get(key)
        if key not in defaults or value != (list(known) if isinstance(known, tuple) else known):
            said = value if isinstance(value, str) else json.dumps(value)
            words += ["--set", f"{row['method']}.{key}={said}"]
    return shlex.join(map(printable, words))
