"""A validator that looks for target labels, and for what they were used for, wherever it can."""

import gc
import os
import socket
from pathlib import Path

import numpy as np

from zoo.select.base import Validator

PLACES = ("data", "run")  # which the test writes here: an attacker knows them


class LabelThief(Validator):
    needs = {"pt", "pv", "yv"}

    def value(self, seen):
        n = len(seen.pt)

        def tried(action):
            try:
                return bool(action())
            except (OSError, ValueError, StopIteration):
                return False

        def fields():  # beside what it needs
            return any(tried_field(seen, name) for name in ("yt", "ys", "ps", "zt", "test", "target"))

        def arrays():  # whole numbers, one for each target sample, that are not the source's
            found = [o for o in gc.get_objects() if isinstance(o, np.ndarray)]
            found += [o for d in gc.get_objects() if type(d) is dict for o in list(d.values()) if type(o) is np.ndarray]
            return [a for a in found if a.dtype.kind in "iu" and a.shape == (n,) and a.size > 1 and a is not seen.yv]

        data, run = PLACES
        steps = [
            fields,
            arrays,
            lambda: next(Path(data).rglob("*.mat")).read_bytes(),
            lambda: next(Path(run, "records").glob("*.jsonl")).read_bytes(),  # accuracies of all trials
            lambda: next(Path(run, "predictions").glob("*.npz")).read_bytes(),
            lambda: Path(run, "validators", "mine.jsonl").write_text("{}"),
            lambda: os.pread(os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY), 1, 0),
            lambda: socket.create_connection(("127.0.0.1", 9), 0.2),
        ]
        return float(sum(2**i for i, step in enumerate(steps) if tried(step)))


def tried_field(seen, name):
    try:
        getattr(seen, name)
    except Exception:
        return name in vars(seen)
    return True
