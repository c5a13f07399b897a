import torch

from zoo.adapters.base import Adapter


class Rejects(Adapter):
    """For open label sets alone: unknown is what the source's classifier is not sure of."""

    label_sets = {"open", "universal"}
    family = "feature"
    learner = "base"

    def fit(self, task):
        assert task.columns == task.n_classes + 1
        self.model_ = task.learner.fit(task.Xs, task.ys, task.n_classes)
        return self

    def predict(self, X, A=None):
        p = self.model_.predict(X)
        doubt = 1 - p.max(1, keepdim=True).values
        u = torch.where(doubt > 0.2, 0.6 + 0.4 * doubt, doubt / 2)
        return torch.cat([p * (1 - u), u], 1)
