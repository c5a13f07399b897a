from zoo.adapters.base import Adapter


class Hoards(Adapter):
    """Keeps every batch of a stream."""

    needs = {"model"}
    family = "feature"
    learner = "net"
    deterministic = True
    stream = True
    predicts = "before"

    def fit(self, task):
        self.model_, self.kept_ = task.model, []
        return self

    def observe(self, X):
        self.kept_.append(X)
        return self.model_.predict(X)
