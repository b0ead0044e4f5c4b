"""LoRA: train small matrices beside the weights (Hu et al. 2022), by peft. The only file that imports peft.

The model stays the model that it was: adapters are put into its layers, `merged_weights` gives the weights under their
old names with the adapters added, and the model as it was before is a reference policy that costs no memory
(`adapters_off`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

_MARK = "base_layer."


class Config(BaseModel):
    """Settings of LoRA.

    Attributes:
        rank: of the small matrices.
        alpha: they are scaled by alpha / rank.
        targets: names of the linear layers that get them; "all-linear": all but the output.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(16, ge=1)
    alpha: int = Field(32, gt=0)
    targets: tuple[str, ...] | str = "all-linear"


def add_adapters(model: nn.Module, config: Config) -> nn.Module:
    """Freeze a model and put adapters into it, in place.

    Raises:
        ImportError: peft is not installed.
        ValueError: no layer has a name of `targets`.
    """
    try:
        import peft
    except ImportError as error:
        raise ImportError("LoRA needs peft: pip install peft") from error
    targets = config.targets if isinstance(config.targets, str) else list(config.targets)
    settings = peft.LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=targets, lora_dropout=0.0)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return cast(nn.Module, peft.inject_adapter_in_model(settings, model))


def adapted(model: nn.Module) -> list[tuple[str, Any]]:
    """The layers that have adapters, with their names."""
    return [(name, layer) for name, layer in model.named_modules() if hasattr(layer, "get_delta_weight")]


def merged_weights(model: nn.Module) -> dict[str, Tensor]:
    """Weights of a model under their names before it got adapters, with the adapters added."""
    deltas = {f"{name}.weight": layer for name, layer in adapted(model)}
    merged = {}
    for name, value in model.named_parameters():
        if ".lora_" in name:
            continue
        plain = name.replace(_MARK, "")
        layer = deltas.get(plain) if _MARK in name else None
        merged[plain] = (
            value.detach() if layer is None else value.detach() + layer.get_delta_weight(layer.active_adapters[0])
        )
    return {name: value.detach() for name, value in merged.items()}


@contextmanager
def adapters_off(model: nn.Module) -> Iterator[None]:
    """The model as it was before it got adapters."""
    layers = [layer for _, layer in adapted(model)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
