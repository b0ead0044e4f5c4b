"""Texts by a frozen model whose tokens are tilted, one by one, by a reward of the text so far.

    π_w(a | x, y) ∝ π(a | x, y) exp(w r(x, y a))        over the likeliest tokens a

With w above 0 the reward is sought, with w below 0 it is shunned: a model of good answers then writes good ones that a
reward model likes least, and a model of bad answers, with w above 0, bad ones that it likes most. Both show where the
reward model errs, and nobody has to know beforehand how.

Source: REFORM, Reward-Guided Adversarial Failure Mode Discovery (Pathmanathan and Huang 2025); the tilt of one token is
`actors.search.tilting.augmented_logits`. Chosen here: a token is drawn, and its reward is that of the unfinished text.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from actors.search.tilting import augmented_logits

Logits = Callable[[Tensor], Tensor]
"""From texts so far `[B, t]`, t from 0, the logits of their next tokens `[B, V]`."""
Reward = Callable[[Tensor, Tensor], Tensor]
"""From unfinished texts `[N, t + 1]` and their rows `[N]`, from 0 to B − 1, their rewards `[N]`."""


@torch.no_grad()
def decode(
    logits: Logits,
    reward: Reward,
    rows: int,
    length: int,
    strength: float,
    top: int = 20,
    end: int = 0,
    generator: torch.Generator | None = None,
    device: torch.device | None = None,
) -> Tensor:
    """One text for each row `[B, length]`; behind the first `end` all is `end`.

    Args:
        logits: of the frozen model.
        reward: asked for `top` continuations of each text; not asked at all where `strength` is 0.
        rows: B.
        length: most tokens of a text.
        strength: w; 0 is the model itself.
        top: how many of the likeliest tokens are tilted.
        end: token that ends a text.
        generator: of the draws; None: torch's own.
        device: of the model; None: torch's own.

    Raises:
        ValueError: no row or no token.
    """
    if rows < 1 or length < 1:
        raise ValueError(f"got {rows} rows of {length} tokens; expected at least 1 of each")
    texts = torch.zeros(rows, 0, dtype=torch.long, device=device)
    ended = torch.zeros(rows, dtype=torch.bool, device=device)
    for _ in range(length):
        found = logits(texts)
        if strength:
            found = augmented_logits(found, partial(_values, reward, texts), [strength], top)
        token = torch.multinomial(found.softmax(-1), 1, generator=generator)[:, 0]
        token = torch.where(ended, end, token)
        ended |= token == end
        texts = torch.cat([texts, token[:, None]], 1)
    return texts


def _values(reward: Reward, texts: Tensor, tokens: Tensor) -> Tensor:
    """Rewards of texts `[B, t]` with each of some next tokens `[B, k]`, as `[B, k, 1]`."""
    rows, width = tokens.shape
    tried = torch.cat([texts.repeat_interleave(width, 0), tokens.reshape(-1, 1)], 1)
    row = torch.arange(rows, device=texts.device).repeat_interleave(width)
    return reward(tried, row).view(rows, width, 1)
