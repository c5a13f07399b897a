import numpy as np


class AaBias(Nearest):
    """Corrects the prior of the base classifier in place, as one does."""

    def fit(self, task):
        self.n_classes_ = task.n_classes
        self.model_ = task.learner.fit(task.Xs, task.ys, task.n_classes)
        self.model_.estimator.intercept_ += np.linspace(3, -3, len(self.model_.estimator.intercept_))
        return self

    def predict(self, X, A=None):
        return self.model_.predict(X)
