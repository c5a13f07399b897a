from zoo.adapters.base import Mapping


class Harms(Mapping):
    """Leaves one class's direction out, which costs points even without a shift."""

    def fit_map(self, task):
        pass

    def target(self, X):
        return X * X.new_tensor([0.2, *[1.0] * (X.shape[1] - 1)])
