"""Linear layers by oneDNN where MKL, which PyTorch otherwise calls, leaves half of the processor idle.

On AMD's processors MKL uses AVX2 also where there is AVX-512. oneDNN, which PyTorch brings as well, uses what is there:
products of some hundred rows take half the time (`benchmarks/linear_speed.py`, docs/speed.md). But it compiles code for
each shape that it is given, a millisecond each, and batches of experience hardly ever have as many rows as the one
before. So it is given a round number of rows, of which there are few, and MKL the rest. The mathematics is the same,
rounding is not; on one machine it is always the same.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

LEAST_ROWS, LEAST_PRODUCTS = 64, 2**21
"""Below either of them MKL is as quick: a call of oneDNN costs ten microseconds more."""
FINENESS = 32
"""Between a number of rows and its double there are at most so many round numbers."""


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear`, by oneDNN where that is quicker: large, of float32, on a CPU of AMD's.

    Args:
        inputs: `[…, K]`.
        weight: `[N, K]`.
        bias: `[N]`.

    Returns:
        `[…, N]`; its gradient can be taken once.
    """
    if not _suits(inputs, weight):
        return functional.linear(inputs, weight, bias)
    make = cast(Any, _Linear).apply if torch.is_grad_enabled() else _product
    found = make(inputs.reshape(-1, inputs.shape[-1]), weight, bias)
    return cast(Tensor, found.view(*inputs.shape[:-1], len(weight)))


def summed_products(gradient: Tensor, inputs: Tensor) -> Tensor:
    """The gradient gᵀ x of a weight, by oneDNN where that is quicker; without a gradient of its own.

    Args:
        gradient: of what the weight made, `[n, N]`.
        inputs: what it made it of, `[n, K]`.

    Returns:
        `[N, K]`.
    """
    if not _suits(inputs, gradient.t()):
        return torch.mm(gradient.t(), inputs)
    whole = round_rows(len(inputs))
    found = _by_onednn(gradient[:whole].t(), inputs[:whole].t())
    return found if whole == len(inputs) else found.addmm_(gradient[whole:].t(), inputs[whole:])


class Linear(nn.Linear):
    """A linear layer that calls `linear`."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Of `[…, K]`, `[…, N]`."""
        return linear(inputs, self.weight, self.bias)


def with_quick_linears(module: nn.Module) -> nn.Module:
    """The module itself, whose `nn.Linear` layers are `Linear` from now on; weights and their names stay."""
    for layer in module.modules():
        if type(layer) is nn.Linear:
            layer.__class__ = Linear  # a new layer would lose what is known of the old one: ties, hooks, adapters
    return module


@cache
def quicker(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether oneDNN is quicker than MKL on this machine: one of AMD's, with AVX-512.

    Args:
        cpuinfo: what Linux says of the processor. Other systems have no such file.
    """
    there = torch.backends.mkl.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    if not there or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    return cpuinfo.is_file() and "AuthenticAMD" in cpuinfo.read_text(encoding="utf-8", errors="replace")


def round_rows(rows: int) -> int:
    """How many of so many rows oneDNN is given: a multiple of 16 (1,088 of 1,100), of more where there are many."""
    return rows // _grain(rows) * _grain(rows)


def whole_rows(rows: int) -> int:
    """To how many rows so many are best filled up, so that all go through oneDNN: 1,152 of 1,100.

    Where it is not quicker, or they are few, they stay as many as they are.
    """
    return -(-rows // _grain(rows)) * _grain(rows) if rows >= LEAST_ROWS and quicker() else rows


def _grain(rows: int) -> int:
    grain = 16
    while grain * FINENESS < rows:
        grain *= 2
    return grain


def _suits(inputs: Tensor, weight: Tensor) -> bool:
    return (
        not torch.compiler.is_compiling()  # first: a compiler would look into all that is asked here
        and quicker()
        and inputs.numel() * len(weight) >= LEAST_PRODUCTS
        and inputs.numel() >= LEAST_ROWS * inputs.shape[-1]
        and weight.dim() == 2
        # Sharded tensors, and others that have their own way with products, keep it.
        and type(inputs) is Tensor
        and type(weight) in (Tensor, nn.Parameter)
        and inputs.dtype == weight.dtype == torch.float32
        and inputs.device.type == weight.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
    )


class _Linear(torch.autograd.Function):
    """y = x Wᵀ + b, and its gradients."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Of inputs `[n, K]` and a weight `[N, K]`, `[n, N]`."""
        ctx.save_for_backward(inputs, weight)
        return _product(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients of what `forward` was given, from that of its result `[n, N]`."""
        inputs, weight = ctx.saved_tensors
        of_inputs, of_weight, of_bias = ctx.needs_input_grad
        return (
            _product(gradient, weight.t()) if of_inputs else None,
            summed_products(gradient, inputs) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )


def _by_onednn(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], ""))


def _product(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The result x Wᵀ + b, `[n, N]`."""
    whole = round_rows(len(inputs))
    if whole == len(inputs):
        return _by_onednn(inputs, weight, bias)
    found = inputs.new_empty(len(inputs), len(weight))
    found[:whole] = _by_onednn(inputs[:whole], weight, bias)
    found[whole:] = functional.linear(inputs[whole:], weight, bias)
    return found
