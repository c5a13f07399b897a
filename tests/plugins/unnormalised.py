from zoo.adapters.base import Mapping


class Unnormalised(Mapping):
    """Gives margins for scores."""

    def fit_map(self, task):
        pass

    def predict(self, X, A=None):
        return 2 * super().predict(X)
