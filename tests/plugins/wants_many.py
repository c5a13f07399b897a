from zoo.adapters.base import Adapter


class WantsMany(Adapter):
    """Scores a batch of fewer samples than usual as if there were more."""

    needs = {"model"}
    family = "feature"
    learner = "net"
    deterministic = True
    stream = True
    predicts = "before"

    def fit(self, task):
        self.model_ = task.model
        return self

    def observe(self, X):
        return self.model_.predict(X if len(X) > 4 else X.repeat(2, 1))
