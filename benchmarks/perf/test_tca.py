"""What tca costs beside the eigenvectors of its whole kernel, which it does not need."""

import time

import scipy.linalg
import torch

from zoo.adapters.feature.tca import Tca
from zoo.task import Task

LIMIT = 0.5  # times all eigenvectors of a symmetric matrix as large as the kernel


def test_tca_on_as_many_samples_as_amazon_and_caltech_have(figure):
    g = torch.Generator().manual_seed(0)
    Xs, Xt = torch.randn(958, 800, generator=g), torch.randn(1123, 800, generator=g)
    task = Task.from_arrays(Xs, torch.arange(958) % 10, Xt, base="1nn")
    kernel = torch.cat([Xs, Xt]).double() @ torch.cat([Xs, Xt]).double().T
    ours, whole = [], []
    for _ in range(3):
        start = time.perf_counter()
        method = Tca(k=40)
        method.fit_map(task)
        method.source(Xs)
        method.target(Xt)
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        scipy.linalg.eigh(kernel.numpy())
        whole.append(time.perf_counter() - start)
    ratio = min(ours) / min(whole)
    print(f"\ntca, 2,081 samples, 40 components: {min(ours):.2f} s beside {min(whole):.2f} s")
    figure(ratio, LIMIT)
