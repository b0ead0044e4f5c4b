"""What a GRU makes of rows of different lengths, in one call, without padding, and without a reset.

Rows lie one behind another and are brought into packed order: all first steps, then all second steps, longest rows
first. No row crosses an episode, so memory is never reset within one.

On a GPU this is cuDNN's. On a CPU PyTorch's packed GRU takes a slice of its input for each time, and the gradient of
each slice is an array of zeros as large as the whole input: memory traffic that grows with the square of the time,
most of an update. `_PackedGru` is the same mathematics with the gradient written out: everything is touched once, and
the gradient of the recurrent weights is one product at the end instead of one for each time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from actors.linear import linear, summed_products


class Packing(NamedTuple):
    """How concatenated rows become a packed sequence.

    Attributes:
        order: position in the concatenation of each packed entry, [S].
        batch_sizes: rows still running at each time, on the CPU [max T].
        rows: rows by falling length, [R].
    """

    order: Tensor
    batch_sizes: Tensor
    rows: Tensor


def pack_index(lengths: Tensor) -> Packing:
    """Index that turns concatenated rows of `lengths` [R] into time-major packed order."""
    rows = torch.argsort(lengths, descending=True, stable=True)
    sorted_lengths = lengths[rows]
    starts = (lengths.cumsum(0) - lengths)[rows]
    time = torch.arange(int(sorted_lengths[0]), device=lengths.device).unsqueeze(1)
    running = time < sorted_lengths
    return Packing((starts + time)[running], running.sum(1).cpu(), rows)


def remember(core: nn.GRU, features: Tensor, lengths: Tensor, initial_state: Tensor) -> Tensor:
    """What a recurrent core makes of concatenated rows, `[S, H]`, in one call and without padding.

    Args:
        core: the recurrence, of one layer.
        features: of all rows, one after another, `[S, F]`.
        lengths: entries of each row, `[R]`; they sum to S.
        initial_state: before each row, `[R, H]`.
    """
    packing = pack_index(lengths)
    packed, first = features[packing.order], initial_state[packing.rows]
    if features.is_cuda:
        out = core(PackedSequence(packed, packing.batch_sizes), first.unsqueeze(0))[0].data
    else:
        of_input, of_memory, input_bias, memory_bias = core.all_weights[0]
        gates = linear(packed, of_input, input_bias)
        with torch.autocast("cpu", enabled=False):
            own = of_memory.dtype
            sizes = packing.batch_sizes.tolist()
            out = _PackedGru.apply(gates.to(own), first.to(own), of_memory, memory_bias, sizes, gates.dtype)  # type: ignore[no-untyped-call]
    return torch.empty_like(out).index_copy(0, packing.order, out)


class _PackedGru(torch.autograd.Function):
    """The recurrent half of a GRU (Cho et al. 2014, in PyTorch's form) over packed rows; gates r, z, n.

    r = σ(x_r + U_r h + b_r)    z = σ(x_z + U_z h + b_z)    g = U_n h + b_n    n = tanh(x_n + r g)
    h' = n + z (h - n)

    Products may be in bfloat16; memory and sums are float32.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, first: Tensor, weight: Tensor, bias: Tensor, sizes: list[int], products: torch.dtype
    ) -> Tensor:
        """Memory after each packed entry.

        Args:
            ctx: what `backward` is told.
            inputs: what the inputs add to the gates, `[S, 3H]`.
            first: memory before each row, longest row first, `[R, H]`.
            weight: U of all gates, `[3H, H]`.
            bias: b of all gates, `[3H]`.
            sizes: rows running at each time.
            products: type of the numbers that are multiplied.

        Returns:
            `[S, H]`.
        """
        hidden = first.shape[1]
        out, before, g = (inputs.new_empty(len(inputs), hidden) for _ in range(3))
        gates = torch.empty_like(inputs)
        now, turned = first, weight.to(products).t()
        begin = 0
        for size in sizes:
            here = slice(begin, begin + size)
            begin += size
            before[here] = now = now[:size]
            recurrent = torch.mm(now.to(products), turned).to(bias.dtype).add_(bias)
            g[here] = recurrent[:, 2 * hidden :]
            r_and_z = torch.add(inputs[here, : 2 * hidden], recurrent[:, : 2 * hidden]).sigmoid_()
            r, z = r_and_z.chunk(2, 1)
            n = torch.addcmul(inputs[here, 2 * hidden :], r, g[here]).tanh_()
            gates[here, : 2 * hidden], gates[here, 2 * hidden :] = r_and_z, n
            now = torch.lerp(n, now, z)
            out[here] = now
        ctx.save_for_backward(gates, g, before, weight)
        ctx.sizes, ctx.products = sizes, products
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of what `forward` was given, from that of its result `[S, H]`."""
        (given,) = gradients
        gates, g, before, weight = ctx.saved_tensors
        hidden = before.shape[1]
        r, z, n = gates.split(hidden, 1)
        # What does not depend on the later steps is made for all steps at once.
        of_n = (1 - z) * (1 - n.square())
        of_z = (before - n) * z * (1 - z)
        of_r = g * r * (1 - r)
        inputs, recurrent = torch.empty_like(gates), torch.empty_like(gates)
        low = weight.to(ctx.products)
        carried = given.new_zeros(0, hidden)
        end = len(gates)
        for size in reversed(ctx.sizes):
            here = slice(end - size, end)
            end -= size
            total = given[here].clone()
            total[: len(carried)] += carried
            of_input = inputs[here]
            torch.mul(total, of_n[here], out=of_input[:, 2 * hidden :])
            torch.mul(total, of_z[here], out=of_input[:, hidden : 2 * hidden])
            torch.mul(of_input[:, 2 * hidden :], of_r[here], out=of_input[:, :hidden])
            recurrent[here] = of_input
            recurrent[here, 2 * hidden :] *= r[here]
            carried = total.mul_(z[here]).add_(torch.mm(recurrent[here].to(ctx.products), low))
        of_weight = summed_products(recurrent.to(ctx.products), before.to(ctx.products)).to(weight.dtype)
        return inputs, carried, of_weight, recurrent.sum(0), None, None
