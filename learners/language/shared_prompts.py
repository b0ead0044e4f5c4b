"""Equal prompts stand once: a flat row of roots and branches, and who sees whom in it.

    sequences   p0 p1 a0 a1 a2 | p0 p1 b0 | q0 q1 q2 c0 c1
    row         p0 p1 | q0 q1 q2 c0 c1 || a0 a1 a2 | b0        roots, then branches
    branch a sees p and itself, branch b sees p and itself; a root sees itself alone

A prompt that several sequences begin with is a root, and what follows it in each of them a branch; any other sequence
is a root as a whole. All layers but attention work on the tokens of the row, so that a group's prompt is computed once
and nothing is ever filled up; attention works on two rectangles that are gathered from the row (`shared_attention`).
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Block(NamedTuple):
    """S stretches of the row, as a rectangle that is filled up on the right.

    Attributes:
        at: which token of the stretches, laid one behind another, stands where, `[S, W]`; what fills up is the first.
        back: where in the flattened rectangle each token stands, `[n]`.
        full: whether nothing is filled up, so that the rectangle is the tokens as they lie.
    """

    at: Tensor
    back: Tensor
    full: bool


class Segments(NamedTuple):
    """Who sees whom in a row.

    Attributes:
        roots: those that see themselves.
        branches: those that see a root as well, or None.
        parent: the root of each branch, `[S]`.
        mask: True where a branch's token may look, `[S, 1, W, P + W]`: at tokens of the root, then at its own.
    """

    roots: Block
    branches: Block | None
    parent: Tensor
    mask: Tensor


def lay_out_shared(token_ids: Tensor, lengths: Tensor, loss_mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Segments]:
    """Sequences as roots and branches.

    Args:
        token_ids: of all sequences, one behind another, `[N]`.
        lengths: of each sequence, `[B]`.
        loss_mask: the policy's own tokens; what comes before the first of them is the prompt, `[N]`.

    Returns:
        Tokens and positions of the row, `[1, M]` each; where each token of the sequences lies in it, `[N]`; and who
        sees whom.
    """
    device = token_ids.device
    ids, own, sizes = (one.cpu().numpy() for one in (token_ids, loss_mask, lengths))
    starts = np.cumsum(sizes) - sizes
    prompts, names = [], []
    for start, size in zip(starts, sizes, strict=True):
        mine = own[start : start + size]
        prompts.append(int(mine.argmax()) if mine.any() else int(size))
        names.append(ids[start : start + prompts[-1]].tobytes())
    often = Counter(names)
    root_of: dict[bytes, int] = {}  # a prompt that several have, to the number of its root
    roots: list[tuple[int, int]] = []  # first token and length, in the sequences
    branches: list[tuple[int, int]] = []
    parent: list[int] = []
    where: list[tuple[int, int | None]] = []  # of each sequence its root, and its branch
    for start, size, prompt, name in zip(starts, sizes, prompts, names, strict=True):
        shared = often[name] > 1
        if not shared or name not in root_of:
            root_of[name] = len(roots)
            roots.append((int(start), prompt if shared else int(size)))
        branch = None
        if shared and size > prompt:
            branch = len(branches)
            branches.append((int(start) + prompt, int(size) - prompt))
            parent.append(root_of[name])
        where.append((root_of[name], branch))
    taken = np.array([*roots, *branches], np.int64)
    first = np.cumsum(taken[:, 1]) - taken[:, 1]  # of each stretch, in the row
    chosen = np.repeat(taken[:, 0] - first, taken[:, 1]) + np.arange(int(taken[:, 1].sum()))
    within = chosen - np.repeat(starts, sizes)[chosen]  # positions in the sequences
    place = np.empty(len(ids), np.int64)
    for start, size, prompt, (root, branch) in zip(starts, sizes, prompts, where, strict=True):
        stem = size if branch is None else prompt
        place[start : start + stem] = first[root] + np.arange(stem)
        if branch is not None:
            place[start + prompt : start + size] = first[len(roots) + branch] + np.arange(size - prompt)
    root_sizes, branch_sizes = taken[: len(roots), 1], taken[len(roots) :, 1]
    segments = Segments(
        _block(root_sizes, device),
        _block(branch_sizes, device) if branches else None,
        torch.tensor(parent, dtype=torch.int64, device=device),
        _mask(root_sizes, branch_sizes, parent, device),
    )
    row = torch.from_numpy(chosen).to(device)
    return token_ids[row][None], torch.from_numpy(within).to(device)[None], torch.from_numpy(place).to(device), segments


def _block(sizes: NDArray[np.int64], device: torch.device) -> Block:
    width, first = int(sizes.max()), np.cumsum(sizes) - sizes
    filled = np.arange(width)[None] < sizes[:, None]
    at = np.where(filled, first[:, None] + np.arange(width), first[:, None])
    back = np.flatnonzero(filled)
    return Block(torch.from_numpy(at).to(device), torch.from_numpy(back).to(device), bool(filled.all()))


def _mask(roots: NDArray[np.int64], branches: NDArray[np.int64], parent: list[int], device: torch.device) -> Tensor:
    if not len(branches):
        return torch.ones(0, 1, 0, 0, dtype=torch.bool, device=device)
    width = int(branches.max())
    stem = torch.arange(int(roots.max())) < torch.from_numpy(roots)[parent][:, None]
    own = torch.ones(width, width, dtype=torch.bool).tril()
    mask = torch.cat([stem[:, None].expand(-1, width, -1), own[None].expand(len(branches), -1, -1)], -1)
    return mask[:, None].to(device)
