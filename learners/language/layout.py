"""How sequences lie in a forward pass: which go together, and where in the rectangle that a model is given.

    padded   one sequence a row, filled up on the right, where causal attention cannot see it: no mask is needed
    packed   several sequences a row; positions that begin again at 0 tell the model where one ends (transformers makes
             a block-diagonal mask of them, or calls FlashAttention with lengths), so nothing is filled up but row ends

    shared   one row in which a prompt that several sequences begin with stands once (`shared_prompts`), and nothing is
             filled up; for models that can be given an attention of ours (`shared_attention`)

Numbers do not depend on it but for rounding, memory and speed do.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from learners.language.shared_prompts import Segments, lay_out_shared

Style = Literal["padded", "packed", "shared"]


class Layout(NamedTuple):
    """A rectangle of tokens `[R, L]`.

    Attributes:
        input_ids: `[R, L]`.
        position_ids: `[R, L]`, from 0 in each sequence.
        place: where each token of the flat batch lies in the flattened rectangle, `[N]`; -1: it was left out.
        segments: of a shared row, who sees whom; None: each token sees what stands before it in its sequence.
    """

    input_ids: Tensor
    position_ids: Tensor
    place: Tensor
    segments: Segments | None = None

    def states(self, loss_mask: Tensor) -> Tensor:
        """Where the states lie that the policy's own tokens were chosen in, `[n]`: at the tokens before them."""
        return self.place[loss_mask.nonzero()[:, 0] - 1]


def deal(lengths: Tensor, max_tokens: int, style: Style = "padded", unit: int = 1) -> list[Tensor]:
    """Which sequences share a forward pass.

    Sequences of like length go together, the longest first; shared ones, which are groups one behind another, as they
    come. One that is longer than `max_tokens` goes alone.

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
    filled = style == "padded"
    cost = (units.max(1).values * unit).tolist() if filled else units.sum(1).tolist()
    passes: list[list[int]] = []
    used = 0
    for index in sorted(range(len(units)), key=lambda i: 0 if style == "shared" else -cost[i]):
        # Padded, each unit takes as much as the first, which is the longest.
        takes = max(cost[index], cost[passes[-1][0]]) if filled and passes else cost[index]
        if not passes or used + takes > max_tokens:
            passes.append([])
            takes, used = cost[index], 0
        passes[-1].append(index)
        used += takes
    first = torch.arange(unit)
    return [
        (torch.tensor(sorted(indices))[:, None] * unit + first).reshape(-1).to(lengths.device) for indices in passes
    ]


def lay_out(
    token_ids: Tensor,
    lengths: Tensor,
    loss_mask: Tensor,
    style: Style = "padded",
    max_tokens: int = 0,
    whole: bool = True,
) -> Layout:
    """Tokens in a rectangle.

    Args:
        token_ids: of all sequences, one behind another, `[N]`.
        lengths: of each sequence, `[B]`.
        loss_mask: the policy's own tokens, `[N]`; what stands before the first one of a sequence is its prompt.
        style: one sequence a row, or as many as fit, or equal prompts once.
        max_tokens: packed: how long a row may be; the longest sequence at least.
        whole: whether all tokens are wanted; else those that no own token comes after are left out, such as the last
            of each sequence: nothing is chosen in their states.
    """
    if not whole:
        kept, left = _before_own_ones(lengths, loss_mask)
        inner = lay_out(token_ids[kept], left, loss_mask[kept], style, max_tokens)
        return inner._replace(place=torch.full_like(token_ids, -1).masked_scatter_(kept, inner.place))
    if style == "shared":
        return Layout(*lay_out_shared(token_ids, lengths, loss_mask))
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


def _before_own_ones(lengths: Tensor, loss_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Which tokens have an own one of their sequence behind them, or are its first, `[N]`; how many are left, `[B]`."""
    ends = lengths.cumsum(0)
    seen = loss_mask.cumsum(0)
    kept = seen < seen[ends - 1].repeat_interleave(lengths)
    kept[ends - lengths] = True
    return kept, kept.cumsum(0)[ends - 1].diff(prepend=lengths.new_zeros(1))
