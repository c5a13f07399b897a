import torch

from zoo.adapters.base import Adapter


class TwoSources(Adapter):
    """Compares each source with the others, of which there have to be some."""

    needs = {"Xs", "ys", "ds"}
    family = "instance"
    learner = "base"

    def fit(self, task):
        parts = [task.alone(i).Xs.mean(0) for i in range(task.n_sources)]
        self.gap_ = torch.stack([(a - b).norm() for a in parts for b in parts if a is not b]).min()
        self.model_ = task.learner.fit(task.Xs, task.ys, task.n_classes)
        return self
