"""From `model=…` to a model: the tiny one is made where it is not there, any other is one of Hugging Face's.

Engines and learner begin with the same directory, so they share tokenizer, template and vocabulary.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from actors.engines import pretrained
from actors.engines.chat_tokenizer import ChatTokenizer
from actors.engines.transformers_engine import Config as EngineConfig
from actors.engines.transformers_engine import TransformersEngine
from actors.language.generation import GenerationEngine
from envs.language.task import TextTask
from pipelines.errors import UserError
from pipelines.judging.foreseen import expect_model
from pipelines.language.experiment import TINY, LanguageExperiment
from pipelines.language.preferences import train_reward_model
from pipelines.language.tiny_model import TooHard, ensure_tiny_model, kept, reward_model_of
from rewards.judges.builtin.build import cache_directory

OnProgress = Callable[[float, str], None]


def ensure_model(experiment: LanguageExperiment, task: TextTask, on_progress: OnProgress | None = None) -> str:
    """The directory or hub id of the model that a run begins with; the tiny one is made now if it is not there.

    Raises:
        UserError: it cannot be made, or is not there.
    """
    if experiment.model != TINY:
        expect_model(experiment.model)
        return experiment.model
    from pipelines.language.success import success_of

    engines: dict[Path, TransformersEngine] = {}

    def measure(directory: Path, model: Any) -> float:
        engine = engines.setdefault(directory, engines.get(directory) or _engine(str(directory), "cpu"))
        engine.load_weights(dict(model.named_parameters()), engine.version + 1)
        return success_of(experiment, task, engine, engine.chats, "test", experiment.tiny.measure_prompts).share

    try:
        return str(ensure_tiny_model(task, experiment.options_text, experiment.tiny, measure, on_progress))
    except (TooHard, ValueError) as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(
            f"the tiny model cannot be kept ({error}): set GUERDON_CACHE to a directory that you may write"
        ) from None


def engine_for(experiment: LanguageExperiment, model: str) -> tuple[GenerationEngine, ChatTokenizer]:
    """An engine with its tokenizer; slow, the model is loaded.

    Raises:
        UserError: the model cannot be loaded, or cannot chat.
    """
    engines = experiment.engines
    if engines.backend == "vllm":
        return _vllm(model)
    engine = _engine(model, engines.device, engines.threads)
    return engine, engine.chats


def judge_engine(model: str | Path) -> TransformersEngine:
    """An engine on the processor, for whatever asks it for words.

    Raises:
        UserError: the model cannot be loaded, or cannot chat.
    """
    return _engine(str(model), "cpu")


def causal_model(model: str, device: str) -> Any:
    """A causal language model of transformers in float32, to be trained.

    Raises:
        UserError: it cannot be loaded.
    """
    return _load(model, device).model.train()


def save_tokenizer(model: str, directory: Path) -> None:
    """Put the tokenizer of a model beside weights that were made of it."""
    _load(model, "cpu").tokenizer.save_pretrained(directory)


def tokenizer_of(model: str) -> Any:
    """The tokenizer of a model, of transformers."""
    return _load(model, "cpu").tokenizer


def pack(tensors: Mapping[str, torch.Tensor]) -> bytes:
    """Weights as one safetensors blob."""
    return save({name: value.detach().cpu().contiguous() for name, value in tensors.items()})


def ensure_reward_model(experiment: LanguageExperiment, task: TextTask, model: str, on_progress: OnProgress) -> str:
    """The directory of the reward model that the experiment's pairs make, made now if it is not there.

    Raises:
        UserError: the task has no pairs, or the cache cannot be written.
    """
    preferences = experiment.preferences
    assert preferences is not None
    parts = [preferences.model_dump_json(), experiment.task, experiment.options_text, model, experiment.seed]
    name = hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:16]

    def build(draft: Path) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(experiment.seed)
            made = reward_model_of(model)
        agrees = train_reward_model(preferences, task, made, tokenizer_of(model), draft, experiment.seed, on_progress)
        (draft / "level.json").write_text(json.dumps({"agreement": agrees}) + "\n")
        on_progress(1.0, f"reward model: agrees with {agrees:.1%} of the pairs that it has not seen")

    return str(kept(cache_directory() / f"reward-model-{name}", build))


def start_level(model: str) -> float | None:
    """How often a tiny model succeeded when its making ended; None where nobody has said."""
    try:
        return float(json.loads((Path(model) / "level.json").read_text())["success"])
    except (OSError, ValueError, KeyError):
        return None


def _engine(model: str, device: str, threads: int | None = None) -> TransformersEngine:
    dtype: Any = "float32" if device == "cpu" else "auto"
    try:
        return TransformersEngine(
            EngineConfig(model=model, device=device, dtype=dtype, num_threads=threads, max_rows=512)
        )
    except (FileNotFoundError, ValueError) as error:
        raise UserError(str(error)) from None


def _vllm(model: str) -> tuple[GenerationEngine, ChatTokenizer]:
    from actors.engines import vllm_engine

    engine = vllm_engine.VllmEngine(vllm_engine.Config(model=model))
    return engine, engine.chats


def _load(model: str, device: str) -> pretrained.Pretrained:
    try:
        config = pretrained.Config(model=model, device=device, dtype="auto" if device != "cpu" else "float32")
        return pretrained.Pretrained(config, "causal language model")
    except (FileNotFoundError, ValueError) as error:
        raise UserError(str(error)) from None
