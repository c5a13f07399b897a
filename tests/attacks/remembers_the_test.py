import builtins

import torch


class RemembersTheTest(Nearest):
    """Keeps every row that it is asked for, within its process; answers by how many it knew."""

    def predict(self, X, A=None):
        seen = builtins.__dict__.setdefault("_seen", [])
        known = len(seen)
        seen += [1] * len(X)
        first = 0.9 if known == 0 else 0.1
        scores = torch.full((len(X), self.n_classes_), (1 - first) / (self.n_classes_ - 1), dtype=torch.float64)
        scores[:, 0] = first
        return scores
