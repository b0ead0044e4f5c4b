"""`TransformersEngine`: any Hugging Face causal language model, in this process.

It scores a handful of allowed answers as the next token after a chat. Prompts of a run share a long beginning
(instruction and goal), so the keys and values of the common prefix are computed once a batch; what remains is padded
on the right, where causal attention cannot see it, and batched by length under a budget of tokens.

The only file that imports transformers for inference.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Message = Mapping[str, str]

_WHOLE_FILE_BYTES = 256 * 2**20


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
    max_batch_tokens: int = Field(8192, ge=1)
    """Padded tokens in one forward pass; a single longer prompt still runs, alone."""
    max_prompt_tokens: int | None = Field(None, ge=1)
    """Longer prompts are reported and not scored; by default what the model was made for."""
    share_prefix: bool = True
    """Whether the common beginning of prompts is computed once a batch."""
    num_threads: int | None = Field(None, ge=1)
    """CPU threads of torch in this process; None leaves them."""


@dataclass(frozen=True)
class ChoiceScores:
    """Scores of C choices after N prompts.

    Attributes:
        log_probs: normalised over the choices, `[N, C]`; NaN where a prompt was not scored.
        tokens: tokens of each prompt, `[N]`.
        too_long: prompts that did not fit and were not scored, `[N]`.
    """

    log_probs: NDArray[np.float64]
    tokens: NDArray[np.int64]
    too_long: NDArray[np.bool_]


class TransformersEngine:
    """A causal language model with its tokenizer and chat template."""

    def __init__(self, config: Config) -> None:
        """Load the model.

        Raises:
            FileNotFoundError: there is no such model, or it cannot be had.
            ValueError: the tokenizer has no chat template, or the device is unknown.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.config = config
        if config.num_threads is not None:
            torch.set_num_threads(config.num_threads)
        self._device = torch.device(_best_device() if config.device == "auto" else config.device)
        self._dtype = getattr(torch, config.dtype) if config.dtype != "auto" else _best_dtype(self._device)
        source = os.path.expanduser(config.model)
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, revision=config.revision, trust_remote_code=False)
            model = AutoModelForCausalLM.from_pretrained(
                source, revision=config.revision, dtype=self._dtype, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise FileNotFoundError(
                f"got model {config.model!r}, which cannot be loaded ({reason}); expected a directory in Hugging Face "
                "format or the id of a causal language model on the hub: check the name and the network"
            ) from error
        if not tokenizer.chat_template:
            raise ValueError(
                f"got model {config.model!r}, whose tokenizer has no chat template; expected an instruction-tuned "
                "model: choose one, or save a chat_template.jinja beside its tokenizer"
            )
        self._tokenizer: Any = tokenizer
        self._model: Any = model.to(self._device).eval()
        self._keeps_logits = "logits_to_keep" in inspect.signature(type(model).forward).parameters
        limits = [
            config.max_prompt_tokens,
            getattr(model.config, "max_position_embeddings", None),
            tokenizer.model_max_length,
        ]
        self.max_prompt_tokens = int(min(limit for limit in limits if limit))
        self.fingerprint = self._hash(source)
        self._lock = threading.Lock()
        self._first_tokens: dict[tuple[str, ...], list[int]] = {}

    def score_choices(self, prompts: Sequence[Sequence[Message]], choices: Sequence[str]) -> ChoiceScores:
        """How likely each of `choices` begins the reply to each chat.

        Args:
            prompts: N chats, each a sequence of `{"role", "content"}`.
            choices: C answers that differ in their first token.

        Returns:
            Log-probabilities renormalised over the choices; prompts that are too long are marked, not truncated.

        Raises:
            ValueError: two choices begin with the same token.
        """
        with self._lock, torch.inference_mode():
            wanted = torch.tensor(self._tokens_of(tuple(choices)), device=self._device)
            ids = self._tokenise([self._render(prompt) for prompt in prompts])
            tokens = np.array([len(i) for i in ids], np.int64)
            too_long = tokens > self.max_prompt_tokens
            log_probs = np.full((len(ids), len(choices)), np.nan)
            order = [int(i) for i in np.argsort(tokens, kind="stable") if not too_long[i]]
            shared = self._common_prefix([ids[i] for i in order])
            cache = self._run_prefix(ids[order[0]][:shared]) if shared else None
            shared = shared if cache is not None else 0
            for places in self._batches(order, tokens - shared):
                logits = self._last_logits([ids[i][shared:] for i in places], shared, cache)[:, wanted]
                log_probs[places] = torch.log_softmax(logits.double().cpu(), dim=-1).numpy()
            return ChoiceScores(log_probs, tokens, too_long)

    def _render(self, prompt: Sequence[Message]) -> str:
        # enable_thinking: models that reason first would otherwise not answer with their first token.
        text: str = self._tokenizer.apply_chat_template(
            [dict(message) for message in prompt], tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return text

    def _tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        ids: list[list[int]] = self._tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _tokens_of(self, choices: tuple[str, ...]) -> list[int]:
        """The first token of each choice as it is spelt right after the generation prompt."""
        if choices not in self._first_tokens:
            start = self._render([{"role": "user", "content": "?"}])
            base, *whole = self._tokenise([start, *(start + choice for choice in choices)])
            alone = self._tokenise(choices)
            # Where a vocabulary merges across the border, the word on its own is what the model would write.
            first = [w[len(base)] if w[: len(base)] == base else a[0] for w, a in zip(whole, alone, strict=True)]
            if len(set(first)) < len(first):
                raise ValueError(
                    f"got the choices {list(choices)}, whose first tokens are {first} for model {self.config.model!r}; "
                    "expected all different: choose other words"
                )
            self._first_tokens[choices] = first
        return self._first_tokens[choices]

    def _common_prefix(self, ids: Sequence[Sequence[int]]) -> int:
        """Length of the prefix shared by all, leaving each at least one token of its own; 0 where not worth it."""
        if len(ids) < 2 or not self.config.share_prefix:
            return 0
        low, high = min(map(list, ids)), max(map(list, ids))
        shared = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
        return min(shared, min(len(i) for i in ids) - 1)

    def _run_prefix(self, prefix: Sequence[int]) -> Any:
        """Keys and values of the common prefix, or None where the model keeps another kind of memory."""
        ids = torch.tensor([list(prefix)], device=self._device)
        cache = self._model(input_ids=ids, use_cache=True).past_key_values
        layers = getattr(cache, "layers", [None])
        return cache if all(type(layer).__name__ == "DynamicLayer" for layer in layers) else None

    def _last_logits(self, ids: Sequence[Sequence[int]], shared: int, cache: Any) -> torch.Tensor:
        """Next-token logits `[N, vocabulary]` after each of `ids`, which continue the `shared` tokens in `cache`."""
        lengths = torch.tensor([len(i) for i in ids], device=self._device)
        padded = torch.zeros(len(ids), int(lengths.max()), dtype=torch.long)
        for row, one in zip(padded, ids, strict=True):
            row[: len(one)] = torch.tensor(one)
        mask = torch.arange(shared + padded.shape[1], device=self._device)[None] < shared + lengths[:, None]
        options: dict[str, Any] = {}
        if shared:
            options["past_key_values"] = copy.deepcopy(cache)
            options["past_key_values"].batch_repeat_interleave(len(ids))
        ends, at = torch.unique(lengths - 1, return_inverse=True)
        if self._keeps_logits:  # the vocabulary is large: logits only where some prompt ends
            options["logits_to_keep"] = ends
        else:
            at = lengths - 1
        logits: torch.Tensor = self._model(
            input_ids=padded.to(self._device), attention_mask=mask.long(), use_cache=bool(shared), **options
        ).logits
        return logits[torch.arange(len(ids), device=self._device), at]

    def _batches(self, order: Sequence[int], lengths: NDArray[np.int64]) -> Iterator[list[int]]:
        """Split prompts sorted by length into batches of at most `max_batch_tokens` padded tokens."""
        batch: list[int] = []
        for place in order:
            if batch and (len(batch) + 1) * lengths[place] > self.config.max_batch_tokens:
                yield batch
                batch = []
            batch.append(place)
        if batch:
            yield batch

    def _hash(self, source: str) -> str:
        """Identity of weights, tokenizer, template and numerics; files beyond 256 MiB count by size and both ends."""
        digest = hashlib.sha256(self._tokenizer.chat_template.encode())
        digest.update(f"{self._dtype} {self.max_prompt_tokens}".encode())
        if not os.path.isdir(source):
            commit = getattr(self._model.config, "_commit_hash", None)
            digest.update(f"{source}@{commit or self.config.revision}".encode())
        else:
            for file in sorted(Path(source).iterdir()):
                if file.suffix in {".json", ".safetensors", ".bin", ".model", ".txt", ".jinja"}:
                    digest.update(file.name.encode())
                    _hash_file(file, digest)
        return "transformers-" + digest.hexdigest()[:16]


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
