import json

from zoo.vault.wire import HEAD, MARK, Line

FIT = {"status": "ok", "fit_s": 0, "fit_cpu_s": 0, "shared_s": 0, "certificate": {}, "curves": {}, "opened": []}
ARRAY, TWO = {"$array": 0}, ["<f8", [2]]
ABSURD = [
    ({**FIT, "status": ARRAY}, [TWO]),
    ({**FIT, "explanation": ARRAY}, [TWO]),
    ({**FIT, "certificate": {"gap": 10**400}}, []),
    ({**FIT, "curves": {"step": [1], "loss": []}}, []),
    ({**FIT, "opened": ["/a\0b"]}, []),
    ({**FIT, "opened": ["/a/../../b"]}, []),
    (FIT, [["<f8", [0, 1 << 47, 1 << 47]]]),
    ({"note": ARRAY}, [TWO]),
    ({"note": "progress", "step": 1, "steps": 2, "per_s": 3, "terms": {"loss": 10**400}}, []),
]


def packed(message, kinds):
    header = json.dumps({"message": message, "arrays": kinds}).encode()
    return HEAD.pack(MARK, len(header)) + header + bytes(16 * (TWO in kinds))


class AbsurdAnswers(Nearest):
    """Answers what no check had thought of, so that the driver stumbles: another absurdity for each seed."""

    def improve(self, task, honest):
        import gc
        import os

        which = ABSURD[(2 * task.seed + (len(task.Xs) > len(task.Xt))) % len(ABSURD)]
        for line in [o for o in gc.get_objects() if type(o) is Line]:
            os.write(line.fd, packed(*which))
        return honest
