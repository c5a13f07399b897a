import torch

from zoo.adapters.base import Adapter


class Pools(Adapter):
    """A classifier for each source; their mean."""

    needs = {"Xs", "ys", "ds"}
    family = "instance"
    learner = "base"

    def fit(self, task):
        alone = [task.alone(i) for i in range(task.n_sources)]
        self.models_ = [task.learner.fit(own.Xs, own.ys, task.n_classes) for own in alone]
        return self

    def predict(self, X, A=None):
        return torch.stack([model.predict(X) for model in self.models_]).mean(0)
