"""Deep CORAL and WDGRL on office31 in bare PyTorch: `python benchmarks/reference_formulas.py WEIGHTS [PAIR...]`.

The published formulas in a loop of their own, on the harness's arrays (features, splits, z-scores), with the suite's
head, budget, rate and schedule; nothing of the zoo's methods, learners or training. WDGRL at its authors' rate of 1e-4.
"""

from __future__ import annotations

import math
import sys

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from zoo.bench import plan, suite
from zoo.machine import data_root

STEPS, BATCH = 1000, 64


def batches(n: int, generator: torch.Generator):
    while True:
        order = torch.randperm(n, generator=generator)
        yield from (order[i : i + BATCH] for i in range(0, n - BATCH + 1, BATCH))


def trained(fields, n_classes: int, penalty: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    Xs, ys, Xt = (torch.as_tensor(fields[k]) for k in ("Xs", "ys", "Xt"))
    f1 = nn.Sequential(nn.Linear(Xs.shape[1], 256), nn.BatchNorm1d(256), nn.ReLU())
    f2, critic = nn.Linear(256, n_classes), nn.Sequential(nn.Linear(256, 100), nn.ReLU(), nn.Linear(100, 1))
    rate = 1e-4 if penalty == "wdgrl" else 1e-3
    opt = torch.optim.Adam([*f1.parameters(), *f2.parameters()], lr=rate)
    judge = torch.optim.Adam(critic.parameters(), lr=rate)
    g = torch.Generator().manual_seed(seed)
    streams = batches(len(Xs), g), batches(len(Xt), g)
    for step in range(STEPS):
        for group in opt.param_groups:
            group["lr"] = rate * (1 + math.cos(math.pi * step / STEPS)) / 2
        i, j = (next(s) for s in streams)
        zs, zt = f1(Xs[i]), f1(Xt[j]) if penalty else None
        loss = cross_entropy(f2(zs), ys[i])
        if penalty == "coral":  # |Cs - Ct|² / (4 d²) of the scores before the softmax
            Cs, Ct = torch.cov(f2(zs).T), torch.cov(f2(zt).T)
            loss = loss + (Cs - Ct).square().sum() / (4 * n_classes**2)
        if penalty == "wdgrl":
            for _ in range(5):
                a, b, u = zs.detach(), zt.detach(), torch.rand(BATCH, 1)
                z = torch.cat([u * a + (1 - u) * b, a, b]).requires_grad_()
                (slope,) = torch.autograd.grad(critic(z).sum(), z, create_graph=True)
                far = critic(a).mean() - critic(b).mean()
                judge.zero_grad()
                (10 * (slope.norm(dim=1) - 1).square().mean() - far).backward()
                judge.step()
            loss = loss + critic(zs).mean() - critic(zt).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    return nn.Sequential(f1, f2).eval()


def main() -> None:
    weights, *pairs = sys.argv[1:]
    asked = suite.load("office31", {"weights": weights, "pairs": pairs or ["dslr:amazon", "webcam:amazon"]})
    found = plan.parse_pairs(asked)
    data = asked.kind.load(asked, found, data_root(None), "cpu")
    draws = asked.kind.draws(asked, data)
    for source, target in found:
        now = draws.pair(source, target, 0).round(0, False)
        said = []
        for penalty in ("", "coral", "wdgrl"):
            net = trained(now.fields, data.columns, penalty)
            right = net(torch.as_tensor(now.sets["test"])).argmax(1).numpy() == draws.pair(source, target, 0).y_test
            said.append(f"{penalty or 'source only'} {100 * right.mean():.1f}")
        print(f"{source}:{target} seed 0: {', '.join(said)}", flush=True)


if __name__ == "__main__":
    main()
