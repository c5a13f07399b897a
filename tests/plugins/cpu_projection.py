import torch

from zoo.adapters.base import DeepAdapter


class CpuProjection(DeepAdapter):
    """Multiplies by a CPU matrix, which the meta device alone lets pass."""

    def setup(self, net, task):
        self.random_ = torch.randn(net.width, 8)

    def omega(self, b):
        return ((b.zs.mean(0) - b.zt.mean(0)) @ self.random_).square().mean()
