"""`GradientSteps`: the one update loop of everything that learns from sequences of tokens.

A batch is dealt into micro-batches that fit in memory, each is scored and its share of the loss differentiated, and one
step is taken. What a loss is divided by is settled before, for the whole batch and all processes, so how a batch was
dealt changes nothing but memory. A loss that is not finite changes no weight, is counted, and the sequence it came from
is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, Literal, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from learners import descent
from learners.descent import Descent
from learners.language.layout import Layout, Style
from learners.language.passes import Passes, Scores
from learners.language.tally import Tally
from learners.language.token_batch import TokenBatch
from learners.language.world import ALONE, World
from learners.weights import gathered, scattered_like

LossOf = Callable[[TokenBatch, Scores], tuple[Tensor, Mapping[str, Tensor]]]
"""Share of a micro-batch in the loss of its batch, a scalar with gradient, and in what is told of the batch (`Tally`).

All are divided already by what the batch counts, so that they add up.
"""


class Config(descent.Config):
    """Settings of gradient steps on sequences of tokens.

    Attributes:
        weight_decay: of AdamW.
        warmup_steps: over so many steps the learning rate rises from 0.
        decay_steps: after so many steps it has fallen to 0; None: it stays.
        decay: how it falls.
        micro_batch_tokens: the most tokens of one forward pass, padding included; a longer sequence goes alone.
        style: how sequences lie in a forward pass (`learners.language.layout`); None: `shared` on a CPU where the
            model can, else `padded`.
        max_logits_mb: memory of the logits that are there at one time.
        autocast: on CUDA, the number format of forward passes; None: that of the weights. Not float16, in which small
            gradients are 0 unless losses are scaled: where a GPU has no bfloat16, None.
        gradient_checkpointing: whether activations are computed a second time instead of kept.
    """

    learning_rate: float = Field(1e-6, gt=0)
    adam_epsilon: float = Field(1e-8, gt=0)
    max_grad_norm: float = Field(1.0, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    warmup_steps: int = Field(0, ge=0)
    decay_steps: int | None = Field(None, ge=1)
    decay: Literal["linear", "cosine"] = "linear"
    micro_batch_tokens: int = Field(16384, ge=1)
    style: Style | None = None
    max_logits_mb: int = Field(512, ge=1)
    autocast: Literal["bfloat16"] | None = "bfloat16"
    gradient_checkpointing: bool = False

    @model_validator(mode="after")
    def _warm_before_it_falls(self) -> Config:
        if self.decay_steps is not None and self.warmup_steps >= self.decay_steps:
            raise ValueError(
                f"got warmup_steps={self.warmup_steps} and decay_steps={self.decay_steps}; "
                "expected the warm-up to end first"
            )
        return self

    def learning_rate_factor(self, taken: int) -> float:
        """What the learning rate is multiplied by after so many steps."""
        if taken < self.warmup_steps:
            return (taken + 1) / (self.warmup_steps + 1)
        if self.decay_steps is None:
            return 1.0
        progress = min(1.0, (taken - self.warmup_steps) / (self.decay_steps - self.warmup_steps))
        return 1 - progress if self.decay == "linear" else (1 + math.cos(math.pi * progress)) / 2

    def autocast_on(self, device: torch.device) -> torch.dtype | None:
        """The number format of forward passes on a device."""
        return getattr(torch, self.autocast) if self.autocast and device.type == "cuda" else None


class GradientSteps(Generic[Scores]):
    """Steps of one module.

    Attributes:
        module: what is trained: a `TokenScorer` or a `SequenceScorer`.
        passes: how batches go through it.
        version: how many updates there were, skipped ones too.
        fault: what was wrong when a step was last skipped; empty if none was.
    """

    def __init__(
        self,
        module: nn.Module,
        score: Callable[[Layout, TokenBatch], Scores],
        config: Config,
        world: World = ALONE,
        run: nn.Module | None = None,
        unit: int = 1,
        whole: bool = False,
    ) -> None:
        """Start at version 0.

        Args:
            module: what is trained, in place.
            score: runs it on a micro-batch, through `run` where there is one.
            config: settings.
            world: the processes that share a batch.
            run: the DDP around the module.
            unit: so many consecutive sequences are never parted.
            whole: whether tokens are run that no own token comes after.
        """
        self.module, self.config, self.world = module, config, world
        self.passes = Passes(score, config.micro_batch_tokens, config.style or "padded", world, unit, whole)
        self.version = 0
        self.fault = ""
        self._run = run
        self._descent = Descent(
            module,
            config,
            weight_decay=config.weight_decay,
            schedule=config.learning_rate_factor,
            agreed=self._all_agree,
        )

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self._descent.device

    @property
    def skipped(self) -> int:
        """Steps that were lost to NaN or infinity."""
        return self._descent.skipped

    def step(self, batch: TokenBatch, loss_of: LossOf[Scores]) -> dict[str, float] | None:
        """One step on a batch.

        Args:
            batch: what to learn from.
            loss_of: share of a micro-batch in the loss, and what is told of it.

        Returns:
            `loss`, `grad_norm` before clipping, `learning_rate`, and what `loss_of` tells; None if the step was
            skipped.

        Raises:
            LearningDiverged: too many steps in a row were lost.
        """
        tally = Tally()
        faults: list[str] = []

        def losses() -> Iterator[Tensor]:
            dealt = self.passes.deal(batch)
            for number, (sequences, counts) in enumerate(dealt):
                part = batch.select(sequences)
                with self._syncing(last=number == len(dealt) - 1):
                    loss, told = loss_of(part, self.passes.score(part))
                    if counts:
                        tally.add({"loss": loss, **told})
                    else:
                        loss = loss * 0.0
                    if not bool(torch.isfinite(loss)):
                        faults.append(_named(part, loss))
                    # DDP and FSDP average gradients over processes; the loss is a sum over them.
                    yield loss * self.world.size

        norm = self._descent.accumulate(losses())
        if norm is None:
            self.fault = "; ".join(faults) or "the gradient is not finite, the loss is"
            return None
        rate = self.config.learning_rate * self.config.learning_rate_factor(self._descent.taken - 1)
        return {**tally.total(self.world), "grad_norm": norm.item(), "learning_rate": rate}

    def _syncing(self, last: bool) -> AbstractContextManager[Any]:
        """DDP exchanges gradients with the last micro-batch only."""
        if last or self._run is None or not hasattr(self._run, "no_sync"):
            return nullcontext()
        return cast("AbstractContextManager[Any]", cast(Any, self._run).no_sync())

    def _all_agree(self, finite: bool) -> bool:
        return not bool(self.world.largest(torch.tensor(int(not finite), device=self.device)))

    def state_dict(self) -> dict[str, Tensor]:
        """Weights, Adam's moments and counters: whole copies for safetensors. Sharded: all processes must call."""
        return {
            # Tied weights are one tensor under two names; a file holds each tensor once.
            **{f"module.{name}": gathered(value.detach()).clone() for name, value in self.module.named_parameters()},
            **self._descent.state_dict(),
            "counters": torch.tensor(
                [self.version, self._descent.skipped, self._descent.skipped_in_a_row, self._descent.taken]
            ),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` gave, on any number of processes.

        Raises:
            KeyError: a part is missing.
            RuntimeError: a shape differs.
        """
        with torch.no_grad():
            for name, value in self.module.named_parameters():
                value.copy_(scattered_like(value, state[f"module.{name}"]))
        self._descent.load_state_dict(state)
        self.version, self._descent.skipped, self._descent.skipped_in_a_row, self._descent.taken = state[
            "counters"
        ].tolist()


def _named(batch: TokenBatch, loss: Tensor) -> str:
    """Which sequences a loss that is not finite came from."""
    names = batch.row_ids or tuple(
        f"sequence {i} of a micro-batch of {len(batch.lengths)}" for i in range(len(batch.lengths))
    )
    guilty = {
        names[int(batch.sequence[token])]: name
        for name, stream in batch.streams.items()
        for token in (~torch.isfinite(stream) & (batch.weights > 0)).nonzero().flatten().tolist()
    }
    told = ", ".join(f"{row} ({stream} not finite)" for row, stream in sorted(guilty.items()))
    return f"loss {loss.item()} from {told or ', '.join(names[:4]) + (' …' if len(names) > 4 else '')}"
