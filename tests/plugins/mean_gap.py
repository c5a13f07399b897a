from zoo.adapters.base import DeepAdapter


class MeanGap(DeepAdapter):
    """Penalises the distance between the mean features."""

    def omega(self, b):
        return (b.zs.mean(0) - b.zt.mean(0)).square().sum()
