import torch

from zoo.adapters.base import Adapter


class KnowsAll(Adapter):
    """Gives the column under open label sets, the same for every sample."""

    label_sets = {"closed", "open", "universal"}
    family = "feature"
    learner = "base"

    def fit(self, task):
        self.model_, self.opens_ = task.learner.fit(task.Xs, task.ys, task.n_classes), task.columns > task.n_classes
        return self

    def predict(self, X, A=None):
        p = self.model_.predict(X)
        return torch.cat([p * 0.9, torch.full_like(p[:, :1], 0.1)], 1) if self.opens_ else p
