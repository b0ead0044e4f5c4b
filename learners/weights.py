"""Weights as bytes: safetensors, never pickle."""

from __future__ import annotations

import safetensors.torch
import torch
from safetensors import SafetensorError


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
