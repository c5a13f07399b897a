from zoo.adapters.feature.dann import Dann


class DeeperDann(Dann):
    """DANN with another default: everything else is inherited."""

    def __init__(self, weight: float = 0.5, hidden: int = 64) -> None:
        super().__init__(weight, hidden)
