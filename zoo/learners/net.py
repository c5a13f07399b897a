"""Networks as learners: which data go into the training loop, and what is trained."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import TYPE_CHECKING, Any

import torch

from zoo import nets, train
from zoo.errors import Unsupported

if TYPE_CHECKING:
    from zoo.adapters.base import DeepAdapter, Tuning
    from zoo.learners import Learner
    from zoo.nets import Net
    from zoo.task import Task


def fit_net(learner: Learner, X: torch.Tensor, y: torch.Tensor, n_classes: int, weight: Any = None) -> Net:
    """Train a fresh network on labelled samples alone."""
    if learner.source is not None and learner.source[0] is X and learner.source[1] is y and weight is None:
        return copy.deepcopy(learner.source[2])
    net = _fresh(learner, X, n_classes)
    train.run(net, train.Streams(s=(X, y), ws=weight), learner.budget, seed=learner.seed, watch=learner.watch)
    return net


def train_net(learner: Learner, task: Task, method: DeepAdapter) -> Net:
    """Train a network with the Ω of a deep adapter; labelled target samples join where granted.

    The network is a fresh one, or, where there are no source samples, the source model.
    """
    free = not task.has("Xs")
    net = copy.deepcopy(task.model) if free else _fresh(learner, task.Xs, task.n_classes)
    labelled = (task.Xl, task.yl) if task.has("Xl") else None
    if learner.graphs is not None and method.views > 1:
        raise Unsupported("needs a distorted view of each sample, and nodes of a graph have none")
    with train.seeded("setup", learner.seed):
        extra = method.setup(net, task)
    modules = [] if extra is None else [extra.to(task.device)]
    net.to(task.device)  # the parts that the method exchanged
    streams = train.Streams(s=None if free else (task.Xs, task.ys), t=task.Xt, l=labelled)
    if task.has("ds"):
        streams.ds, streams.n_sources = task.ds, task.n_sources
    budget = learner.budget
    if method.passes:
        steps = math.ceil(method.passes * len(task.Xt) / budget.batch_size)
        budget = dataclasses.replace(budget, steps=min(budget.steps, max(steps, 1)))
    train.run(
        net,
        streams,
        budget,
        seed=learner.seed,
        method=method,
        task=task,
        modules=modules,
        watch=learner.watch,
    )
    return net


def tune_net(learner: Learner, task: Task, method: Tuning) -> Net:
    """Tune a copy of the source model on the labelled target samples."""
    source, net = task.model.eval(), copy.deepcopy(task.model)
    for p in source.parameters():
        p.requires_grad_(False)
    with train.seeded("setup", learner.seed):
        extra = method.setup(net, task)
    net.to(task.device)
    modules = [] if extra is None else [extra.to(task.device)]
    groups = method.groups(net)
    moving = {id(p) for group in groups for p in group["params"]}
    for p in net.parameters():
        p.requires_grad_(id(p) in moving)
    others = [p for m in modules for p in m.parameters() if p.requires_grad and id(p) not in moving]
    groups.append({"params": others, "rate": 1.0})
    streams = train.Streams(l=(task.Xl, task.yl))
    train.run(
        net,
        streams,
        learner.budget,
        seed=learner.seed,
        modules=modules,
        groups=[g for g in groups if g["params"]],
        penalty=lambda b: method.omega(net, source) + method.omega_batch(b, source),
        watch=learner.watch,
    )
    return net


def _fresh(learner: Learner, X: torch.Tensor, n_classes: int) -> Net:
    with train.seeded("init", learner.seed):
        options = learner.backbone if learner.graphs is None else {**learner.backbone, "graphs": learner.graphs}
        net = nets.build(learner.net, tuple(X.shape[1:]), n_classes, **options, task=learner.problem.name)
        return net.to(learner.device or X.device)
