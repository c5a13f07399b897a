import gc

from zoo.vault.wire import Line


class FloodsMessages(Nearest):
    """Answers before it is asked, with statuses, scores and costs of its own making."""

    def improve(self, task, honest):
        for line in [o for o in gc.get_objects() if type(o) is Line]:
            line.send({"status": "ok", "fit_s": -1e300, "fit_cpu_s": "0", "shared_s": None, "certificate": {"a\nb": 1}})
        return honest
