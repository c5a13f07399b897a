class CentresTheBatch(Nearest):
    """Looks at all rows that it is asked for at once: their own mean is taken off."""

    def predict(self, X, A=None):
        return self.model_.predict(X - X.mean(0) + self.Xt_.mean(0))
