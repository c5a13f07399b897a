"""The state of a training as safetensors: all that the next step depends on, so that a resumed run ends the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Generators = dict[str, torch.Generator | None]


def pack(
    modules: Sequence[nn.Module], opt: torch.optim.Optimizer, generators: Generators, method: Any, notes: dict[str, Any]
) -> bytes:
    """Everything that moves: weights, optimiser, random numbers, what the method keeps; and `notes`, as JSON.

    Of the method that is what its attributes with a trailing underscore hold: tensors, modules, and plain values.
    """
    from safetensors.torch import save

    tensors = dict(_tensors(modules, opt, method))
    tensors |= {f"random {k}": g.get_state() for k, g in generators.items() if g is not None}
    tensors["random"] = torch.get_rng_state()
    device = next(modules[0].parameters()).device
    if device.type == "cuda":
        tensors["random cuda"] = torch.cuda.get_rng_state(device)
    plain = {k: v for k, v in _own(method) if isinstance(v, bool | int | float | str | dict | list)}
    text = json.dumps({"notes": {**notes, "device": device.type}, "method": plain}).encode()
    tensors["notes"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    return save({k: v.detach().contiguous().cpu().clone() for k, v in tensors.items()})


def notes(data: bytes) -> dict[str, Any]:
    """What `pack` was given to note, and the ``device`` that it was on: random numbers of another go on otherwise."""
    return _text(_load(data))["notes"]  # type: ignore[no-any-return]


def restore(
    data: bytes, modules: Sequence[nn.Module], opt: torch.optim.Optimizer, generators: Generators, method: Any
) -> dict[str, Any]:
    """Put everything back where `pack` found it; returns the notes.

    Raises
    ------
    ValueError
        The state is of other modules or of another method.
    """
    tensors = _load(data)
    text = _text(tensors)
    for i, module in enumerate(modules):
        prefix = f"module {i} "
        module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    for g, p, parameter in _parameters(opt):
        prefix = f"optimiser {g} {p} "
        found = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        # In the parameter's own memory format: fused kernels walk both side by side.
        opt.state[parameter] = {
            k: torch.empty_like(parameter).copy_(v) if v.shape == parameter.shape else v.to(parameter.device)
            for k, v in found.items()
        }
    for name, generator in generators.items():
        if generator is not None:
            generator.set_state(tensors[f"random {name}"])
    torch.set_rng_state(tensors["random"])
    device = next(modules[0].parameters()).device
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random cuda"], device)
    for name, value in text["method"].items():
        setattr(method, name, value)
    held = dict(_own(method))
    for key, value in tensors.items():
        if not key.startswith("method "):
            continue
        name, _, inner = key.removeprefix("method ").partition(" ")
        if not inner:
            setattr(method, name, value.to(device))
        elif not isinstance(held.get(name), nn.Module):
            raise ValueError(f"a checkpoint holds a module {name}, which the method has not made")
    for name, module in held.items():
        if isinstance(module, nn.Module):
            prefix = f"method {name} "
            module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    return text["notes"]  # type: ignore[no-any-return]


def _tensors(modules: Sequence[nn.Module], opt: torch.optim.Optimizer, method: Any) -> Iterator[tuple[str, Tensor]]:
    for i, module in enumerate(modules):
        for name, tensor in module.state_dict().items():
            yield f"module {i} {name}", tensor
    for g, p, parameter in _parameters(opt):
        for name, value in opt.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                yield f"optimiser {g} {p} {name}", value
    for name, value in _own(method):
        if isinstance(value, Tensor):
            yield f"method {name}", value
        elif isinstance(value, nn.Module):
            for key, tensor in value.state_dict().items():
                yield f"method {name} {key}", tensor


def _parameters(opt: torch.optim.Optimizer) -> Iterator[tuple[int, int, Tensor]]:
    for g, group in enumerate(opt.param_groups):
        for p, parameter in enumerate(group["params"]):
            yield g, p, parameter


def _own(method: Any) -> Iterator[tuple[str, Any]]:
    """What a fitted method keeps, by scikit-learn's convention."""
    return ((k, v) for k, v in vars(method or object).items() if k.endswith("_") and not k.startswith("_"))


def _load(data: bytes) -> dict[str, Tensor]:
    from safetensors.torch import load

    return load(data)


def _text(tensors: dict[str, Tensor]) -> dict[str, Any]:
    return json.loads(bytes(tensors["notes"].numpy()).decode())  # type: ignore[no-any-return]
