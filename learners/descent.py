"""`Descent`: gradient steps by Adam that no NaN gets through, counted, and saved with everything to go on from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from learners.weights import gathered, scattered_like

_ADAM = ("step", "exp_avg", "exp_avg_sq")


class Settings(Protocol):
    """What a learner's config says of its gradient steps."""

    @property
    def learning_rate(self) -> float:
        """Of Adam."""
        ...

    @property
    def adam_betas(self) -> tuple[float, float]:
        """Decay of Adam's running moments."""
        ...

    @property
    def adam_epsilon(self) -> float:
        """Of Adam."""
        ...

    @property
    def max_grad_norm(self) -> float:
        """Gradients are scaled down to this norm."""
        ...

    @property
    def max_skipped(self) -> int:
        """Steps in a row that may be lost to NaN or infinity before learning is given up."""
        ...


class Config(BaseModel):
    """Settings of gradient steps; a learner's config adds its own.

    Attributes:
        learning_rate: of Adam.
        adam_betas: decay of Adam's running moments.
        adam_epsilon: of Adam.
        max_grad_norm: gradients are scaled down to this norm.
        max_skipped: updates in a row that may be lost to NaN or infinity before learning is given up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float = Field(1e-3, gt=0)
    adam_betas: tuple[float, float] = (0.9, 0.999)
    adam_epsilon: float = Field(1e-6, gt=0)
    max_grad_norm: float = Field(4.0, gt=0)
    max_skipped: int = Field(10, ge=1)


class LearningDiverged(RuntimeError):
    """Too many updates in a row gave NaN or infinity."""


class Descent:
    """Adam on the parameters of a module: a loss or gradient that is not finite changes nothing and is counted.

    Attributes:
        settings: of the steps.
        skipped: steps that were lost so far.
        skipped_in_a_row: those of them since the last good one.
        taken: steps that were not lost.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        settings: Settings,
        *,
        weight_decay: float = 0.0,
        schedule: Callable[[int], float] = lambda taken: 1.0,
        agreed: Callable[[bool], bool] = lambda finite: finite,
        summed: Callable[[list[Tensor]], None] = lambda gradients: None,
    ) -> None:
        """Start with empty moments.

        Args:
            module: whose parameters are trained in place, on the device where they are; frozen ones stay as they are.
            settings: of the steps.
            weight_decay: of AdamW (Loshchilov and Hutter 2019).
            schedule: what the learning rate is multiplied by, given how many steps were taken.
            agreed: whether a step is finite for all processes that take it together, given whether it is for this one.
            summed: adds up gradients over these processes, in place.
        """
        self.settings = settings
        self.skipped = self.skipped_in_a_row = self.taken = 0
        self._parameters = {name: value for name, value in module.named_parameters() if value.requires_grad}
        self._schedule, self._agreed, self._summed = schedule, agreed, summed
        self._optimiser = torch.optim.AdamW(
            self._parameters.values(),
            lr=settings.learning_rate,
            betas=settings.adam_betas,
            eps=settings.adam_epsilon,
            weight_decay=weight_decay,
            fused=True,
        )

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(iter(self._parameters.values())).device

    def step(self, loss: Tensor) -> Tensor | None:
        """One step down the gradient of `loss`.

        Returns:
            The norm of the gradient before clipping; None if the step had to be skipped.

        Raises:
            LearningDiverged: it was one too many in a row.
        """
        return self.accumulate([loss])

    def accumulate(self, losses: Iterable[Tensor]) -> Tensor | None:
        """One step down the gradient of the sum of `losses`, of which only one is held at a time.

        Args:
            losses: parts of one loss; each is made when the gradient of the one before is there.

        Returns:
            The norm of the gradient before clipping; None if the step had to be skipped.

        Raises:
            LearningDiverged: it was one too many in a row.
        """
        self._optimiser.zero_grad()
        total = 0.0
        for loss in losses:
            loss.backward()
            total += loss.item()
        self._summed([value.grad for value in self._parameters.values() if value.grad is not None])
        norm = gathered(torch.nn.utils.clip_grad_norm_(self._parameters.values(), self.settings.max_grad_norm))
        if self._agreed(math.isfinite(total + norm.item())):
            self.skipped_in_a_row = 0
            for group in self._optimiser.param_groups:
                group["lr"] = self.settings.learning_rate * self._schedule(self.taken)
            self._optimiser.step()
            self.taken += 1
            return norm
        self._optimiser.zero_grad()
        self.skipped += 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row >= self.settings.max_skipped:
            raise LearningDiverged(
                f"got NaN or infinity in {self.skipped_in_a_row} gradient steps in a row; "
                "expected finite losses: look at the scale of rewards and observations, lower learning_rate, "
                "and resume from an earlier checkpoint"
            )
        return None

    def state_dict(self, name: str = "adam") -> dict[str, Tensor]:
        """Adam's moments: copies, as tensors whose names begin with `name`. The counters are the learner's to keep."""
        return {
            f"{name}.{part}.{parameter_name}": gathered(value.detach()).clone()
            for parameter_name, parameter in self._parameters.items()
            for part, value in self._optimiser.state.get(parameter, {}).items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor], name: str = "adam") -> None:
        """Go on from what `state_dict` gave, with the settings of this one.

        Raises:
            KeyError: a part is missing.
        """

        def moment(part: str, parameter_name: str) -> Tensor:
            value = state[f"{name}.{part}.{parameter_name}"].clone()
            return value if part == "step" else scattered_like(self._parameters[parameter_name], value)

        moments = {
            index: {part: moment(part, parameter_name) for part in _ADAM}
            for index, parameter_name in enumerate(self._parameters)
            if f"{name}.step.{parameter_name}" in state
        }
        self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": moments})
