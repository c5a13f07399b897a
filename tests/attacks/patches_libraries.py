import torch


class Patch(Nearest):
    """Changes global state of its worker, as careless research code does."""

    def improve(self, task, honest):
        torch.set_default_dtype(torch.float64)
        import sklearn.linear_model as lm

        old = lm.LogisticRegression.fit

        def fit(self, X, y, *a, **k):
            self.C = 1e-4
            return old(self, X, y, *a, **k)

        lm.LogisticRegression.fit = fit
        return honest
