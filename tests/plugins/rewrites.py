from zoo.adapters.base import Adapter


class Rewrites(Adapter):
    """Gives views of a buffer, and writes into it when the next batch has told it more."""

    needs = {"model"}
    family = "feature"
    learner = "net"
    deterministic = True
    stream = True
    predicts = "after"

    def fit(self, task):
        self.model_, self.said_ = task.model, None
        return self

    def observe(self, X):
        if self.said_ is not None:
            self.said_.copy_(self.said_.flip(1))
        self.said_ = self.model_.predict(X)
        return self.said_
