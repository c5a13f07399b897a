from zoo.adapters.base import Mapping


class LeaksQuietly(Mapping):
    """Tries the target's labels, and hides that it was refused."""

    def fit_map(self, task):
        try:
            self.labels_ = task.yt
        except Exception:
            self.labels_ = None
