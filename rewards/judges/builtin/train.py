"""How the built-in judge is made: a word-level tokenizer, a tiny Llama, and a minute of supervised training.

The prompts are those of `rewards.judges.prompts` in the model's own chat template, and of all tokens only the answer is
learnt. A second head, thrown away afterwards, reads the events and the tier of each caption where its tag closes; it makes
pairs learnable in a minute. Within a step all prompts of a kind share their goal, so the keys and values of the common
beginning are computed once and gradients flow back through them: exact, and several times cheaper than whole prompts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from rewards.judges import prompts
from rewards.judges.builtin.corpus import ALL_GOALS, Corpus, all_words
from rewards.judges.judge import QuestionKind
from rewards.judges.rules import EVENTS, events_of, prefer, tier, topics_of

OnProgress = Callable[[float, str], None]

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_PAD, _UNKNOWN, _END = "<|pad|>", "<|unknown|>", "<|end|>"
_SPECIAL = [_PAD, _UNKNOWN, _END, "<|system|>", "<|user|>", "<|assistant|>", "<event>", "</event>"]


class Config(BaseModel):
    """Size of the model and length of its training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: int = Field(64, ge=8)
    layers: int = Field(3, ge=1)
    heads: int = Field(4, ge=1)
    reading_steps: int = Field(400, ge=0)
    """First updates, on captions alone: what happened?"""
    steps: int = Field(400, ge=1)
    """Further updates, on questions of both kinds: does it help?"""
    batch: int = Field(32, ge=1)
    """Questions of each kind in a step."""
    captions: int = Field(20_000, ge=2)
    held_out: int = Field(2_000, ge=2)
    """Captions that are never trained on; accuracy is measured on them."""
    learning_rate: float = Field(1e-2, gt=0)
    matrix_learning_rate: float = Field(2e-2, gt=0)
    unknown_rate: float = Field(0.01, ge=0, lt=1)
    """Share of caption words hidden in training, so that words never seen do not decide."""
    seed: int = 0


@dataclass(frozen=True)
class Accuracy:
    """Agreement with the rule book on held-out captions, all goals together."""

    caption: float
    pair: float


def build_tokenizer() -> Any:
    """A word-level tokenizer of the corpus and the prompts, lower case, with the chat template."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    normalizer, splitter = normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    asked = [str(m["content"]) for kind in prompts.CHOICES for m in prompts.messages("", kind, _blank(kind))]
    texts = itertools.chain(all_words(), asked, *prompts.CHOICES.values())
    found = {word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))}
    words = [*_SPECIAL, *sorted(found | set("abcdefghijklmnopqrstuvwxyz#!?.,;:()\"'-+*/$"))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=_UNKNOWN))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.add_special_tokens(_SPECIAL)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=_PAD, unk_token=_UNKNOWN, eos_token=_END, model_max_length=512
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def build_model(config: Config, tokenizer: Any) -> Any:
    """An untrained Llama of this size; seeded by the caller."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden,
            intermediate_size=config.hidden * 2,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
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
    """N questions of one kind and goal, sorted by length.

    Attributes:
        prefix: tokens that all prompts begin with.
        rests: the other tokens of each prompt.
        closes: positions in `rests` of the tags that close the captions, `[N][1 or 2]`.
        answers: indices of the right choices, `[N]`.
        tiers: what the captions are worth, `[N, 1 or 2]`.
        events: which events they tell of, as 0 and 1, `[N, 1 or 2, E]`.
    """

    prefix: list[int]
    rests: list[list[int]]
    closes: list[list[int]]
    answers: torch.Tensor
    tiers: torch.Tensor
    events: torch.Tensor


class Lessons:
    """Captions, tokenised once, from which labelled batches are drawn."""

    def __init__(self, tokenizer: Any, captions: Sequence[str], seed: int, unknown_rate: float = 0.0) -> None:
        """Prepare `captions`; the same seed gives the same batches."""
        self._tokenizer, self._captions, self._unknown_rate = tokenizer, captions, unknown_rate
        self._ids = tokenizer(list(captions), add_special_tokens=False)["input_ids"]
        self._generator = torch.Generator().manual_seed(seed)
        told = [events_of(caption) for caption in captions]
        self._events = torch.tensor([[float(event in events) for event in EVENTS] for events in told])
        self._tiers: dict[tuple[str, ...], list[int | None]] = {}
        self._frame = lru_cache(maxsize=None)(self._frame_of)
        self._answers = {
            kind: [self._encode(choice)[0] for choice in choices] for kind, choices in prompts.CHOICES.items()
        }

    def draw(self, goal: str, kind: QuestionKind, size: int) -> Batch:
        """Random questions of this kind for a player with this goal."""
        prefix, border, suffix = self._frame(goal, kind)
        picks = self._pick(size, 2 if kind == "pair" else 1)
        tiers = [[self._tier(goal, place) for place in pick] for pick in picks]
        if kind == "pair":
            answers = [{1.0: 0, 0.0: 1, 0.5: 2}[prefer(*pair)] for pair in tiers]
        else:
            answers = [0 if one[0] > 0 else 1 for one in tiers]
        return self._batch(picks, prefix, border, suffix, answers, tiers)

    def draw_reading(self, size: int) -> Batch:
        """Two captions each, between their tags, without any question."""
        _, border, _ = self._frame(ALL_GOALS[0], "pair")
        picks = self._pick(size, 2)
        return self._batch(picks, [], border, border[:1], [0] * size, [[0, 0]] * size)

    def _pick(self, size: int, texts: int) -> list[list[int]]:
        picks: list[list[int]] = torch.randint(len(self._ids), (size, texts), generator=self._generator).tolist()
        return sorted(picks, key=lambda pick: sum(len(self._ids[place]) for place in pick))

    def _batch(
        self,
        picks: list[list[int]],
        prefix: list[int],
        border: list[int],
        suffix: list[int],
        answers: list[int],
        tiers: list[list[int]],
    ) -> Batch:
        rests, closes = [], []
        for pick in picks:
            rest: list[int] = [] if prefix else border[-1:]
            ends = []
            for number, place in enumerate(pick):
                rest += [*border[: len(border) * number], *self._hidden(self._ids[place])]
                ends.append(len(rest))
            rests.append([*rest, *suffix])
            closes.append(ends)
        events = self._events[torch.tensor(picks)]
        return Batch(prefix, rests, closes, torch.tensor(answers), torch.tensor(tiers), events)

    def answer_tokens(self, kind: QuestionKind) -> list[int]:
        """Tokens of the allowed answers."""
        return self._answers[kind]

    def _tier(self, goal: str, place: int) -> int:
        topics = topics_of(goal)
        known = self._tiers.setdefault(topics, [None] * len(self._captions))
        if (value := known[place]) is None:
            value = known[place] = tier(self._captions[place], topics)
        return value

    def _hidden(self, ids: list[int]) -> list[int]:
        if not self._unknown_rate:
            return ids
        keep = (torch.rand(len(ids), generator=self._generator) >= self._unknown_rate).tolist()
        return [token if kept else self._tokenizer.unk_token_id for token, kept in zip(ids, keep, strict=True)]

    def _frame_of(self, goal: str, kind: QuestionKind) -> tuple[list[int], list[int], list[int]]:
        """Tokens before the first caption, between two captions, and after the last."""
        text = self._tokenizer.apply_chat_template(
            prompts.messages(goal, kind, _blank(kind)), tokenize=False, add_generation_prompt=True
        )
        start, *_, end = text.split("<event></event>")
        return self._encode(start + "<event>"), self._encode("</event>\n<event>"), self._encode("</event>" + end)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def read(model: Any, batch: Batch, width: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Last hidden states where the answers begin `[N, D]` and where captions close `[N, 1 or 2, D]`.

    Args:
        model: the language model; gradients flow through the shared prefix.
        batch: the questions.
        width: questions in one forward pass; they are sorted by length, so few padding tokens are read.
    """
    from transformers import DynamicCache

    shared, size = len(batch.prefix), len(batch.rests)
    if shared:
        start = model.model(input_ids=torch.tensor([batch.prefix]), use_cache=True).past_key_values
    answers, closes = [], []
    for first in range(0, size, width):
        rests = batch.rests[first : first + width]
        lengths = torch.tensor([len(rest) for rest in rests])
        longest = int(lengths.max())
        options: dict[str, Any] = {}
        if shared:
            every = (len(rests), -1, -1, -1)
            layers = [(layer.keys.expand(every), layer.values.expand(every)) for layer in start.layers]
            options["past_key_values"] = DynamicCache(layers)
        mask = torch.arange(shared + longest)[None] < shared + lengths[:, None]
        hidden = model.model(
            input_ids=torch.tensor([[*rest, *[0] * (longest - len(rest))] for rest in rests]),
            attention_mask=mask.long(),
            use_cache=bool(shared),
            **options,
        ).last_hidden_state
        row = torch.arange(len(rests))
        answers.append(hidden[row, lengths - 1])
        closes.append(hidden[row[:, None], torch.tensor(batch.closes[first : first + width])])
    return torch.cat(answers), torch.cat(closes)


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
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    tell(1.0, f"agrees with the rules on {accuracy.caption:.1%} of captions and {accuracy.pair:.1%} of pairs")
    return accuracy


def _fit(model: Any, lessons: Lessons, config: Config, tell: OnProgress) -> None:
    hints = torch.nn.Linear(config.hidden, 4 + len(EVENTS))
    torch.nn.init.zeros_(hints.weight)
    parameters = [*model.parameters(), *hints.parameters()]
    # Muon (Jordan et al., 2024) on the matrices learns this several times faster than Adam does.
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    taken = {id(p) for p in matrices}
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=config.matrix_learning_rate, weight_decay=0.0),
        torch.optim.AdamW([p for p in parameters if id(p) not in taken], lr=config.learning_rate, betas=(0.9, 0.98)),
    ]
    total = config.reading_steps + config.steps
    warmup = max(1, total // 20)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / warmup, 1.0) * max(0.0, 1 - step / total)
        )
        for optimizer in optimizers
    ]
    goals = itertools.cycle(torch.randperm(len(ALL_GOALS), generator=torch.Generator().manual_seed(config.seed)).tolist())
    model.train()
    def update() -> None:
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()

    for step in range(config.reading_steps):
        batch = lessons.draw_reading(config.batch)
        told = hints(read(model, batch)[1])
        event = binary_cross_entropy_with_logits(told[..., 4:], batch.events) * len(EVENTS)
        event.backward()
        update()
        if step % 20 == 0:
            tell(0.3 * step / config.reading_steps, f"reading captions, loss {float(event.detach()):.3f}")
    for step in range(config.steps):
        losses = []
        for kind in prompts.CHOICES:
            batch = lessons.draw(ALL_GOALS[next(goals)], kind, config.batch)
            answer, closing = read(model, batch)
            target = torch.tensor(lessons.answer_tokens(kind))[batch.answers]
            loss = cross_entropy(model.lm_head(answer), target)
            told = hints(closing)
            hint = cross_entropy(told[..., :4].flatten(0, 1), batch.tiers.flatten() + 1)
            event = binary_cross_entropy_with_logits(told[..., 4:], batch.events) * len(EVENTS) / 3
            (loss + hint + event).backward()
            losses.append(float(loss.detach()))
        update()
        if step % 20 == 0:
            tell(0.3 + 0.65 * step / config.steps, f"step {step}/{config.steps}, loss {losses} {float(hint.detach()):.3f} {float(event.detach()):.3f}")


@torch.inference_mode()
def measure(model: Any, lessons: Lessons, questions: int) -> Accuracy:
    """Share of `questions` of each kind that the model answers as the rule book does, over all goals."""
    right: dict[str, float] = {}
    each = max(1, questions // len(ALL_GOALS))
    for kind in prompts.CHOICES:
        allowed = torch.tensor(lessons.answer_tokens(kind))
        hits = 0
        for goal in ALL_GOALS:
            batch = lessons.draw(goal, kind, each)
            logits = model.lm_head(read(model, batch)[0])
            hits += int((logits[:, allowed].argmax(-1) == batch.answers).sum())
        right[kind] = hits / (each * len(ALL_GOALS))
    return Accuracy(right["caption"], right["pair"])


def _blank(kind: QuestionKind) -> list[str]:
    return [""] * (2 if kind == "pair" else 1)
