"""`RecurrentCritic`: what stored actions were worth, for learning from experience that is not one's own.

It reads rows as `RecurrentPolicy` does, with an encoder and a memory of its own, and is not needed to act.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from actors.encoders import encoder_for
from actors.linear import with_quick_linears
from actors.policy import Config, acting_mask
from actors.recurrence import remember
from envs.specs import Discrete, EnvSpec

HEADS = 2


class Criticism(NamedTuple):
    """What `evaluate` gives: each head's value of each stored action [K, N], value of each observation [S]."""

    q: Tensor
    value: Tensor


class RecurrentCritic(nn.Module):
    """Q of each discrete action by several heads, and V, over one memory."""

    def __init__(self, spec: EnvSpec, config: Config) -> None:
        """Build for an environment; weights are drawn from torch's global generator.

        Raises:
            ValueError: actions are not one choice out of several.
        """
        super().__init__()
        if not isinstance(spec.action, Discrete):
            raise ValueError(
                f"got actions of kind {type(spec.action).__name__}; expected Discrete: a critic values each"
            )
        self.actions = spec.action.n
        self.encoder = encoder_for(spec.observation, config.crop, config.hidden, config.encoder)
        self.core = nn.GRU(config.hidden, config.hidden) if config.recurrent else None
        self.q_heads = nn.Linear(config.hidden, HEADS * self.actions)
        self.value_head = nn.Linear(config.hidden, 1)
        with_quick_linears(self)

    def evaluate(
        self, observation: Mapping[str, Tensor], lengths: Tensor, initial_state: Tensor, action: Tensor
    ) -> Criticism:
        """Read trajectories with gradients.

        Args:
            observation: arrays [S, …], rows one after another, T_r + 1 observations each.
            lengths: T_r of each row, int64 [R].
            initial_state: [R, H].
            action: [N], N = sum(T_r).
        """
        hidden: Tensor = self.encoder(observation)
        if self.core is not None:
            hidden = remember(self.core, hidden, lengths + 1, initial_state)
        q = self.q_heads(hidden[acting_mask(lengths)]).view(-1, HEADS, self.actions)
        chosen = q.gather(-1, action.view(-1, 1, 1).expand(-1, HEADS, 1)).squeeze(-1)
        return Criticism(chosen.T, self.value_head(hidden).squeeze(-1))
