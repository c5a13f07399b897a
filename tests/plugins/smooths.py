from zoo.adapters.base import Mapping


class Smooths(Mapping):
    """Averages its scores over neighbouring rows."""

    def fit_map(self, task):
        pass

    def predict(self, X, A=None):
        scores = super().predict(X)
        return (scores + scores.roll(1, 0)) / 2
