import torch

from zoo.adapters.base import Adapter


class PairDegree(Adapter):
    """Atoms are true whose arguments stand in many facts."""

    needs = {"Ft", "Xl", "yl"}
    family = "relational"

    def fit(self, task):
        self.rate_ = task.yl.double().mean()
        return self

    def predict(self, X, A=None):
        ids = torch.cat(
            [torch.zeros(0, dtype=torch.int32)] + [torch.from_numpy(r).flatten() for r in A.relations.values()]
        )
        count = torch.bincount(ids.long(), minlength=len(A.constants)).double()
        odds = count[X].log1p().sum(1) * self.rate_
        p = odds / (1 + odds)
        return torch.stack([1 - p, p], 1)
