"""`Student`: what all learners of language models share: a model in Hugging Face format that steps are taken on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from torch import Tensor, nn

from learners.language.gradient_steps import Config, GradientSteps
from learners.language.layout import Layout
from learners.language.lora import adapted, merged_weights
from learners.language.passes import Scores
from learners.language.scorer import TokenScorer
from learners.language.shared_attention import share_prompts
from learners.language.token_batch import TokenBatch
from learners.language.world import ALONE, World
from learners.weights import fitting_state, gathered

AnyConfig = TypeVar("AnyConfig", bound=Config)
Wrap = Callable[[nn.Module], nn.Module]
"""Spreads a scorer over processes, and returns what is to be called (`learners.language.sharding`)."""


def token_scorer(
    model: nn.Module, config: Config, value_head: nn.Module | None = None, temperature: float = 1.0
) -> TokenScorer:
    """A scorer with the settings of gradient steps, on the device where the model is."""
    device = next(model.parameters()).device
    return TokenScorer(
        model,
        None if value_head is None else value_head.to(device),
        temperature=temperature,
        max_logits_mb=config.max_logits_mb,
        autocast=config.autocast_on(device),
        gradient_checkpointing=config.gradient_checkpointing,
    )


def fitted(config: AnyConfig, *models: nn.Module | None) -> AnyConfig:
    """The config, with a style in which all of these models can be run.

    Raises:
        ValueError: it asks for one in which one of them cannot.
    """
    there = [model for model in models if model is not None]
    on_cpu = all(next(model.parameters()).device.type == "cpu" for model in there)
    style = config.style
    if style == "shared" or (style is None and on_cpu):
        unable = [type(model).__name__ for model in there if not share_prompts(model)]
        if unable and style == "shared":
            raise ValueError(
                f"got style='shared' and {unable[0]}, which takes no attention function from outside, or attends to "
                "less than all; expected style='padded' or 'packed' for it"
            )
        style = "padded" if unable else "shared"
    return config.model_copy(update={"style": style or "padded"})


class Student(Generic[Scores]):
    """A model that learns, by whatever loss.

    Attributes:
        model: the model, trained in place.
        steps: its gradient steps.
    """

    def __init__(
        self,
        model: nn.Module,
        scorer: nn.Module,
        score: Callable[[Layout, TokenBatch, nn.Module], Scores],
        config: Config,
        *,
        world: World = ALONE,
        wrap: Wrap | None = None,
        unit: int = 1,
        whole: bool = False,
    ) -> None:
        """Start at version 0.

        Args:
            model: of Hugging Face's, with or without adapters (`learners.language.lora`).
            scorer: the module around it whose parameters are trained.
            score: runs a micro-batch through the module that it is given: the scorer, or what `wrap` made of it.
            config: settings.
            world: the processes that share each batch.
            wrap: spreads the scorer over them.
            unit: so many consecutive sequences are never parted.
            whole: whether tokens are run that no own token comes after.
        """
        self.model = model
        run = scorer if wrap is None else wrap(scorer)
        self.steps: GradientSteps[Scores] = GradientSteps(
            scorer, lambda layout, batch: score(layout, batch, run), config, world, run, unit, whole
        )

    @property
    def version(self) -> int:
        """How many batches have been consumed, skipped ones too; the version of the weights."""
        return self.steps.version

    @property
    def fault(self) -> str:
        """What was wrong when a step was last skipped; empty if none was."""
        return self.steps.fault

    def weights(self) -> dict[str, Tensor]:
        """Weights under their Hugging Face names, adapters merged, tied ones once. Sharded: all processes must call."""
        named = merged_weights(self.model) if adapted(self.model) else dict(self.model.named_parameters())
        return {name: gathered(value.detach()) for name, value in named.items()}

    def save(self, directory: Path, write: bool = True) -> None:
        """Write config and weights in Hugging Face format (safetensors); the tokenizer is its owner's to save.

        Args:
            directory: made if need be.
            write: False on all processes but one; sharded, all must call.
        """
        weights = self.weights()
        if write:
            cast(Any, self.model).save_pretrained(directory, state_dict=weights)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that is needed to go on as if nothing had happened: tensors, so that safetensors can hold it."""
        return self.steps.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` gave, with the settings of this learner.

        Raises:
            ValueError: the state is of another model.
        """
        with fitting_state():
            self.steps.load_state_dict(state)

    def _finished(self, metrics: dict[str, float] | None) -> dict[str, float]:
        """Metrics of an update of one step, with what is counted since the start."""
        self.steps.version += 1
        told = metrics or {"loss": float("nan"), "grad_norm": float("nan")}
        return {**told, "version": float(self.version), "skipped_updates": float(self.steps.skipped)}
