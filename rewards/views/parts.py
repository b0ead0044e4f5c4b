"""Every part that a view can be built from, by name; a part of your own goes by its dotted path."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny

from rewards.advantages.best_of_group import BestOfGroup
from rewards.advantages.conditional import Conditional
from rewards.advantages.decoupled import Decoupled
from rewards.advantages.effective_rank import EffectiveRankBonus
from rewards.advantages.entropy_modulated import EntropyModulated
from rewards.advantages.group_relative import GroupRelative
from rewards.advantages.pareto_front import ParetoFront
from rewards.advantages.position_relative import PositionRelative
from rewards.advantages.reference_duel import ReferenceDuel
from rewards.advantages.task_relative import TaskRelative
from rewards.aggregation.base_and_bonus import BaseAndBonus
from rewards.aggregation.compensated import Compensated
from rewards.aggregation.directional import Directional
from rewards.aggregation.expression import Expression
from rewards.aggregation.first_known import FirstKnown
from rewards.aggregation.geometric_mean import GeometricMean
from rewards.aggregation.hypervolume import HypervolumeGuided
from rewards.aggregation.lagrangian import Lagrangian
from rewards.aggregation.log_tamed import LogTamed
from rewards.aggregation.min_norm import MinNorm
from rewards.aggregation.weighted_sum import WeightedSum
from rewards.credit.increments import Increments
from rewards.credit.log_ratio_value import LogRatioValue
from rewards.credit.milestones import Milestones
from rewards.credit.min_form import MinForm
from rewards.credit.outcome_mass import OutcomeMass
from rewards.credit.process_outcome import ProcessOutcome
from rewards.credit.redistribute import Redistribute
from rewards.credit.returns import Returns
from rewards.credit.sibling_relative import SiblingRelative
from rewards.credit.turning_point import TurningPoint
from rewards.shaping.anneal import Anneal
from rewards.shaping.clip import Clip
from rewards.shaping.count_decay import CountDecay
from rewards.shaping.gate import Gate
from rewards.shaping.imagined_direction import ImaginedDirection
from rewards.shaping.intervention import Intervention
from rewards.shaping.length_contrast import LengthContrast
from rewards.shaping.length_penalty import LengthPenalty
from rewards.shaping.mode_balance import ModeBalance
from rewards.shaping.normalise import Normalise
from rewards.shaping.occupancy_penalty import OccupancyPenalty
from rewards.shaping.peaks import Peaks
from rewards.shaping.percentile_scale import PercentileScale
from rewards.shaping.potential import Potential
from rewards.shaping.process_reward import ProcessReward
from rewards.shaping.quartile_logistic import QuartileLogistic
from rewards.shaping.reduce import Reduce
from rewards.shaping.reference_relative import ReferenceRelative
from rewards.shaping.scale import Scale
from rewards.shaping.threshold import Threshold
from rewards.shaping.tiers import Tiers
from rewards.views.part import Part

KINDS: tuple[type[Part], ...] = (
    # shaping
    Anneal,
    Clip,
    CountDecay,
    Gate,
    ImaginedDirection,
    Intervention,
    LengthContrast,
    LengthPenalty,
    ModeBalance,
    Normalise,
    OccupancyPenalty,
    Peaks,
    PercentileScale,
    Potential,
    ProcessReward,
    QuartileLogistic,
    Reduce,
    ReferenceRelative,
    Scale,
    Threshold,
    Tiers,
    # aggregation
    BaseAndBonus,
    Compensated,
    Directional,
    Expression,
    FirstKnown,
    GeometricMean,
    HypervolumeGuided,
    Lagrangian,
    LogTamed,
    WeightedSum,
    # credit
    Increments,
    LogRatioValue,
    Milestones,
    MinForm,
    OutcomeMass,
    ProcessOutcome,
    Redistribute,
    Returns,
    SiblingRelative,
    TurningPoint,
    # advantage
    BestOfGroup,
    Conditional,
    Decoupled,
    EffectiveRankBonus,
    EntropyModulated,
    GroupRelative,
    MinNorm,
    ParetoFront,
    PositionRelative,
    ReferenceDuel,
    TaskRelative,
)

NAMES: dict[str, type[Part]] = {kind.model_fields["part"].default: kind for kind in KINDS}


def kind_of(name: str) -> type[Part]:
    """The class of a part, by its name in the table or by dotted path (`my_lab.parts:Fade`).

    Raises:
        ValueError: there is none of that name.
    """
    if name in NAMES:
        return NAMES[name]
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"part {name!r} cannot be imported: {error}") from None
        if isinstance(found, type) and issubclass(found, Part):
            return found
        raise ValueError(f"got {name!r}, which is {found!r}; expected a subclass of rewards.views.part.Part")
    raise ValueError(f"got part {name!r}; expected one of {', '.join(sorted(NAMES))}, or a dotted path module:Class")


def part_of(value: Any) -> Any:
    """A part from data: `{"part": name, "preset": name of a preset, …settings}`; what is a part already stays one.

    Raises:
        ValueError: no such part or preset, or settings that it does not take.
    """
    if not isinstance(value, Mapping):
        return value
    settings = dict(value)
    if not isinstance(name := settings.get("part"), str):
        raise ValueError(f"got {settings}; expected a part by name: part: {', '.join(sorted(NAMES))}")
    kind = kind_of(name)
    if (preset := settings.pop("preset", None)) is not None:
        if preset not in kind.presets:
            raise ValueError(f"got preset {preset!r} of {name!r}; expected one of {sorted(kind.presets) or 'none'}")
        settings = {**kind.presets[preset], **settings}
    return kind.model_validate(settings)


AnyPart = Annotated[SerializeAsAny[Part], BeforeValidator(part_of)]
"""A part, as an object or as data."""
