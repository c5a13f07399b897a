from zoo.adapters.base import Adapter


class Swaps(Adapter):
    """Gives every target sample the next class: all wrong, and circular validation cannot see it."""

    family = "feature"
    learner = "base"
    space = {"by": ("int", 0, 1)}

    def __init__(self, by: int = 0) -> None:
        self.by = by

    def fit(self, task):
        self.model_, self.n = task.learner.fit(task.Xs, task.ys, task.n_classes), task.n_classes
        return self

    def predict(self, X, A=None):
        return self.model_.predict(X).roll(self.by * self.n // 2, 1)

    def predict_source(self, X):
        return self.model_.predict(X)
