from zoo.adapters.base import Adapter


class Inverts(Adapter):
    """Prefers the class that it should not."""

    family = "instance"
    learner = "base"

    def fit(self, task):
        self.model_ = task.learner.fit(task.Xs, task.ys, task.n_classes)
        return self

    def predict(self, X, A=None):
        return (1 - self.model_.predict(X)) / 2
