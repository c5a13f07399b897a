import torch


class KeepsBatches(Nearest):
    """Keeps every batch of a stream, and with each says once more what it now thinks of all before."""

    needs = {"Xs", "ys"}
    stream = True
    predicts = "after"
    again = False

    def fit(self, task):
        self.model_ = task.learner.fit(task.Xs, task.ys, task.n_classes)
        self.kept_ = []
        return self

    def observe(self, X):
        self.kept_.append(X)
        return self.model_.predict(torch.cat(self.kept_[::-1])) if self.again else self.model_.predict(X)
