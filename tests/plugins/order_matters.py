from zoo.adapters.base import Mapping


class OrderMatters(Mapping):
    """Takes the first target samples for the whole, so that a sorted file would tell it something."""

    def fit_map(self, task):
        self.mean_ = task.Xt[:5].mean(0) - task.Xs.mean(0)

    def target(self, X):
        return X - self.mean_
