"""How sequences lie in a forward pass: which go together, and where in the rectangle that a model is given.

    padded   one sequence a row, filled up on the right, where causal attention cannot see it: no mask is needed
    packed   several sequences a row; positions that begin again at 0 tell the model where one ends (transformers makes
             a block-diagonal mask of them, or calls FlashAttention with lengths), so nothing is filled up but row ends

Numbers do not depend on it, memory and speed do.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

Style = Literal["padded", "packed"]


class Layout(NamedTuple):
    """A rectangle of tokens `[R, L]`.

    Attributes:
        input_ids: `[R, L]`.
        position_ids: `[R, L]`, from 0 in each sequence.
        place: where each token of the flat batch lies in the flattened rectangle, `[N]`.
    """

    input_ids: Tensor
    position_ids: Tensor
    place: Tensor


def deal(lengths: Tensor, max_tokens: int, style: Style = "padded", unit: int = 1) -> list[Tensor]:
    """Which sequences share a forward pass.

    Sequences of like length go together, the longest first. One that is longer than `max_tokens` goes alone.

    Args:
        lengths: of each sequence, `[B]`.
        max_tokens: the most tokens of one pass, padding included.
        style: of the layout.
        unit: so many consecutive sequences are never parted: 2 for pairs.

    Returns:
        Indices of sequences of each pass.

    Raises:
        ValueError: the sequences do not make whole units.
    """
    if len(lengths) % unit:
        raise ValueError(f"got {len(lengths)} sequences; expected a multiple of {unit}, which belong together")
    units = lengths.cpu().view(-1, unit)
    cost = units.sum(1).tolist() if style == "packed" else (units.max(1).values * unit).tolist()
    passes: list[list[int]] = []
    used = 0
    for index in sorted(range(len(units)), key=lambda i: -cost[i]):
        # Padded, each unit takes as much as the first, which is the longest.
        takes = cost[index] if style == "packed" or not passes else max(cost[index], cost[passes[-1][0]])
        if not passes or used + takes > max_tokens:
            passes.append([])
            takes, used = cost[index], 0
        passes[-1].append(index)
        used += takes
    first = torch.arange(unit)
    return [
        (torch.tensor(sorted(indices))[:, None] * unit + first).reshape(-1).to(lengths.device) for indices in passes
    ]


def lay_out(token_ids: Tensor, lengths: Tensor, style: Style = "padded", max_tokens: int = 0) -> Layout:
    """Tokens in a rectangle.

    Args:
        token_ids: of all sequences, one behind another, `[N]`.
        lengths: of each sequence, `[B]`.
        style: one sequence a row, or as many as fit.
        max_tokens: packed: how long a row may be; the longest sequence at least.
    """
    device = token_ids.device
    sizes = lengths.tolist()
    room = max(max_tokens, *sizes) if style == "packed" else 0
    row_of: list[int] = []
    offset_of: list[int] = []
    filled: list[int] = []
    for size in sizes:
        row = next((r for r, used in enumerate(filled) if used + size <= room), None)
        if row is None:
            row = len(filled)
            filled.append(0)
        row_of.append(row)
        offset_of.append(filled[row])
        filled[row] += size
    width = max(filled)
    start = lengths.cumsum(0) - lengths
    within = torch.arange(len(token_ids), device=device) - start.repeat_interleave(lengths)
    first = torch.tensor([row * width + offset for row, offset in zip(row_of, offset_of, strict=True)], device=device)
    place = first.repeat_interleave(lengths) + within
    input_ids = torch.zeros(len(filled) * width, dtype=torch.int64, device=device)
    input_ids[place] = token_ids
    # Padding goes on counting, so that a padded row is one sequence to the model and needs no mask. In packed rows that
    # could count beyond the model's positions.
    position_ids = torch.arange(width, device=device).repeat(len(filled))
    if style == "packed":
        position_ids.zero_()
    position_ids[place] = within
    shape = (len(filled), width)
    return Layout(input_ids.view(shape), position_ids.view(shape), place)
