"""Training loops as one would write them by hand, for `benchmarks/gpu.py`: plain PyTorch, the arithmetic of zoo's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from zoo.ops.mmd import mmd2, multi_gaussian
from zoo.ops.multilinear import certainty, outer
from zoo.ops.reversal import reverse, warm_up


@dataclass(frozen=True)
class Shape:
    """A network and how it is stepped: its samples, classes, batch, and steps in a measurement."""

    net: str
    size: tuple[int, ...]
    classes: int
    batch: int
    steps: int


def samples(shape: Shape, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Source samples with labels, and target samples: grey ones in [0, 1], coloured ones as photographs are."""
    g = torch.Generator().manual_seed(0)
    n = 8 * shape.batch

    def draw() -> Tensor:
        if shape.size[0] == 3:
            return torch.randint(256, (n, *shape.size), generator=g, dtype=torch.uint8)
        return torch.rand(n, *shape.size, generator=g)

    return draw().to(device), torch.randint(shape.classes, (n,), generator=g).to(device), draw().to(device)


def bare_network(shape: Shape) -> tuple[nn.Module, nn.Linear]:
    """Feature extractor and classifier, by hand."""
    if shape.net == "lenet":
        f1: nn.Module = nn.Sequential(
            nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(20, 50, 5), nn.Dropout2d(0.5), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(),
            nn.Linear(800, 500), nn.ReLU(), nn.Dropout(0.5),
        )  # fmt: skip
        return f1, nn.Linear(500, shape.classes)
    f1 = getattr(torchvision.models, shape.net)(weights=None)
    width, f1.fc = f1.fc.in_features, nn.Identity()
    return f1, nn.Linear(width, shape.classes)


def bare_loop(shape: Shape, method: str, device: torch.device) -> Callable[[], None]:
    """The same arithmetic without zoo: every tensor made ahead, the loop as one would write it."""
    Xs, ys, Xt = samples(shape, device)
    f1, f2 = bare_network(shape)
    f1.to(device, memory_format=torch.channels_last)
    width, products = f2.in_features, f2.in_features * shape.classes
    mapped = products > 4096
    inputs, hidden = {"dann": (width, 100), "cdan": (1024 if mapped else products, 256)}.get(method, (1, 1))
    critic = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, 1)).to(device)
    maps = torch.randn(width, inputs, device=device), torch.randn(shape.classes, inputs, device=device)
    f2.to(device)
    parts = (f1, f2, critic) if method in ("dann", "cdan") else (f1, f2)
    is_source = torch.cat([torch.ones(shape.batch, device=device), torch.zeros(shape.batch, device=device)])
    mean, std = (torch.tensor(c, device=device).view(3, 1, 1) for c in ((124.0, 116.0, 104.0), (58.0, 57.0, 57.0)))
    cuda = device.type == "cuda"

    def images(X: Tensor) -> Tensor:
        X = (X.float() - mean) / std if X.dtype == torch.uint8 else X
        return X.contiguous(memory_format=torch.channels_last)

    def loss_of(rows: Tensor, others: Tensor, done: float) -> Tensor:
        n = shape.batch
        if method == "source_only":
            return cross_entropy(f2(f1(images(Xs[rows]))), ys[rows])
        if method == "dann":
            zs, zt = f1(images(Xs[rows])), f1(images(Xt[others]))
            logits, _ = f2(zs), f2(zt)
            told = critic(reverse(torch.cat([zs, zt]), warm_up(done))).flatten()
            return cross_entropy(logits, ys[rows]) + binary_cross_entropy_with_logits(told, is_source)
        z = f1(images(torch.cat([Xs[rows], Xt[others]])))
        logits = f2(z)
        loss = cross_entropy(logits[:n], ys[rows])
        if method == "dan":
            return loss + mmd2(multi_gaussian(z), n) + mmd2(multi_gaussian(logits.softmax(1)), n)
        z, p = reverse(z, warm_up(done)), logits.detach().softmax(1)
        joint = (z @ maps[0]) * (p @ maps[1]) / inputs**0.5 if mapped else outer(z, p)
        return loss + binary_cross_entropy_with_logits(critic(joint).flatten(), is_source, certainty(p, n))

    def loop() -> None:
        opt = torch.optim.Adam([p for part in parts for p in part.parameters()], lr=1e-3, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, shape.steps)
        rows, others = (torch.randint(len(X), (shape.steps, shape.batch)).to(device) for X in (Xs, Xt))
        for part in parts:
            part.train()
        for i in range(shape.steps):
            with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
                loss = loss_of(rows[i], others[i], i / shape.steps)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            schedule.step()

    return loop
