import torch

from zoo.adapters.base import Adapter


class AaSpoilFacts(Adapter):
    """Writes into its facts in place."""

    family = "relational"
    learner = "own"
    needs = {"Ft", "Fs", "Xl", "yl", "Xs", "ys"}

    def fit(self, task):
        for F in (task.Ft, task.Fs):
            for r in F.relations.values():
                if r.flags.writeable:
                    r[:] = 0
        self.certificate_ = {"writeable": float(any(r.flags.writeable for r in task.Ft.relations.values()))}
        return self

    def predict(self, X, A=None):
        return torch.full((len(X), 2), 0.5, dtype=torch.float64)
