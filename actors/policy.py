"""`RecurrentPolicy`: encoder → GRU → action distribution and value.

It acts one step at a time for a block of environments (`act`), and re-reads whole trajectories for the learner
(`evaluate`) in one call of the GRU: rows are packed, so neither the encoder nor the GRU touches padding, and no
reset is needed because a row never crosses an episode.

Shapes: N environments, R rows of T_r steps, S = sum(T_r + 1) observations, H recurrent numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from safetensors.torch import load as load_tensors
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from actors.distributions import distribution_for
from actors.encoders import encoder_for
from envs.specs import EnvSpec


class Config(BaseModel):
    """Size of the policy network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    """A policy with memory, for any observation arrays and any action space."""

    def __init__(self, spec: EnvSpec, config: Config) -> None:
        """Build for an environment; weights are orthogonal, drawn from torch's global generator."""
        super().__init__()
        self.state_size = config.hidden
        self.distribution = distribution_for(spec.action)
        self.encoder = encoder_for(spec.observation, config.crop, config.hidden)
        self.core = nn.GRU(config.hidden, config.hidden)
        self.policy_head = nn.Linear(config.hidden, self.distribution.size)
        self.value_head = nn.Linear(config.hidden, 1)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.orthogonal_(module.weight, gain=2**0.5)
                nn.init.zeros_(module.bias)
        # A nearly uniform first policy explores; a nearly zero first value does not bias the first advantages.
        nn.init.orthogonal_(self.policy_head.weight, gain=0.01)
        nn.init.orthogonal_(self.value_head.weight, gain=0.1)

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
        features = self.encoder(observation)
        out, hidden = self.core(features.unsqueeze(0), state.unsqueeze(0))
        parameters = self.policy_head(out.squeeze(0))
        chosen = self.distribution
        action = chosen.mode(parameters) if greedy else chosen.sample(parameters, generator)
        return Acted(action, chosen.log_prob(parameters, action), hidden.squeeze(0))

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
        hidden = remember(self.core, self.encoder(observation), lengths + 1, initial_state)
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


def remember(core: nn.GRU, features: Tensor, lengths: Tensor, initial_state: Tensor) -> Tensor:
    """What a recurrent core makes of concatenated rows, `[S, H]`, in one call and without padding.

    Args:
        core: the recurrence.
        features: of all rows, one after another, `[S, F]`.
        lengths: entries of each row, `[R]`; they sum to S.
        initial_state: before each row, `[R, H]`.
    """
    packing = pack_index(lengths)
    out, _ = core(
        PackedSequence(features[packing.order], packing.batch_sizes), initial_state[packing.rows].unsqueeze(0)
    )
    return torch.empty_like(out.data).index_copy(0, packing.order, out.data)


def acting_mask(lengths: Tensor) -> Tensor:
    """Which observations of rows of `lengths` [R] steps were acted on, `[S]`: the last of each row only bootstraps."""
    ends = (lengths + 1).cumsum(0) - 1
    acting = torch.ones(int(lengths.sum()) + len(lengths), dtype=torch.bool)
    acting[ends] = False
    return acting


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
    time = torch.arange(int(sorted_lengths[0])).unsqueeze(1)
    running = time < sorted_lengths
    return Packing((starts + time)[running], running.sum(1).cpu(), rows)
