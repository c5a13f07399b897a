from zoo.adapters.base import Mapping


class Leaks(Mapping):
    """Reads the target's labels."""

    def fit_map(self, task):
        self.labels_ = task.yt
