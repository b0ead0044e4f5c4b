"""One flow over what is seen, done, brought about and worth: policy, world model and value in the same weights.

A row joins the state s, a chunk of actions a, the state after it s' and the value V. Some of it is shown, as it is, and
the rest is noised and matched; what is shown makes the same weights one model or another:

    policy   p(a, s', V | s)        world   p(s', V | s, a)        value   p(V | s, a, s')
    x = where(shown, x₀, (1 − σ) x₀ + σ ε)        L = mean over what is hidden of (v(x, σ, shown) − (ε − x₀))²

Demonstrations teach all three. What the policy did itself teaches world and value alone: it may have failed, and
demonstrations have no failures. A plan is the best of N chunks by their values, `best_of_candidates` of actors.search.

Source: Cosmos Policy, Fine-Tuning Video Models for Visuomotor Control and Planning (Kim et al. 2026). There all parts
are frames of a video model's latent space; plain numbers beside each other, and half of a batch for the policy, are
chosen here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from learners.flows.losses import noised
from learners.flows.sampler import sample

JointField = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From rows `[N, d]`, σ `[N]` and which numbers are shown `[N, d]`: velocities `[N, d]`."""
ROLES: Mapping[str, Sequence[str]] = {
    "policy": ("state",),
    "world": ("state", "action"),
    "value": ("state", "action", "after"),
}
"""What each role is shown."""
DEMONSTRATED = {"policy": 0.5, "world": 0.25, "value": 0.25}
"""Shares of the roles where demonstrations are learnt from."""


@dataclass(frozen=True)
class Row:
    """Where in a row each part stands, in this order.

    Attributes:
        state: numbers of s, and of s'.
        action: numbers of a chunk, all its steps together.
    """

    state: int
    action: int

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of each part."""
        return {"state": self.state, "action": self.action, "after": self.state, "value": 1}

    def join(self, state: Tensor, action: Tensor, after: Tensor, value: Tensor) -> Tensor:
        """Rows `[N, d]` of parts `[N, …]`."""
        return torch.cat([state, action, after, value], -1)

    def part(self, rows: Tensor, name: str) -> Tensor:
        """One part of rows `[..., d]`."""
        found: Tensor = rows.split(list(self.sizes.values()), -1)[list(self.sizes).index(name)]
        return found

    def shown(self, role: str) -> Tensor:
        """Which numbers a role is shown `[d]`, bool.

        Raises:
            ValueError: a role that there is not.
        """
        if role not in ROLES:
            raise ValueError(f"got role {role!r}; expected one of {sorted(ROLES)}")
        return torch.cat([torch.full((size,), name in ROLES[role]) for name, size in self.sizes.items()])

    def drawn(self, number: int, shares: Mapping[str, float], generator: torch.Generator) -> Tensor:
        """Which numbers are shown of each row of a batch `[number, d]`, for roles drawn by their shares.

        Raises:
            ValueError: a role that there is not, or shares that are negative or all 0.
        """
        weights = torch.tensor(list(shares.values()), dtype=torch.float64)
        if not len(weights) or (weights < 0).any() or not weights.sum() > 0:
            raise ValueError(f"got shares {dict(shares)}; expected at least 0, and some above")
        masks = torch.stack([self.shown(role) for role in shares])
        return masks[torch.multinomial(weights, number, replacement=True, generator=generator)]


def joint_losses(velocity: JointField, clean: Tensor, noise: Tensor, sigma: Tensor, shown: Tensor) -> Tensor:
    """L of each row `[N]`.

    Args:
        velocity: the flow.
        clean: x₀, joined rows `[N, d]`.
        noise: ε `[N, d]`.
        sigma: σ `[N]`.
        shown: which numbers are given `[N, d]`, bool.

    Raises:
        ValueError: shapes that differ, or a row of which nothing is hidden.
    """
    if not clean.shape == noise.shape == shown.shape:
        raise ValueError(
            f"got shapes {tuple(clean.shape)}, {tuple(noise.shape)} and {tuple(shown.shape)}; expected the same"
        )
    if shown.all(-1).any():
        raise ValueError(
            "got a row that is shown as a whole; expected something to be hidden: there is nothing to learn"
        )
    x = torch.where(shown, clean, noised(clean, noise, sigma))
    errors = (velocity(x, sigma, shown) - (noise - clean)).square().masked_fill(shown, 0.0)
    return errors.sum(-1) / (~shown).sum(-1)


def completed(velocity: JointField, rows: Tensor, shown: Tensor, noise: Tensor, steps: int) -> Tensor:
    """Rows whose hidden numbers are drawn given the shown ones `[N, d]`; with one step they are the mean of them.

    Args:
        velocity: the flow.
        rows: what is shown; the rest of them counts for nothing `[N, d]`.
        shown: which numbers `[N, d]`, bool.
        noise: ε `[N, d]`.
        steps: of the sampler, of equal σ.
    """

    def hidden_only(x: Tensor, sigma: float) -> Tensor:
        return velocity(x, x.new_full((len(x),), sigma), shown).masked_fill(shown, 0.0)

    return sample(hidden_only, torch.where(shown, rows, noise), steps).states[:, -1]
