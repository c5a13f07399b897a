"""Weights that underflow."""

import torch

from zoo.adapters.base import Reweighting


class Underflows(Reweighting):
    """Kernel density of the target at source samples, normalised without a look at its sum."""

    def weights(self, task):
        w = torch.exp(-torch.cdist(task.Xs.double(), task.Xt.double())).mean(1)
        return torch.nan_to_num(w / w.sum() * len(w), nan=1.0)

    def predict(self, X, A=None):
        return super().predict(X) if float(self.weights_.std()) > 0 else super().predict(X) * float("nan")
