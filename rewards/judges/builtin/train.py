"""How the built-in judge is made: a word-level tokenizer, a tiny Qwen3, and a minute and a half of training.

First the model reads captions alone and learns to tell what happened; then it learns to answer. The prompts are those
of `rewards.judges.prompts` in the model's own chat template, and of their tokens only the answer is learnt. Hints
speed it up: heads, thrown away afterwards, read the topics where a goal has been told, and events and tiers where a
caption's tag closes. Questions of a step share a few goals, so the keys and values of their common beginnings are
computed once and gradients flow back through them: exact, and far cheaper than whole prompts.

What stands around goal and captions is the same in every question, and the model learns no other questions. So each of
these parts is one token: of a question about a pair, some fifty tokens fewer are read, or looked back at.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from rewards.judges import prompts
from rewards.judges.builtin.corpus import ALL_GOALS, Corpus, all_words
from rewards.judges.judge import QuestionKind
from rewards.judges.rules import EVENTS, VALUES, events_of, prefer, topics_of, worth

OnProgress = Callable[[float, str], None]

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_PAD, _UNKNOWN, _END = "<|pad|>", "<|unknown|>", "<|end|>"
_TIERS = range(-1, 3)
_SPECIAL = [_PAD, _UNKNOWN, _END, "<|system|>", "<|user|>", "<|assistant|>", "<event>", "</event>"]


class Config(BaseModel):
    """Size of the model and length of its training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: int = Field(48, ge=8)
    layers: int = Field(3, ge=1)
    heads: int = Field(1, ge=1)
    """Here one is as right as several that are narrower, and attention takes less than half the time."""
    reading_steps: int = Field(250, ge=0)
    """First updates, on captions alone: what happened?"""
    steps: int = Field(1300, ge=1)
    """Further updates, on questions of both kinds: does it help?"""
    batch: int = Field(48, ge=2)
    """Questions in a step, of both kinds."""
    goals: int = Field(4, ge=1)
    """Goals of each kind in a step."""
    captions: int = Field(20_000, ge=2)
    held_out: int = Field(2_000, ge=2)
    """Captions that are never trained on; accuracy is measured on them."""
    learning_rate: float = Field(1e-2, gt=0)
    matrix_learning_rate: float = Field(2e-2, gt=0)
    unknown_rate: float = Field(0.01, ge=0, lt=1)
    """Share of caption words hidden in training, so that words never seen do not decide."""
    seed: int = 0
    threads: int = Field(1, ge=1)
    """Threads of torch. The matrices are too small to gain from more, and another number gives other weights."""


@dataclass(frozen=True)
class Accuracy:
    """Agreement with the rule book on held-out captions, all goals together."""

    caption: float
    pair: float


def build_tokenizer() -> Any:
    """A word-level tokenizer of the corpus and the prompts, lower case, with the chat template.

    Where a text of a question is a token (`_fixed_parts`), it is read as that, and else word by word.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(Regex(r"[0-9]+"), "#")])
    splitter = pre_tokenizers.BertPreTokenizer()
    asked = [str(m["content"]) for kind in prompts.CHOICES for m in prompts.messages("", kind, _blank(kind))]
    texts = itertools.chain(all_words(), asked, *prompts.CHOICES.values())
    found = {word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))}
    words = [*_SPECIAL, *sorted(found | set("abcdefghijklmnopqrstuvwxyz#!?.,;:()\"'-+*/$"))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=_UNKNOWN))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.add_special_tokens([*_SPECIAL, *_fixed_parts()])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=_PAD, unk_token=_UNKNOWN, eos_token=_END, model_max_length=512
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def _fixed_parts() -> list[str]:
    """What stands before, between and behind goal and captions, in the questions of every kind."""
    gap = "\0"
    chats = (prompts.messages(gap, kind, [gap] * len(_blank(kind))) for kind in prompts.CHOICES)
    template = jinja2.Template(CHAT_TEMPLATE)
    texts = [template.render(messages=chat, add_generation_prompt=True) for chat in chats]
    return list(dict.fromkeys(part for text in texts for part in text.split(gap)))


@contextmanager
def without_bars() -> Iterator[None]:
    """While it lasts, transformers draws no bars: for models of ours, which are written and read in a moment."""
    from transformers.utils import logging

    if not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()


def build_model(config: Config, tokenizer: Any) -> Any:
    """An untrained Qwen3 of this size, whose normalised queries and keys bear high learning rates; seeded outside."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden,
            intermediate_size=config.hidden * 2,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            head_dim=config.hidden // config.heads,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            initializer_range=0.05,
        )
    )


@dataclass(frozen=True)
class Batch:
    """N questions with F different beginnings, sorted by length.

    Attributes:
        prefixes: the tokens before the first caption, one list for each goal and kind; empty where nothing is asked.
        which: the prefix of each question, `[N]`.
        rests: the other tokens of each question.
        closes: positions in `rests` of the tags that close its captions, `[N, 2]`; a lone caption counts twice.
        tiers: what the captions are worth, `[N, 2]`.
        events: which events they tell of, as 0 and 1, `[N, 2, E]`.
        answers: tokens of the right answers, `[N]`.
        is_pair: whether a question is about a pair, `[N]`.
    """

    prefixes: list[list[int]]
    which: torch.Tensor
    rests: list[list[int]]
    closes: torch.Tensor
    tiers: torch.Tensor
    events: torch.Tensor
    answers: torch.Tensor
    is_pair: torch.Tensor


class Lessons:
    """Captions, tokenised once, from which labelled batches are drawn."""

    def __init__(self, tokenizer: Any, captions: Sequence[str], seed: int, unknown_rate: float = 0.0) -> None:
        """Prepare `captions`; the same seed gives the same batches."""
        self._tokenizer, self._unknown_rate = tokenizer, unknown_rate
        self._ids = self._encode(captions)
        self._told = [events_of(caption) for caption in captions]
        self._events = torch.tensor([[float(event in events) for event in EVENTS] for events in self._told])
        self._tiers: dict[tuple[str, ...], dict[int, int]] = {}
        self._random = random.Random(seed)
        self._frame = lru_cache(maxsize=None)(self._frame_of)
        self.answers = {kind: [ids[0] for ids in self._encode(choices)] for kind, choices in prompts.CHOICES.items()}

    def draw(self, asked: Sequence[tuple[str, QuestionKind]], each: int) -> Batch:
        """`each` random questions for every goal and kind in `asked`."""
        rows = []
        for number, (goal, kind) in enumerate(asked):
            _, border, suffix = self._frame(goal, kind)
            for _ in range(each):
                places = self._pick(kind)
                tiers = [self._tier(goal, place) for place in places]
                if kind == "pair":
                    choice = {1.0: 0, 0.0: 1, 0.5: 2}[prefer(*tiers)]
                else:
                    choice = 0 if tiers[0] > 0 else 1
                rows.append((number, kind, places, tiers, self.answers[kind][choice], border, suffix))
        return self._batch([self._frame(*frame)[0] for frame in asked], rows)

    def draw_reading(self, size: int) -> Batch:
        """Two captions each, between their tags, without any question."""
        _, border, _ = self._frame(ALL_GOALS[0], "pair")
        return self._batch([[]], [(0, "pair", self._pick("pair"), [0, 0], 0, border, border[:1]) for _ in range(size)])

    def _pick(self, kind: QuestionKind) -> list[int]:
        return [self._random.randrange(len(self._ids)) for _ in range(2 if kind == "pair" else 1)]

    def _batch(self, prefixes: list[list[int]], rows: list[Any]) -> Batch:
        rows.sort(key=lambda row: sum(len(self._ids[place]) for place in row[2]))
        rests, closes = [], []
        for number, _, places, _, _, border, suffix in rows:
            rest: list[int] = [] if prefixes[number] else border[-1:]
            ends: list[int] = []
            for place in places:
                rest += [*(border if ends else []), *self._hide(self._ids[place])]
                ends.append(len(rest))
            rests.append([*rest, *suffix])
            closes.append([ends[0], ends[-1]])
        return Batch(
            prefixes=prefixes,
            which=torch.tensor([row[0] for row in rows]),
            rests=rests,
            closes=torch.tensor(closes),
            tiers=torch.tensor([[row[3][0], row[3][-1]] for row in rows]),
            events=self._events[torch.tensor([[row[2][0], row[2][-1]] for row in rows])],
            answers=torch.tensor([row[4] for row in rows]),
            is_pair=torch.tensor([row[1] == "pair" for row in rows]),
        )

    def _tier(self, goal: str, place: int) -> int:
        topics = topics_of(goal)
        known = self._tiers.setdefault(topics, {})
        if place not in known:
            known[place] = worth(self._told[place], topics)
        return known[place]

    def _hide(self, ids: list[int]) -> list[int]:
        unknown, rate = self._tokenizer.unk_token_id, self._unknown_rate
        return [unknown if self._random.random() < rate else token for token in ids] if rate else ids

    def _frame_of(self, goal: str, kind: QuestionKind) -> tuple[list[int], list[int], list[int]]:
        """Tokens before the first caption, between two captions, and after the last."""
        text = self._tokenizer.apply_chat_template(
            prompts.messages(goal, kind, _blank(kind)), tokenize=False, add_generation_prompt=True
        )
        start, *_, end = text.split("<event></event>")
        before, between, after = self._encode([start + "<event>", "</event>\n<event>", "</event>" + end])
        return before, between, after

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = self._tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return ids


@dataclass(frozen=True)
class Reading:
    """Hidden states of width D at the places that matter.

    Attributes:
        answers: of the last layer, where answers begin, `[N, D]`.
        closes: of the layer before, where captions close, `[N, 2, D]`.
        goals: of the first layer, where prefixes end, `[F, D]`; None where nothing is asked.
    """

    answers: torch.Tensor
    closes: torch.Tensor
    goals: torch.Tensor | None


def read(model: Any, batch: Batch, width: int = 32) -> Reading:
    """Run the model over a batch.

    Args:
        model: the language model; gradients flow through the shared prefixes.
        batch: the questions.
        width: questions in one forward pass; they are sorted by length, so little padding is read.
    """
    from transformers import DynamicCache

    start, start_lengths = _padded(batch.prefixes)
    start_mask = torch.arange(start.shape[1])[None] < start_lengths[:, None]
    goals, memory = None, []
    if start.numel():
        told = model.model(input_ids=start, attention_mask=start_mask.long(), use_cache=True, output_hidden_states=True)
        memory = [(layer.keys, layer.values) for layer in told.past_key_values.layers]
        goals = told.hidden_states[1][torch.arange(len(start)), start_lengths - 1]
    answers, closes = [], []
    for first in range(0, len(batch.rests), width):
        rows = slice(first, first + width)
        which = batch.which[rows]
        ids, lengths = _padded(batch.rests[rows])
        mask = torch.cat([start_mask[which], torch.arange(ids.shape[1])[None] < lengths[:, None]], dim=1)
        states = model.model(
            input_ids=ids,
            attention_mask=mask.long(),
            position_ids=start_lengths[which][:, None] + torch.arange(ids.shape[1])[None],
            past_key_values=DynamicCache([(keys[which], values[which]) for keys, values in memory]) if memory else None,
            use_cache=bool(memory),
            output_hidden_states=True,
        )
        row = torch.arange(len(ids))
        answers.append(states.last_hidden_state[row, lengths - 1])
        closes.append(states.hidden_states[-2][row[:, None], batch.closes[rows]])
    return Reading(torch.cat(answers), torch.cat(closes), goals)


def train(directory: Path, config: Config, on_progress: OnProgress | None = None) -> Accuracy:
    """Make the model and save it in Hugging Face format.

    Args:
        directory: where config.json, model.safetensors, the tokenizer and its chat template go; must exist.
        config: sizes and seed; the same config gives the same weights on one machine with one number of threads.
        on_progress: called with the fraction done and a line for people.

    Returns:
        Agreement with the rule book on captions that were held out.
    """
    tell = on_progress or (lambda fraction, text: None)
    tell(0.0, "writing the corpus")
    tokenizer = build_tokenizer()
    corpus = Corpus(config.seed)
    held_out = list(dict.fromkeys(corpus.captions(config.held_out)))
    apart = set(held_out)
    captions = [caption for caption in corpus.captions(config.captions) if caption not in apart]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = build_model(config, tokenizer)
        _fit(model, Lessons(tokenizer, captions, config.seed, config.unknown_rate), config, tell)
    tell(0.95, "measuring on held-out captions")
    accuracy = measure(model.eval(), Lessons(tokenizer, held_out, config.seed + 1), config.held_out)
    with without_bars():
        model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    tell(1.0, f"agrees with the rules on {accuracy.caption:.1%} of captions and {accuracy.pair:.1%} of pairs")
    return accuracy


def _fit(model: Any, lessons: Lessons, config: Config, tell: OnProgress) -> None:
    def head(outputs: int) -> torch.nn.Sequential:
        return torch.nn.Sequential(torch.nn.LayerNorm(config.hidden), torch.nn.Linear(config.hidden, outputs))

    topics, tiers, events = head(len(VALUES)), head(len(_TIERS)), head(len(EVENTS))
    # Muon (Jordan et al., 2024) on the matrices learns this several times faster than Adam does.
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    others += [p for hint in (topics, tiers, events) for p in hint.parameters()]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=config.matrix_learning_rate, weight_decay=0.0),
        torch.optim.AdamW(others, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    rates = [torch.optim.lr_scheduler.LambdaLR(optimizer, _pace(config)) for optimizer in optimizers]

    def update(loss: torch.Tensor) -> None:
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*matrices, *others], 1.0)
        for optimizer, rate in zip(optimizers, rates, strict=True):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            rate.step()

    def event_loss(reading: Reading, batch: Batch) -> torch.Tensor:
        return binary_cross_entropy_with_logits(events(reading.closes), batch.events) * len(EVENTS)

    model.train()
    for step in range(config.reading_steps):
        batch = lessons.draw_reading(config.batch // 2)
        loss = event_loss(read(model, batch), batch)
        update(loss)
        if step % 20 == 0:
            tell(0.2 * step / config.reading_steps, f"learning to read, loss {float(loss.detach()):.3f}")
    goals = itertools.cycle(random.Random(config.seed).sample(ALL_GOALS, len(ALL_GOALS)))
    for step in range(config.steps):
        asked = [(next(goals), kind) for kind in prompts.CHOICES for _ in range(config.goals)]
        batch = lessons.draw(asked, config.batch // len(asked))
        reading = read(model, batch)
        loss = cross_entropy(model.lm_head(reading.answers), batch.answers)
        named = torch.tensor([[float(topic in topics_of(goal)) for topic in VALUES] for goal, _ in asked])
        hint = binary_cross_entropy_with_logits(topics(reading.goals), named)
        hint = hint + cross_entropy(tiers(reading.closes).flatten(0, 1), batch.tiers.flatten() - _TIERS[0])
        update(loss + hint + 0.3 * event_loss(reading, batch))
        if step % 20 == 0:
            tell(0.2 + 0.75 * step / config.steps, f"learning to answer, loss {float(loss.detach()):.3f}")


def _pace(config: Config) -> Callable[[int], float]:
    """Warm-up and linear decay, for each of the two phases; the first ends at half speed."""

    def pace(step: int) -> float:
        if step < config.reading_steps:
            return min(1.0, (step + 1) / 20) * (1 - 0.5 * step / config.reading_steps)
        done = (step - config.reading_steps) / config.steps
        return min(1.0, 20 * done + 0.05) * max(0.0, 1 - done)

    return pace


@torch.inference_mode()
def measure(model: Any, lessons: Lessons, questions: int) -> Accuracy:
    """Share of `questions` of each kind that the model answers as the rule book does, over all goals."""
    right: dict[QuestionKind, float] = {}
    each = max(1, questions // len(ALL_GOALS))
    for kind, allowed in lessons.answers.items():
        batch = lessons.draw([(goal, kind) for goal in ALL_GOALS], each)
        logits = model.lm_head(read(model, batch, 128).answers)[:, allowed]
        right[kind] = float((torch.tensor(allowed)[logits.argmax(-1)] == batch.answers).float().mean())
    return Accuracy(right["caption"], right["pair"])


def _padded(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = [len(row) for row in rows]
    return torch.tensor([[*row, *[0] * (max(lengths) - len(row))] for row in rows]).long(), torch.tensor(lengths)


def _blank(kind: QuestionKind) -> list[str]:
    return [""] * (2 if kind == "pair" else 1)
