"""Root-mean-square norms with the gradient written out; a model's own take four times as long on a CPU.

    y = w · h,  h = x / s,  s = √(mean(x²) + ε)                   (Zhang and Sennrich 2019)
    ∂x = (w g - h · mean(w g h)) / s,  ∂w = Σ g h

Models of transformers write it as half a dozen small steps, each of which reads and writes all of x, and autograd adds
as many again.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def rms_norm(inputs: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """The norm of the last axis; its gradient can be taken once.

    Args:
        inputs: `[…, D]`.
        weight: `[D]`.
        epsilon: added to the mean square.

    Returns:
        `[…, D]`.
    """
    return cast(Tensor, cast(Any, _RmsNorm).apply(inputs, weight, epsilon))


def with_quick_norms(module: nn.Module) -> nn.Module:
    """The module itself, whose norms of this kind are ours from now on where they are of float32 on a CPU.

    A norm that does something else under such a name, like Gemma's, is told by what it says of three vectors, and left.
    """
    for layer in module.modules():
        if type(layer).__name__.endswith("RMSNorm") and _agrees(layer):
            layer.__class__ = _quick(cast(Any, type(layer)))  # weights, names and hooks stay
    return module


class _RmsNorm(torch.autograd.Function):
    """See the module."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        """Of `[…, D]`, a weight `[D]` and ε, `[…, D]`."""
        length: Tensor = torch.linalg.vector_norm(inputs, dim=-1, keepdim=True)
        over = length.square_().div_(inputs.shape[-1]).add_(epsilon).rsqrt_()
        unit = inputs * over
        ctx.save_for_backward(unit, over, weight)
        return unit * weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Gradients of what `forward` was given, from that of its result."""
        unit, over, weight = ctx.saved_tensors
        of_inputs, of_weight, _ = ctx.needs_input_grad
        along = gradient * unit
        found = None
        if of_inputs:
            mean = torch.mv(along.flatten(0, -2), weight).div_(len(weight)).view(over.shape)
            found = (gradient * weight).addcmul_(unit, mean, value=-1).mul_(over)
        return found, along.flatten(0, -2).sum(0) if of_weight else None, None


class _Quick(nn.Module):
    """Mixed into a norm's class: what suits goes by `rms_norm`."""

    weight: Tensor
    variance_epsilon: float

    def forward(self, hidden_states: Tensor) -> Tensor:
        if _suits(hidden_states, self.weight):
            return rms_norm(hidden_states, self.weight, self.variance_epsilon)
        return cast(Tensor, super().forward(hidden_states))


@cache
def _quick(kind: Any) -> Any:
    """The class of a norm that is quicker; by its name libraries know what is a norm."""
    return type(kind.__name__, (_Quick, kind), {"__module__": kind.__module__})


def _suits(inputs: Tensor, weight: Tensor) -> bool:
    return (
        not torch.compiler.is_compiling()
        and type(inputs) is Tensor
        and type(weight) in (Tensor, nn.Parameter)  # sharded ones have their own way
        and inputs.dtype == weight.dtype == torch.float32
        and inputs.device.type == weight.device.type == "cpu"
        and inputs.dim() > 1
        and not torch.is_autocast_enabled("cpu")
    )


@torch.no_grad()
def _agrees(layer: nn.Module) -> bool:
    weight, epsilon = getattr(layer, "weight", None), getattr(layer, "variance_epsilon", None)
    if not isinstance(weight, Tensor) or weight.dim() != 1 or not isinstance(epsilon, float):
        return False
    probe = torch.linspace(-2.0, 3.0, 3 * len(weight)).view(3, -1)
    if not _suits(probe, weight):
        return False
    try:
        expected = cast(Tensor, layer(probe))
    except TypeError:  # it takes more than what it is to norm
        return False
    found = rms_norm(probe, weight, epsilon)
    return found.shape == expected.shape and bool((found - expected).abs().max() <= 1e-5 * (1 + expected.abs().max()))
