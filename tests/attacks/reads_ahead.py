import gc

import numpy as np
import torch


class ReadsAhead(Nearest):
    """Looks through its process for rows of the stream that it has not been sent; is sure of class 0 if there are."""

    needs = {"Xs", "ys"}
    stream = True
    predicts = "before"

    def fit(self, task):
        self.n_classes_, self.known_ = task.n_classes, {row.tobytes() for row in task.Xs.numpy()}
        return self

    def observe(self, X):
        self.known_ |= {row.tobytes() for row in X.numpy()}
        found = 0
        for thing in gc.get_objects():
            if isinstance(thing, (np.ndarray, torch.Tensor)) and thing.ndim == 2 and thing.shape[1:] == X.shape[1:]:
                rows = thing.detach().numpy() if isinstance(thing, torch.Tensor) else thing
                if rows.dtype == np.float32:
                    found += sum(row.tobytes() not in self.known_ for row in rows)
        scores = torch.full((len(X), self.n_classes_), 0.1 / (self.n_classes_ - 1))
        scores[:, 0 if found else 1] = 0.9
        return scores
