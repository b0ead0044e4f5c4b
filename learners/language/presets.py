"""The losses of the papers, by their names: points in the space of `PolicyLoss`, and the advantage that goes with each.

| name                       | ratio    | bound          | mean      | source |
|----------------------------|----------|----------------|-----------|--------|
| `ppo`                      | token    | clip           | token     | Schulman et al. 2017; Ouyang et al. 2022 |
| `grpo`                     | token    | clip           | sequence  | Shao et al. 2024 |
| `dr_grpo`                  | token    | clip           | constant  | Liu et al. 2025 |
| `dapo`                     | token    | clip-higher    | token     | Yu et al. 2025 (ByteDance) |
| `rloo`                     | product  | clip           | sequence  | Ahmadian et al. 2024 |
| `reinforce_plus_plus`      | token    | clip           | token     | Hu 2025 |
| `reinforce_plus_plus_baseline` | token | clip          | token     | Hu 2025 |
| `gspo`                     | sequence | clip, narrow   | sequence  | Zheng et al. 2025 |
| `gspo_token`               | sequence_token | clip, narrow | sequence | Zheng et al. 2025 |
| `cispo`                    | token    | truncate       | token     | MiniMax 2025 |
| `sapo`                     | token    | soft           | sequence  | Gao et al. 2025 |
| `stable_reinforce`         | token    | clip, pre-clip | sequence  | R1-Reward: Zhang et al. 2025 |

What else belongs to a method is said where it happens: `rewards/advantages/` computes advantages,
`rewards.groups.has_signal` is DAPO's dynamic sampling, `rewards.verifiers.length.overlong_punishment` its punishment.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

from learners.language.aggregation import Aggregation
from learners.language.clipping import Clip, Soft, Truncate
from learners.language.policy_loss import PolicyLoss


class Preset(NamedTuple):
    """A method.

    Attributes:
        loss: its policy loss.
        advantage: its preset of `rewards.advantages.group_relative`; None: GAE from a value head.
    """

    loss: PolicyLoss
    advantage: str | None


_TOKEN, _SEQUENCE = Aggregation(by="token"), Aggregation(by="sequence")
# GSPO's ratio is a mean over the sequence and moves far less than that of a token (section 5.1).
_NARROW = Clip(low=3e-4, high=4e-4)

PRESETS = MappingProxyType(
    {
        "ppo": Preset(PolicyLoss(bound=Clip(), aggregation=_TOKEN), None),
        "grpo": Preset(PolicyLoss(bound=Clip(), aggregation=_SEQUENCE), "grpo"),
        "dapo": Preset(PolicyLoss(bound=Clip(low=0.2, high=0.28), aggregation=_TOKEN), "grpo"),
        "rloo": Preset(PolicyLoss(ratio="product", bound=Clip(), aggregation=_SEQUENCE), "rloo"),
        "reinforce_plus_plus": Preset(PolicyLoss(bound=Clip(), aggregation=_TOKEN), "reinforce_pp"),
        "reinforce_plus_plus_baseline": Preset(PolicyLoss(bound=Clip(), aggregation=_TOKEN), "reinforce_pp_baseline"),
        "gspo": Preset(PolicyLoss(ratio="sequence", bound=_NARROW, aggregation=_SEQUENCE), "grpo"),
        "gspo_token": Preset(PolicyLoss(ratio="sequence_token", bound=_NARROW, aggregation=_SEQUENCE), "grpo"),
        "cispo": Preset(PolicyLoss(bound=Truncate(), aggregation=_TOKEN), "grpo"),
        "sapo": Preset(PolicyLoss(bound=Soft(), aggregation=_SEQUENCE), "grpo"),
        "stable_reinforce": Preset(PolicyLoss(bound=Clip(pre=1e3), aggregation=_SEQUENCE), "stable_reinforce"),
    }
)
"""All but Dr. GRPO, which needs to know the longest answer: see `preset`."""

NAMES = (*PRESETS, "dr_grpo")


def preset(name: str, max_tokens: int) -> Preset:
    """A method by name.

    Args:
        name: one of `NAMES`.
        max_tokens: the longest answer that may be generated, which Dr. GRPO divides by.

    Raises:
        ValueError: there is none of that name.
    """
    if name == "dr_grpo":
        constant = Aggregation(by="constant", length=max_tokens)
        return Preset(PolicyLoss(bound=Clip(), aggregation=constant), "dr_grpo")
    if name not in PRESETS:
        raise ValueError(f"got method {name!r}; expected one of {', '.join(sorted(NAMES))}")
    return PRESETS[name]
