import torch

from zoo.adapters.base import Adapter


class DrawsByBatch(Adapter):
    """Draws from the process's random numbers at each batch."""

    needs = {"model"}
    family = "feature"
    learner = "net"
    stream = True
    predicts = "before"

    def fit(self, task):
        self.model_ = task.model
        return self

    def observe(self, X):
        return (0.01 * torch.rand(len(X), 3) + self.model_.predict(X)).softmax(1)
