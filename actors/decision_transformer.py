"""`DecisionTransformer`: what to do next, given what happened and how much of each reward is still wanted.

A trajectory is read as (g_0, s_0, a_0, g_1, s_1, a_1, …) with attention to what lies behind, and the action is foretold
where its state stands. g_t is one wanted return for each of K rewards:

    e_g = W g                                    Decision Transformer (K = 1)
    e_g = Σ_b softmax_b(f(w(u) ∘ g) / T) m_b     DT4IER: learnt buckets m, each as good as its score says

w(u) are K weights made of what is known about a user, softmax of a small network, times K: where nothing is learnt of
him, 1 each. With T towards 0 the nearest bucket alone is left.

Sources: Decision Transformer (Chen et al. 2021); DT4IER, Sequential Recommendation for Optimizing Both Immediate
Feedback and Long-term Retention (Liu et al. 2024), whose code has 100 buckets. There states and actions are lists of
items, read by recurrent networks; here a state is a vector and an action one choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn


class Config(BaseModel):
    """Shape of a decision transformer.

    Attributes:
        observation: size of a state.
        actions: how many choices there are.
        horizon: most steps of a trajectory.
        rewards: K, returns that are wanted.
        user: size of what is known about a user; 0: nothing, and returns are read as they are.
        buckets: of returns; 0: returns are embedded by a matrix.
        temperature: T of the buckets.
        hidden: size of every token.
        layers: of attention.
        heads: of each layer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    observation: int = Field(ge=1)
    actions: int = Field(ge=2)
    horizon: int = Field(ge=1)
    rewards: int = Field(1, ge=1)
    user: int = Field(0, ge=0)
    buckets: int = Field(0, ge=0)
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    hidden: int = Field(32, ge=1)
    layers: int = Field(1, ge=1)
    heads: int = Field(2, ge=1)


class Foretold(NamedTuple):
    """Of each step, logits of the actions `[B, T, A]`, and the vector that they are made from `[B, T, H]`."""

    logits: Tensor
    vector: Tensor


class SoftBuckets(nn.Module):
    """A mixture of learnt vectors for continuous numbers: near ones share buckets, far ones do not."""

    def __init__(self, inputs: int, buckets: int, hidden: int, temperature: float) -> None:
        """Random weights, from torch's global generator."""
        super().__init__()
        self.score = nn.Sequential(nn.Linear(inputs, buckets), nn.LeakyReLU(), nn.Linear(buckets, buckets))
        self.meta = nn.Parameter(torch.randn(buckets, hidden))
        self.temperature = temperature

    def shares(self, numbers: Tensor) -> Tensor:
        """How much of each bucket, `[…, buckets]`, of numbers `[…, inputs]`."""
        found: Tensor = (self.score(numbers) / self.temperature).softmax(-1)
        return found

    def forward(self, numbers: Tensor) -> Tensor:
        """`[…, hidden]` of numbers `[…, inputs]`."""
        return self.shares(numbers) @ self.meta


class DecisionTransformer(nn.Module):
    """A policy of trajectories; see the module."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "dt": {"rewards": 1},
        "dt4ier": {"rewards": 2, "buckets": 100},
    }

    def __init__(self, config: Config) -> None:
        """Random weights, from torch's global generator."""
        super().__init__()
        self.config = config
        hidden = config.hidden
        self.balance = (
            nn.Sequential(nn.Linear(config.user, hidden), nn.ReLU(), nn.Linear(hidden, config.rewards))
            if config.user
            else None
        )
        self.wanted: nn.Module = (
            SoftBuckets(config.rewards, config.buckets, hidden, config.temperature)
            if config.buckets
            else nn.Linear(config.rewards, hidden)
        )
        self.state = nn.Linear(config.observation, hidden)
        self.action = nn.Embedding(config.actions, hidden)
        self.place = nn.Parameter(0.02 * torch.randn(3 * config.horizon, hidden))
        layer = nn.TransformerEncoderLayer(
            hidden, config.heads, 4 * hidden, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.attention = nn.TransformerEncoder(layer, config.layers, nn.LayerNorm(hidden), enable_nested_tensor=False)
        self.head = nn.Linear(hidden, config.actions)

    def balanced(self, returns: Tensor, user: Tensor | None) -> Tensor:
        """w(u) ∘ g `[B, T, K]`, of returns of that shape and users `[B, U]`.

        Raises:
            ValueError: a user where none is read, or the other way round.
        """
        if (self.balance is None) != (user is None):
            expected = "no user" if self.balance is None else f"users of size {self.config.user}"
            raise ValueError(f"got {'no user' if user is None else 'users'}; expected {expected}, as the config says")
        if self.balance is None:
            return returns
        weights: Tensor = self.config.rewards * self.balance(user).softmax(-1)
        return returns * weights[:, None]

    def forward(self, returns: Tensor, states: Tensor, actions: Tensor, user: Tensor | None = None) -> Foretold:
        """What to do at each step, from what stands before it.

        Args:
            returns: g, what is wanted from each step on, `[B, T, K]`.
            states: `[B, T, O]`.
            actions: what was done, `[B, T]`; the one of a step is not seen by its own prediction, so that the last may
                be anything.
            user: what is known about each user, `[B, U]`; None where the config has none.

        Raises:
            ValueError: shapes that do not fit, or returns that are not known: they would be read as something.
        """
        batch, steps = actions.shape
        config = self.config
        if (
            returns.shape != (batch, steps, config.rewards)
            or states.shape != (batch, steps, config.observation)
            or not 1 <= steps <= config.horizon
        ):
            raise ValueError(
                f"got returns {tuple(returns.shape)}, states {tuple(states.shape)} and actions {tuple(actions.shape)}; "
                f"expected [B, T, {config.rewards}], [B, T, {config.observation}] and [B, T] with T ≤ {config.horizon}"
            )
        if not bool(returns.isfinite().all()):
            raise ValueError("got returns that are not finite; expected trajectories whose returns are all known")
        wanted = self.wanted(self.balanced(returns, user))
        tokens = torch.stack([wanted, self.state(states), self.action(actions)], 2).flatten(1, 2)
        tokens = tokens + self.place[: 3 * steps]
        ahead = torch.ones(3 * steps, 3 * steps, dtype=torch.bool, device=tokens.device).triu(1)
        vector = self.attention(tokens, mask=ahead)[:, 1::3]
        return Foretold(self.head(vector), vector)
