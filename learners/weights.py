"""Weights as bytes (safetensors, never pickle), and as parts of a learner's state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor


def gathered(tensor: Tensor) -> Tensor:
    """All of a tensor that is spread over processes (a DTensor; all of them must call this), or the tensor itself."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def scattered_like(example: Tensor, tensor: Tensor) -> Tensor:
    """A whole tensor on the device of `example`, spread over processes as that is."""
    tensor = tensor.to(example.device)
    if not hasattr(example, "device_mesh"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, example.device_mesh, example.placements)  # type: ignore[attr-defined]


def pack_weights(module: torch.nn.Module) -> bytes:
    """Parameters and buffers of a module as one safetensors blob.

    `safetensors.torch.load(blob)` is the state dict again.
    """
    return safetensors.torch.save({name: value.cpu().contiguous() for name, value in module.state_dict().items()})


def unpack_weights(module: torch.nn.Module, blob: bytes) -> None:
    """Load a blob of `pack_weights` into a module of the same architecture.

    Raises:
        ValueError: the blob is not safetensors, or its names or shapes are not those of the module.
    """
    try:
        module.load_state_dict(safetensors.torch.load(blob))
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(
            f"got weights that do not fit the module: {error}; use the config that the weights were trained with"
        ) from error


def named_weights(module: torch.nn.Module, name: str) -> dict[str, Tensor]:
    """Copies of a module's parameters and buffers, as parts of a state: `NAME.PARAMETER`."""
    return {f"{name}.{key}": value.detach().clone() for key, value in module.state_dict().items()}


@torch.no_grad()
def follow(target: torch.nn.Module, module: torch.nn.Module, rate: float) -> None:
    """Move the parameters of a target network a share of the way to those of the network that it follows, in place.

    Args:
        target: of the same architecture.
        module: what is trained.
        rate: share of the way, in (0, 1]; Polyak averaging (Lillicrap et al. 2015). Above 1 it goes on beyond:
            extrapolation from a weaker model over a stronger one (ExPO: Zheng et al. 2024).
    """
    for old, new in zip(target.parameters(), module.parameters(), strict=True):
        old.lerp_(new, rate)


def load_named_weights(module: torch.nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Take a module's weights out of a state.

    Raises:
        RuntimeError: they do not fit.
    """
    start = f"{name}."
    module.load_state_dict({key.removeprefix(start): value for key, value in state.items() if key.startswith(start)})


@contextmanager
def fitting_state() -> Iterator[None]:
    """Says of a learner's state that lacks a part, or has one of another shape, what to do.

    Raises:
        ValueError: the state does not fit.
    """
    try:
        yield
    except (KeyError, RuntimeError) as error:
        raise ValueError(
            f"got a learner's state that does not fit: {error}; resume with the config that wrote it"
        ) from error
