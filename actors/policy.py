"""`RecurrentPolicy`: encoder → GRU → action distribution and value; without the GRU where the config says so.

It acts one step at a time for a block of environments (`act`), and re-reads whole trajectories for the learner
(`evaluate`) in one call of the encoder and of the GRU (actors/recurrence.py), neither of which sees padding.

Shapes: N environments, R rows of T_r steps, S = sum(T_r + 1) observations, H recurrent numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from actors.distributions import distribution_for
from actors.encoders import encoder_for
from actors.linear import with_quick_linears
from actors.recurrence import remember
from envs.specs import EnvSpec


class Config(BaseModel):
    """Kind and size of the policy network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: Literal["full", "small"] = Field(
        default="full", description="small: of NetHack, map window and status line, and not what the game says"
    )
    recurrent: bool = Field(default=True, description="with memory, or from what is seen alone")
    hidden: int = Field(default=128, ge=8, description="features of the encoder and numbers in the recurrent state")
    crop: int = Field(default=9, ge=3, description="side of the map window around NetHack's hero; odd")

    @field_validator("crop")
    @classmethod
    def _odd(cls, crop: int) -> int:
        if crop % 2 == 0:
            raise ValueError(f"expected an odd number, so that the hero stands in the middle: {crop - 1} or {crop + 1}")
        return crop


class Acted(NamedTuple):
    """What `act` gives: actions [N, …], their log-probabilities [N], and the next recurrent state [N, H]."""

    action: Tensor
    logprob: Tensor
    state: Tensor


class Evaluation(NamedTuple):
    """What `evaluate` gives, rows concatenated: log-probability and entropy of each step, value of each observation."""

    logprob: Tensor
    entropy: Tensor
    value: Tensor


class RecurrentPolicy(nn.Module):
    """A policy for any observation arrays and any action space, with memory unless its config says otherwise.

    Attributes:
        state_size: H; 1 without memory, because Arrow has no lists of no numbers: that number is always 0.
        core: the memory; None without.
    """

    core: nn.GRU | None

    def __init__(self, spec: EnvSpec, config: Config) -> None:
        """Build for an environment; weights are orthogonal, drawn from torch's global generator."""
        super().__init__()
        self.state_size = config.hidden if config.recurrent else 1
        self.distribution = distribution_for(spec.action)
        self.encoder = encoder_for(spec.observation, config.crop, config.hidden, config.encoder)
        self.core = nn.GRU(config.hidden, config.hidden) if config.recurrent else None
        self.policy_head = nn.Linear(config.hidden, self.distribution.size)
        self.value_head = nn.Linear(config.hidden, 1)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.orthogonal_(module.weight, gain=2**0.5)
                nn.init.zeros_(module.bias)
        # A nearly uniform first policy explores; a nearly zero first value does not bias the first advantages.
        nn.init.orthogonal_(self.policy_head.weight, gain=0.01)
        nn.init.orthogonal_(self.value_head.weight, gain=0.1)
        with_quick_linears(self)

    def initial_state(self, n: int) -> Tensor:
        """Recurrent state at the start of an episode, [n, H]."""
        return torch.zeros(n, self.state_size)

    @torch.no_grad()
    def act(
        self, observation: Mapping[str, Tensor], state: Tensor, generator: torch.Generator, greedy: bool = False
    ) -> Acted:
        """Choose one action for each environment.

        Args:
            observation: arrays [N, …].
            state: [N, H]; zero it where an episode begins.
            generator: source of all randomness.
            greedy: take the most likely action instead of a sample.
        """
        parameters, state = self.decide(observation, state)
        action, logprob = self.choose(parameters, generator, greedy)
        return Acted(action, logprob, state)

    @torch.no_grad()
    def decide(self, observation: Mapping[str, Tensor], state: Tensor) -> tuple[Tensor, Tensor]:
        """`act` without chance: parameters of the action distributions [N, P] and the next recurrent state [N, H]."""
        features = self.encoder(observation)
        if self.core is not None:
            out, hidden = self.core(features.unsqueeze(0), state.unsqueeze(0))
            features, state = out.squeeze(0), hidden.squeeze(0)
        return self.policy_head(features), state

    @torch.no_grad()
    def choose(self, parameters: Tensor, generator: torch.Generator, greedy: bool = False) -> tuple[Tensor, Tensor]:
        """Actions [N, …] and their log-probabilities [N], drawn from `generator`, or the most likely ones."""
        chosen = self.distribution
        action = chosen.mode(parameters) if greedy else chosen.sample(parameters, generator)
        return action, chosen.log_prob(parameters, action)

    def evaluate(
        self, observation: Mapping[str, Tensor], lengths: Tensor, initial_state: Tensor, action: Tensor
    ) -> Evaluation:
        """Re-read trajectories with gradients.

        Args:
            observation: arrays [S, …], rows one after another, T_r + 1 observations each.
            lengths: T_r of each row, int64 [R].
            initial_state: [R, H].
            action: [sum(T_r), …].
        """
        hidden: Tensor = self.encoder(observation)
        if self.core is not None:
            hidden = remember(self.core, hidden, lengths + 1, initial_state)
        parameters = self.policy_head(hidden[acting_mask(lengths)])
        return Evaluation(
            self.distribution.log_prob(parameters, action),
            self.distribution.entropy(parameters),
            self.value_head(hidden).squeeze(-1),
        )

    def load(self, blob: bytes) -> None:
        """Take weights from safetensors bytes.

        Raises:
            RuntimeError: names or shapes do not fit.
        """
        self.load_state_dict(load_tensors(blob))


def acting_mask(lengths: Tensor) -> Tensor:
    """Which observations of rows of `lengths` [R] steps were acted on, `[S]`: the last of each row only bootstraps."""
    ends = (lengths + 1).cumsum(0) - 1
    acting = torch.ones(int(ends[-1]) + 1, dtype=torch.bool, device=lengths.device)
    acting[ends] = False
    return acting
