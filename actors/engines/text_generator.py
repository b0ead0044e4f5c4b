"""`TextGenerator`: writes many replies at once with a decoder, one token a step, for whoever is there at the time.

Rows that go on are always the first ones of the decoder's buffers: what has finished is overwritten by the last row, so
a long tail costs what the tail costs. A prompt is computed once, however many replies it gets, and of a conversation
that goes on only what is new.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from actors.engines.decoder import Decoder, decoder_of
from actors.engines.shelf import Shelf
from actors.engines.stop_texts import StopTexts
from actors.language.generation import Finish, Generated, Poll, Sampling, check_vocabulary, generate
from actors.language.sampling import draw, filtered_log_probs, uniforms

PREFILL_TOKENS = 8192
"""Padded tokens of one forward pass over prompts."""


@dataclass
class _Row:
    """A reply under way."""

    ticket: int
    tokens: list[int]
    """Prompt and reply."""
    prompt: int
    """Length of the prompt."""
    limit: int
    """Length at which context or budget is spent."""
    seed: int
    stop: StopTexts | None
    conversation: Hashable | None
    log_probs: list[float] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)

    def finished(self, finish: Finish) -> tuple[int, Generated]:
        return self.ticket, Generated(self.tokens[self.prompt :], self.log_probs, self.versions, finish)


class _Unread(NamedTuple):
    """Tokens of a row whose keys and values are not there yet, from position `start` on."""

    place: int
    start: int
    tokens: tuple[int, ...]


class TextGenerator:
    """A causal language model of transformers as a `GenerationEngine` (actors/language/generation.py)."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        ends: Collection[int],
        max_tokens: int,
        max_rows: int = 256,
        prefill_tokens: int = PREFILL_TOKENS,
    ) -> None:
        """Take a model; its parameters are the engine's from now on.

        Args:
            model: on its device, in evaluation mode.
            tokenizer: reads stop texts; None where there are none.
            ends: tokens that end a reply.
            max_tokens: the most tokens of a prompt with its reply.
            max_rows: replies under way at once; more wait.
            prefill_tokens: padded tokens of one forward pass over prompts.

        Raises:
            ValueError: the model's memory is not that of full attention.
        """
        self.version, self.max_tokens = 0, max_tokens
        self.vocabulary = int(model.get_output_embeddings().weight.shape[0])
        self._model, self._tokenizer, self._decoder = model, tokenizer, decoder_of(model)
        self._ends, self._max_rows, self._prefill_tokens = frozenset(ends), max_rows, prefill_tokens
        # On an accelerator the steps of a stride are queued without looking at their tokens; what was sampled beyond
        # the end of a reply is thrown away.
        self._stride = 1 if self._decoder.device.type == "cpu" else 8
        self._shelf = Shelf(self._decoder, max_rows)
        self._sampling: Sampling | None = None
        self._stops: dict[tuple[str, ...], StopTexts] = {}
        self._rows: list[_Row] = []
        self._waiting: deque[_Row] = deque()
        self._finished: list[tuple[int, Generated]] = []
        self._next_ticket = 0

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int], poll: Poll | None = None
    ) -> list[Generated]:
        """A reply to each prompt, in order; see `actors.language.generation.generate`."""
        return generate(self, prompts, sampling, seeds, poll)

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int, conversation: Hashable | None = None) -> int:
        """Take in a request; returns its ticket.

        Raises:
            ValueError: a token is not of this vocabulary, the prompt is empty, or replies of another temperature, top-k
                or top-p are under way.
        """
        tokens = list(prompt)
        if not tokens or min(tokens) < 0 or max(tokens) >= self.vocabulary:
            raise ValueError(
                f"got a prompt of {len(tokens)} tokens, {min(tokens, default=None)} to {max(tokens, default=None)}; "
                f"expected some, of 0 to {self.vocabulary - 1}: use the tokenizer of the engine's model"
            )
        kind = replace(sampling, max_tokens=1, stop=())
        if self._sampling != kind:
            if self._rows or self._waiting:
                raise ValueError(
                    f"got {sampling} while replies by {self._sampling} are under way; let them finish first"
                )
            self._sampling = kind
        ticket, self._next_ticket = self._next_ticket, self._next_ticket + 1
        limit = min(len(tokens) + sampling.max_tokens, self.max_tokens)
        row = _Row(ticket, tokens, len(tokens), limit, seed, self._stop_texts(sampling.stop), conversation)
        if len(tokens) >= limit:
            self._finished.append(row.finished("length"))
        else:
            self._waiting.append(row)
        return ticket

    @property
    def decoder(self) -> Decoder:
        """What runs the model; its buffers are the generator's."""
        return self._decoder

    @torch.inference_mode()
    def step(self) -> list[tuple[int, Generated]]:
        """Advance all replies by a stride of tokens; returns those that finished."""
        self._admit()
        if self._rows:
            left = self._stride
            if left > 1:
                left = min(left, max(row.limit - len(row.tokens) for row in self._rows))
            self._advance(left)
        finished, self._finished = self._finished, []
        return finished

    @torch.inference_mode()
    def abort(self, tickets: Iterable[int]) -> list[tuple[int, Generated]]:
        """Give up replies; returns what they have so far."""
        unwanted = set(tickets)
        gone = [row for row in (*self._rows, *self._waiting) if row.ticket in unwanted]
        gone_tickets = {row.ticket for row in gone}
        self._waiting = deque(row for row in self._waiting if row.ticket not in gone_tickets)
        self._leave([place for place, row in enumerate(self._rows) if row.ticket in gone_tickets])
        self._finished = [one for one in self._finished if one[0] not in unwanted]
        return [row.finished("aborted") for row in gone]

    @torch.inference_mode()
    def load_weights(self, tensors: Mapping[str, Tensor], version: int) -> None:
        """Go on with other weights; what replies under way have read so far is read again by the new weights.

        Raises:
            ValueError: names or shapes are not the model's; the weights are the old ones then.
        """
        self._check(tensors)
        for name, tensor in self._model.state_dict(keep_vars=True).items():
            if name in tensors:
                tensor.data.copy_(tensors[name], non_blocking=True)
        self.version = version
        self._shelf.clear()
        self._prefill(range(len(self._rows)))

    def _check(self, tensors: Mapping[str, Tensor]) -> None:
        check_vocabulary(tensors, self.vocabulary)
        own = self._model.state_dict(keep_vars=True)
        given = {own[name].data_ptr() for name in tensors if name in own}
        missing = [name for name, tensor in own.items() if name not in tensors and tensor.data_ptr() not in given]
        unknown = [name for name in tensors if name not in own]
        if missing or unknown:
            raise ValueError(
                f"got weights without {missing[:3]} and with {unknown[:3]} (first three of {len(missing)} and "
                f"{len(unknown)}); expected the names of the engine's model: merge adapters before, and start engine "
                "and learner from the same model directory"
            )
        for name, tensor in tensors.items():
            if tensor.shape != own[name].shape:
                raise ValueError(f"got {name} of shape {list(tensor.shape)}; expected {list(own[name].shape)}")

    def _stop_texts(self, texts: tuple[str, ...]) -> StopTexts | None:
        if texts and texts not in self._stops:
            self._stops[texts] = StopTexts(texts, self._tokenizer, self.vocabulary)
        return self._stops.get(texts)

    def _admit(self) -> None:
        """Let waiting rows in while there is room, and read their prompts."""
        before = len(self._rows)
        while self._waiting and len(self._rows) < self._max_rows:
            self._rows.append(self._waiting.popleft())
        if len(self._rows) > before:
            self._prefill(range(before, len(self._rows)))

    def _prefill(self, places: Sequence[int]) -> None:
        """Keys and values of all tokens of some rows but their last, which the next step reads; equal ones once."""
        if not places:
            return
        rows = self._rows
        self._decoder.reserve(len(rows), max(len(rows[place].tokens) for place in places))
        going_on = [place for place in places if rows[place].conversation is not None]
        kept = self._shelf.take([(rows[place].conversation, place, rows[place].tokens[:-1]) for place in going_on])
        alike: dict[tuple[int, ...], list[int]] = {}
        unread = []
        for place, start in {**dict.fromkeys(places, 0), **dict(zip(going_on, kept, strict=True))}.items():
            known = tuple(rows[place].tokens[:-1])
            if start or known not in alike:
                unread.append(_Unread(place, start, known[start:]))
            if not start:
                alike.setdefault(known, []).append(place)
        batch: list[_Unread] = []
        for one in sorted((one for one in unread if one.tokens), key=lambda one: len(one.tokens)):
            if batch and (len(batch) + 1) * len(one.tokens) > self._prefill_tokens:
                self._read(batch)
                batch = []
            batch.append(one)
        self._read(batch)
        copies = [(same[0], place) for same in alike.values() for place in same[1:]]
        longest = max(map(len, alike), default=0)
        self._decoder.copy_rows([source for source, _ in copies], [target for _, target in copies], longest)

    def _read(self, batch: Sequence[_Unread]) -> None:
        if not batch:
            return
        device, width = self._decoder.device, len(batch[-1].tokens)
        seen = min(max(one.start for one in batch) + width, self.max_tokens)
        self._decoder.reserve(len(self._rows), seen)
        # Padded on the right, where what comes before cannot see it, and where replies are written over it; what would
        # lie beyond the context, on its last position, which nobody has read yet.
        ids = torch.tensor([[*one.tokens, *[0] * (width - len(one.tokens))] for one in batch], device=device)
        starts = torch.tensor([[one.start] for one in batch], device=device)
        places = torch.tensor([one.place for one in batch], device=device)
        positions = (starts + torch.arange(width, device=device)).clamp_(max=seen - 1)
        self._decoder.extend(ids, positions, places, seen, logits=False)

    def _advance(self, stride: int) -> None:
        """Sample the next tokens of all rows, and let go of those that finish."""
        assert self._sampling is not None
        rows, device = self._rows, self._decoder.device
        lengths = np.array([len(row.tokens) for row in rows], np.int64)
        seen = int(lengths.max())
        self._decoder.reserve(len(rows), seen + stride - 1)
        counts = np.array([len(row.versions) for row in rows], np.int64)[:, None] + np.arange(stride)
        numbers = torch.from_numpy(uniforms([row.seed for row in rows], counts)).to(device)
        last = torch.tensor([row.tokens[-1] for row in rows], device=device)
        positions = torch.from_numpy(lengths - 1).to(device)
        chosen, chances = [], []
        for i in range(stride):
            # Of a row whose context is full, the rest of the stride is thrown away; there is no position for it.
            at, most = (positions[:, None] + i).clamp_(max=self.max_tokens - 1), min(seen + i, self.max_tokens)
            logits = self._decoder.extend(last[:, None], at, None, most)
            log_probs = filtered_log_probs(
                logits, self._sampling.temperature, self._sampling.top_k, self._sampling.top_p
            )
            last = draw(log_probs, numbers[:, i])
            chosen.append(last)
            chances.append(log_probs.gather(-1, last[:, None])[:, 0])
        sampled = torch.stack(chances, 1).cpu()
        if sampled.isnan().any():
            raise FloatingPointError(
                f"got logits that are not numbers from weights of version {self.version}; expected finite ones: look "
                "at the update that made these weights"
            )
        tokens, values = torch.stack(chosen, 1).tolist(), sampled.tolist()
        self._leave([place for place, row in enumerate(rows) if self._append(row, tokens[place], values[place])])

    def _append(self, row: _Row, tokens: Sequence[int], log_probs: Sequence[float]) -> bool:
        """Give a row its new tokens up to its end; whether it has come to it."""
        for token, log_prob in zip(tokens, log_probs, strict=True):
            row.tokens.append(token)
            row.log_probs.append(log_prob)
            row.versions.append(self.version)
            stopped = token in self._ends or (row.stop is not None and row.stop.ends(row.tokens, row.prompt))
            if stopped or len(row.tokens) >= row.limit:
                self._finished.append(row.finished("stop" if stopped else "length"))
                return True
        return False

    def _leave(self, places: Sequence[int]) -> None:
        """Take rows out; those that stay close ranks."""
        if not places:
            return
        waits = [place for place in places if self._rows[place].conversation is not None]
        self._shelf.put(
            [self._rows[place].conversation for place in waits],
            waits,
            [self._rows[place].tokens[:-1] for place in waits],
        )
        gone, stay = set(places), len(self._rows) - len(places)
        holes = [place for place in places if place < stay]
        movers = [place for place in range(stay, len(self._rows)) if place not in gone]
        for hole, mover in zip(holes, movers, strict=True):
            self._rows[hole] = self._rows[mover]
        del self._rows[stay:]
        self._decoder.copy_rows(movers, holes, max((len(self._rows[hole].tokens) for hole in holes), default=0))
