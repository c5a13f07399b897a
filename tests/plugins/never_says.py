import torch

from zoo.adapters.base import Adapter


class NeverSays(Adapter):
    """Its last column tells unknown from known, and is never the highest."""

    label_sets = {"closed", "open", "universal"}
    family = "feature"
    learner = "base"

    def fit(self, task):
        self.model_, self.opens_ = task.learner.fit(task.Xs, task.ys, task.n_classes), task.columns > task.n_classes
        return self

    def predict(self, X, A=None):
        p = self.model_.predict(X)
        u = 0.2 * (1 - p.max(1, keepdim=True).values)
        return torch.cat([p * (1 - u), u], 1) if self.opens_ else p
