"""`Pretrained`: a model of a Hugging Face directory with its tokenizer, loaded and hashed.

Code of a repository's own is never run. The only file that imports transformers for inference.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from actors.quick_layers import with_quick_layers

_WHOLE_FILE_BYTES = 256 * 2**20

Task = Literal["causal language model", "sequence classifier"]


class Config(BaseModel):
    """Which model, and how it runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1)
    """A local directory in Hugging Face format, or a hub id."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    device: str = "auto"
    """"auto" (CUDA, else Apple GPU, else CPU), or a torch device such as "cpu" or "cuda:1"."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """"auto": bfloat16 on CUDA, float32 elsewhere."""
    max_batch_tokens: int | None = Field(None, ge=1)
    """Padded tokens in one forward pass; a single longer prompt still runs, alone. By default 8192, on the CPU 2048:
    what layers hand on would outgrow its caches, and beside busy neighbours a question take a fifth longer."""
    max_prompt_tokens: int | None = Field(None, ge=1)
    """Longer prompts are reported and not scored; by default what the model was made for."""
    num_threads: int | None = Field(None, ge=1)
    """CPU threads of torch in this process; None leaves them."""


class Pretrained:
    """A model, its tokenizer, and what they are called.

    Attributes:
        tokenizer: of transformers.
        model: of transformers, on its device, in evaluation mode.
        device: of the model.
        dtype: of its weights.
        max_prompt_tokens: the most that it takes.
        max_batch_tokens: padded tokens in one forward pass.
        fingerprint: hash of weights, tokenizer, template and numerics.
    """

    def __init__(self, config: Config, task: Task) -> None:
        """Load it.

        Raises:
            FileNotFoundError: there is no such model, or it cannot be had.
            ValueError: the device is unknown or not there, or there is no tokenizer.
        """
        from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

        if config.num_threads is not None:
            torch.set_num_threads(config.num_threads)
            if config.num_threads == 1:  # or the tokenizer takes every core, and on a busy machine longer than one does
                os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        self.device = torch.device(_best_device() if config.device == "auto" else config.device)
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise ValueError(
                f"got device {config.device!r}, and torch finds no GPU here; expected 'cpu', or a CUDA build "
                "of torch on a machine with a GPU"
            )
        self.dtype = getattr(torch, config.dtype) if config.dtype != "auto" else _best_dtype(self.device)
        causal = task == "causal language model"
        loader = AutoModelForCausalLM if causal else AutoModelForSequenceClassification
        source = os.path.expanduser(config.model)
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, revision=config.revision, trust_remote_code=False)
            model = loader.from_pretrained(source, revision=config.revision, dtype=self.dtype, trust_remote_code=False)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise FileNotFoundError(
                f"got model {config.model!r}, which cannot be loaded ({reason}); expected a directory in Hugging Face "
                f"format or the id of a {task} on the hub: check the name and the network"
            ) from error
        if not tokenizer("a word", add_special_tokens=False)["input_ids"]:  # made up of nothing, where its file lacks
            raise ValueError(
                f"got model {config.model!r}, whose tokenizer reads nothing; expected tokenizer.json beside the "
                "weights: save the tokenizer there with save_pretrained"
            )
        self.tokenizer: Any = tokenizer
        self.model: Any = with_quick_layers(model.to(self.device).eval())
        limits = [
            config.max_prompt_tokens,
            getattr(model.config, "max_position_embeddings", None),
            tokenizer.model_max_length,
        ]
        self.max_prompt_tokens = int(min(limit for limit in limits if limit))
        self.max_batch_tokens = config.max_batch_tokens or (2048 if self.device.type == "cpu" else 8192)
        version = getattr(model.config, "_commit_hash", None) or config.revision
        numerics = f"{self.dtype} {self.max_prompt_tokens}"
        self.fingerprint = identity("transformers", source, version, tokenizer.chat_template or "", numerics)


def identity(prefix: str, source: str, version: str | None, *settings: str) -> str:
    """Identity of a model's files and of whatever else decides what it says.

    Args:
        prefix: how the identity begins.
        source: its directory, whose weights, tokenizer and settings are read, those beyond 256 MiB by size and both
            ends; or its id on the hub.
        version: of an id on the hub.
        *settings: template, numerics.
    """
    digest = hashlib.sha256()
    for setting in settings:
        digest.update(setting.encode())
    if not os.path.isdir(source):
        digest.update(f"{source}@{version}".encode())
    else:
        for file in sorted(Path(source).iterdir()):
            if file.suffix in {".json", ".safetensors", ".bin", ".model", ".txt", ".jinja"}:
                digest.update(file.name.encode())
                _hash_file(file, digest)
    return f"{prefix}-{digest.hexdigest()[:16]}"


def _hash_file(file: Path, digest: Any) -> None:
    size, end = file.stat().st_size, 2**20
    digest.update(str(size).encode())
    with file.open("rb") as stream:
        if size > _WHOLE_FILE_BYTES:
            digest.update(stream.read(end))
            stream.seek(-end, os.SEEK_END)
        while block := stream.read(end):
            digest.update(block)


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _best_dtype(device: torch.device) -> torch.dtype:
    return torch.bfloat16 if device.type == "cuda" else torch.float32
