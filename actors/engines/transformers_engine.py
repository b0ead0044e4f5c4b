"""`TransformersEngine`: any Hugging Face causal language model, in this process.

It scores a handful of allowed answers as the next token after a chat, writes replies, which a JSON schema may bind, and
as a policy samples them (`GenerationEngine`; text_generator.py does that).
Prompts of a run share a long beginning (instruction and goal), which is computed once (prompt_reader.py), and some go
on alike (families.py); what remains is batched by length under a budget of tokens.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from actors.engines import pretrained
from actors.engines.chat_tokenizer import ChatTokenizer, Message
from actors.engines.decoder import LlamaDecoder
from actors.engines.families import Family, arranged
from actors.engines.grammar import Grammar
from actors.engines.length_batches import length_batches
from actors.engines.prompt_reader import DecoderReader, ModelReader, PromptReader
from actors.engines.text_generator import TextGenerator
from actors.language.generation import Generated, Poll, Sampling, generate


class Config(pretrained.Config):
    """Which model, and how it runs."""

    share_prefix: bool = True
    """Whether what prompts begin alike with is computed once."""
    max_rows: int = Field(256, ge=1)
    """Replies that are sampled at once; more wait."""


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


@dataclass(frozen=True)
class Texts:
    """Replies to N prompts.

    Attributes:
        texts: one a prompt; empty where it did not fit.
        tokens: tokens of each prompt and its reply, `[N]`.
        too_long: prompts that left no room for a reply, `[N]`.
    """

    texts: list[str]
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
        self.config = config
        found = pretrained.Pretrained(config, "causal language model")
        self._tokenizer, self._model, self._device = found.tokenizer, found.model, found.device
        self._chats = ChatTokenizer(found.tokenizer, config.model)
        self.max_prompt_tokens, self._max_batch_tokens = found.max_prompt_tokens, found.max_batch_tokens
        self.fingerprint, self.special_tokens = found.fingerprint, self._chats.special_tokens
        self._ends = _token_ids(self._model.generation_config.eos_token_id) | _token_ids(self._tokenizer.eos_token_id)
        self._grammar: Grammar | None = None
        self._lock = threading.Lock()

    @property
    def chats(self) -> ChatTokenizer:
        """Chats as token ids."""
        return self._chats

    @property
    def version(self) -> int:
        """Of the weights."""
        return self._generator.version

    @property
    def vocabulary(self) -> int:
        """Rows of the model's output."""
        return self._generator.vocabulary

    @property
    def max_tokens(self) -> int:
        """The most tokens of a prompt with its reply."""
        return self.max_prompt_tokens

    @cached_property
    def _generator(self) -> TextGenerator:
        limits = self.max_prompt_tokens, self.config.max_rows, self._max_batch_tokens
        return TextGenerator(self._model, self._tokenizer, self._ends, *limits)

    @cached_property
    def _reader(self) -> PromptReader:
        window = getattr(self._model.config.get_text_config(), "sliding_window", None)
        if window is None or window >= self.max_prompt_tokens:
            try:
                decoder = self._generator.decoder
            except ValueError:  # another kind of memory
                pass
            else:
                if isinstance(decoder, LlamaDecoder):
                    return DecoderReader(decoder)
        return ModelReader(self._model, self._device)

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int], poll: Poll | None = None
    ) -> list[Generated]:
        """A sampled reply to each prompt, in order; see `actors.language.generation.generate`."""
        return generate(self, prompts, sampling, seeds, poll)

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int, conversation: Hashable | None = None) -> int:
        """Take in a request; returns its ticket."""
        with self._lock:
            return self._generator.submit(prompt, sampling, seed, conversation)

    def step(self) -> list[tuple[int, Generated]]:
        """Advance all replies; returns those that finished."""
        with self._lock:
            return self._generator.step()

    def abort(self, tickets: Iterable[int]) -> list[tuple[int, Generated]]:
        """Give up replies; returns what they have so far."""
        with self._lock:
            return self._generator.abort(tickets)

    def load_weights(self, tensors: Mapping[str, torch.Tensor], version: int) -> None:
        """Go on with other weights; also judgements are made by them from now on.

        Raises:
            ValueError: names or shapes are not the model's.
        """
        with self._lock:
            self._reader.forget()
            self._generator.load_weights(tensors, version)

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
        ids = self._chats.ids(prompts)  # outside of the lock: while others are in the model
        tokens = np.array([len(i) for i in ids], np.int64)
        too_long = tokens > self.max_prompt_tokens
        reader = self._reader  # made outside of inference mode: weights may be loaded into it later
        with self._lock, torch.inference_mode():
            wanted = torch.tensor(self._chats.first_tokens(choices), device=self._device)
            log_probs = np.full((len(ids), len(choices)), np.nan)
            order = [int(i) for i in np.argsort(tokens, kind="stable") if not too_long[i]]
            shared = self._common_prefix([ids[i] for i in order])
            shared = reader.begin(ids[order[0]][:shared] if shared else [])
            rests = {i: ids[i][shared:] for i in order}
            pass_tokens = reader.pass_tokens if self.config.share_prefix else None
            for batch in arranged(rests, self._max_batch_tokens, pass_tokens):
                for places, logits in _read(reader, batch, rests):
                    log_probs[places] = torch.log_softmax(logits[:, wanted].double().cpu(), dim=-1).numpy()
            return ChoiceScores(log_probs, tokens, too_long)

    def write(
        self, prompts: Sequence[Sequence[Message]], max_tokens: int, schema: Mapping[str, Any] | None = None
    ) -> Texts:
        """The most likely reply to each chat, token by token.

        Args:
            prompts: N chats.
            max_tokens: of a reply; a JSON text that is longer is cut, and so is none.
            schema: a JSON schema that the reply must keep.

        Raises:
            ImportError: a schema is given and llguidance is not installed.
            ValueError: the schema cannot be kept with this tokenizer.
        """
        with self._lock, torch.inference_mode():
            ids = self._chats.ids(prompts)
            tokens = np.array([len(i) for i in ids], np.int64)
            too_long = tokens + max_tokens > self.max_prompt_tokens
            texts = [""] * len(ids)
            for places in length_batches(tokens + max_tokens, too_long, self._max_batch_tokens):
                for place, new in zip(
                    places, self._generate([ids[i] for i in places], max_tokens, schema), strict=True
                ):
                    texts[place] = self._tokenizer.decode(new, skip_special_tokens=True)
                    tokens[place] += len(new)
            return Texts(texts, tokens, too_long)

    def _generate(
        self, ids: Sequence[Sequence[int]], max_tokens: int, schema: Mapping[str, Any] | None
    ) -> list[list[int]]:
        """Greedy continuations, without what ends them."""
        if schema is not None and self._grammar is None:
            self._grammar = Grammar(self._tokenizer)
        guides = [self._grammar.start(schema) for _ in ids] if schema is not None and self._grammar else []
        width = max(map(len, ids))
        padded = torch.tensor([[0] * (width - len(i)) + list(i) for i in ids], device=self._device)
        mask = torch.tensor([[0] * (width - len(i)) + [1] * len(i) for i in ids], device=self._device)
        written: list[list[int]] = [[] for _ in ids]
        open_rows = set(range(len(ids)))
        cache, step = None, padded
        for _ in range(max_tokens):
            positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -step.shape[1] :]
            out = self._model(
                input_ids=step, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
            )
            logits, cache = out.logits[:, -1].float().cpu(), out.past_key_values
            for row, guide in enumerate(guides):
                if row in open_rows:
                    guide.mask(logits[row])
            new = logits.argmax(-1).tolist()
            for row in tuple(open_rows):
                stopped = new[row] in self._ends or (bool(guides) and not guides[row].accept(new[row]))
                if stopped:
                    open_rows.remove(row)
                    continue
                written[row].append(new[row])
                if guides and guides[row].complete:
                    open_rows.remove(row)
            if not open_rows:
                break
            step = torch.tensor([[token] for token in new], device=self._device)
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=-1)
        return written

    def _common_prefix(self, ids: Sequence[Sequence[int]]) -> int:
        """Length of the prefix shared by all, leaving each at least one token of its own; 0 where not worth it."""
        if len(ids) < 2 or not self.config.share_prefix:
            return 0
        low, high = min(map(list, ids)), max(map(list, ids))
        shared = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
        return min(shared, min(len(i) for i in ids) - 1)


def _read(
    reader: PromptReader, batch: Sequence[Family], rests: Mapping[int, list[int]]
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Places, and the logits after their prompts: one of each family, then the others; the largest families first."""
    firsts = [one.members[0] for one in batch]
    yield firsts, reader.last_logits([rests[place] for place in firsts])
    others = [
        (row, one.kept, one.members[number])
        for number in range(1, len(batch[0].members))
        for row, one in enumerate(batch)
        if len(one.members) > number
    ]
    if others:
        like, kept, places = zip(*others, strict=True)
        yield (
            list(places),
            reader.other_logits(like, kept, [rests[place][begin:] for begin, place in zip(kept, places, strict=True)]),
        )


def _token_ids(found: int | Sequence[int] | None) -> set[int]:
    return set() if found is None else {found} if isinstance(found, int) else set(found)
