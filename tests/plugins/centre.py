"""A whole method: what `zoo check` has to pass."""

from zoo.adapters.base import Mapping


class Centre(Mapping):
    """Moves each domain to its own mean."""

    space = {"strength": ("linear", 0.0, 1.0)}

    def __init__(self, strength: float = 1.0) -> None:
        self.strength = strength

    def fit_map(self, task):
        self.means_ = task.Xs.mean(0), task.Xt.mean(0)

    def source(self, X):
        return X - self.strength * self.means_[0]

    def target(self, X):
        return X - self.strength * self.means_[1]
