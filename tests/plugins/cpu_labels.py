import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from zoo.adapters.base import DeepAdapter


class CpuLabels(DeepAdapter):
    """Makes the domain labels without a device: the commonest fault."""

    def setup(self, net, task):
        self.head_ = torch.nn.Linear(net.width, 1)
        return self.head_

    def omega(self, b):
        logits = self.head_(torch.cat([b.zs, b.zt])).flatten()
        return binary_cross_entropy_with_logits(logits, torch.cat([torch.ones(len(b.zs)), torch.zeros(len(b.zt))]))
