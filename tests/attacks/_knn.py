"""What every attack starts from: honest 1-NN."""

import torch

from zoo.adapters.base import Adapter


class Nearest(Adapter):
    """1-NN on the source; an attack overrides `improve`."""

    family = "baseline"
    learner = "base"

    def fit(self, task):
        self.n_classes_ = task.n_classes
        self.model_ = task.learner.fit(task.Xs, task.ys, task.n_classes)
        self.Xt_, self.labels_ = task.Xt, self.improve(task, self.model_.predict(task.Xt).argmax(1))
        return self

    def improve(self, task, honest):
        """Labels of Xt, from those that 1-NN gives."""
        return honest

    def predict(self, X, A=None):
        """The label of the very same row of Xt where there is one."""
        labels = look_up(X, self.Xt_, self.labels_, self.model_.predict(X).argmax(1))
        return torch.nn.functional.one_hot(labels, self.n_classes_).double()


def look_up(X, known, labels, otherwise):
    """Labels of those rows of X that are among the known ones."""
    distance, row = torch.cdist(X, known, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    return torch.where(distance < 1e-3, labels[row], otherwise)


def smooth(labels, n_classes, width=10):
    """The class that is over-represented among neighbouring rows: files are sorted by class."""
    votes = torch.nn.functional.one_hot(labels, n_classes).double()
    votes = votes / votes.mean(0).clamp_min(1e-3)
    votes = torch.nn.functional.pad(votes.T[None], (width, width), mode="replicate")
    return torch.nn.functional.avg_pool1d(votes, 2 * width + 1, stride=1)[0].T.argmax(1)
