"""Log-probability and entropy of chosen tokens, without ever holding `[N, V]` numbers that are not needed.

Logits are made of hidden states chunk by chunk. With more than one chunk a gradient makes them a second time instead of
keeping them, so memory is that of one chunk whatever the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from learners.language.divergences import Exact, exact

Head = Callable[[Tensor], Tensor]
"""Hidden states `[n, D]` to logits `[n, V]`."""


class Comparison(NamedTuple):
    """Another policy to compare whole distributions with: hidden states `[n, D']`, head, and by what divergence."""

    hidden: Tensor
    head: Head
    divergence: Exact


class Chosen(NamedTuple):
    """Of n tokens, `[n]` each.

    Attributes:
        log_probs: of the token that was chosen, with gradient.
        entropy: of the distribution it was chosen from; with gradient where asked for.
        divergence: from the other policy, with gradient; None without one.
    """

    log_probs: Tensor
    entropy: Tensor
    divergence: Tensor | None


def chosen(
    hidden: Tensor,
    head: Head,
    targets: Tensor,
    *,
    temperature: float = 1.0,
    chunk: int = 4096,
    entropy_gradient: bool = False,
    comparison: Comparison | None = None,
) -> Chosen:
    """What a policy says of chosen tokens, in float32.

    Args:
        hidden: states that the tokens were chosen in, `[n, D]`.
        head: makes logits of them.
        targets: the tokens, `[n]`.
        temperature: logits are divided by it, as they were in sampling.
        chunk: so many tokens at a time.
        entropy_gradient: whether the entropy is learnt from; without, it is cheaper.
        comparison: another policy.
    """

    def one(states: Tensor, tokens: Tensor, *other: Tensor) -> tuple[Tensor, ...]:
        logits = head(states)
        if temperature != 1.0:
            logits = logits.float() / temperature
        log_p = logits.log_softmax(-1, dtype=torch.float32)
        log_probs = log_p.gather(-1, tokens[:, None]).squeeze(-1)
        with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
            entropy = -(log_p.exp() * log_p.clamp(min=torch.finfo(log_p.dtype).min)).sum(-1)
        if comparison is None:
            return log_probs, entropy
        with torch.no_grad():
            reference = comparison.head(other[0]).float() / temperature
        return log_probs, entropy, exact(log_p, reference, comparison.divergence)

    parts = []
    several = len(targets) > chunk
    for start in range(0, max(len(targets), 1), chunk):
        piece = slice(start, start + chunk)
        given = (hidden[piece], targets[piece], *(() if comparison is None else (comparison.hidden[piece],)))
        if several and torch.is_grad_enabled():
            parts.append(checkpoint(one, *given, use_reentrant=False))
        else:
            parts.append(one(*given))
    joined = [torch.cat(column) for column in zip(*parts, strict=True)]
    return Chosen(joined[0], joined[1], joined[2] if comparison is not None else None)
