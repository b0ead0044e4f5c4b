"""A small causal language model that Guerdon makes itself: a tokenizer of the task's words, and SFT.

It is taught the task's gold replies until it succeeds as often as `start` says, and no longer: what a recipe begins
with is then known. Of the demonstrations a share may have a slip, such as a digit of the answer that is one off: so
have those of people, and who only imitates them slips as often. The result is a directory in Hugging Face format like
any other model's, kept per user.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch.nn.functional import cross_entropy

from actors.quick_layers import with_quick_layers
from envs.language.task import Message, Prompt, TextTask, slipped
from rewards.judges.builtin.build import cache_directory
from rewards.judges.builtin.train import without_bars

OnProgress = Callable[[float, str], None]
Measure = Callable[[Path, Any], float]
"""Success of a model, which was saved in a directory when it was young, on prompts that it is not taught."""

_PAD, _END = "<|pad|>", "<|end|>"
ROLES = ("system", "user", "assistant", "tool")
SPECIAL = (_PAD, _END, *(f"<|{role}|>" for role in ROLES))
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


class Config(BaseModel):
    """Size of the model, and how far it is taught."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: int = Field(128, ge=8)
    layers: int = Field(2, ge=1)
    heads: int = Field(4, ge=1)
    vocabulary: int = Field(400, ge=300, description="tokens at most: the bytes, and the most common words of the task")
    context: int = Field(256, ge=16, description="tokens of a conversation at most")
    slips: float = Field(0.0, ge=0, lt=1, description="share of the demonstrations that err, as the task does it")
    start: float = Field(0.3, gt=0, le=1, description="success at which it is taught no further")
    batch: int = Field(64, ge=1, description="conversations in a step")
    steps: int = Field(6000, ge=1, description="steps at most")
    every: int = Field(50, ge=1, description="steps between two measurements of success")
    measure_prompts: int = Field(400, ge=1, description="prompts that success is measured on")
    learning_rate: float = Field(3e-3, gt=0, description="of embeddings and norms, by AdamW")
    matrix_learning_rate: float = Field(1e-2, gt=0, description="of the matrices, by Muon")
    seed: int = 0
    threads: int = Field(1, ge=1, description="of torch; another number gives other weights")


class Lesson(NamedTuple):
    """One conversation as tokens; `taught` marks those that the model is to write."""

    ids: list[int]
    taught: list[bool]


class TooHard(RuntimeError):
    """The model did not come to its starting level; the message says how far it came."""


def build_tokenizer(texts: Sequence[str], config: Config) -> Any:
    """A byte-level BPE tokenizer of a task's words, digits one by one, with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        min_frequency=8,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=_PAD,
        eos_token=_END,
        additional_special_tokens=[token for token in SPECIAL if token not in (_PAD, _END)],
        model_max_length=config.context,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def build_model(tokenizer: Any, config: Config) -> Any:
    """An untrained Qwen3 of this size; seeded outside."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden,
            intermediate_size=config.hidden * 2,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            head_dim=config.hidden // config.heads,
            max_position_embeddings=config.context,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            initializer_range=0.05,
        )
    )
    return with_quick_layers(model)


def demonstration(task: TextTask, prompt: Prompt, slip: random.Random | None = None) -> list[Message]:
    """The whole conversation in which each reply is the gold one.

    Args:
        task: what is asked.
        prompt: where it begins.
        slip: by which a reply errs (`TextTask.slip`); None: all are right.

    Raises:
        ValueError: the task knows no gold reply, so that nobody can be taught by it; or none that errs.
    """
    replies = list(task.gold(prompt))
    if not replies:
        raise ValueError(f"task {task.name}: prompt {prompt.id} has no gold reply, so no model can be taught it by SFT")
    if slip is not None:
        replies = list(task.slip(prompt, slip))
    messages, episode = list(prompt.messages), task.reset(prompt)
    for reply in replies:
        turn = episode.step(reply)
        messages += [{"role": "assistant", "content": reply}, *turn.messages]
        if turn.done:
            break
    return messages


def lesson(tokenizer: Any, messages: Sequence[Message]) -> Lesson:
    """A conversation as tokens; taught is what stands between `<|assistant|>` and its end, the end included."""
    text = tokenizer.apply_chat_template([dict(message) for message in messages], tokenize=False)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    assistant, end = tokenizer.convert_tokens_to_ids(["<|assistant|>", _END])
    taught, speaking = [], False
    for token in ids:
        taught.append(speaking)
        speaking = (speaking or token == assistant) and token != end
    return Lesson(ids, taught)


def directory_of(task: TextTask, task_options: str, config: Config) -> Path:
    """Where the model of this task and config belongs; the name changes with the code that shapes it."""
    digest = hashlib.sha256(f"{config.model_dump_json()}|{task.name}|{task_options}".encode())
    for thing in (type(task), build_tokenizer, build_model, demonstration, slipped, batches, teach, train):
        digest.update(inspect.getsource(thing).encode())
    return cache_directory() / f"tiny-{task.name.replace('/', '-')}-{digest.hexdigest()[:16]}"


def ensure_tiny_model(
    task: TextTask, task_options: str, config: Config, measure: Measure, on_progress: OnProgress | None = None
) -> Path:
    """The directory of the tiny model for a task, made now if it is not there.

    A build that dies leaves nothing that counts; of two at once, the first to finish stays.

    Args:
        task: what it is taught.
        task_options: of the task, as text; part of its name.
        config: size and teaching.
        measure: says how often it succeeds.
        on_progress: called with the fraction done and a line for people.

    Raises:
        OSError: the cache cannot be written.
        TooHard: it did not come to `config.start` in `config.steps` steps.
        ValueError: the task has no gold replies.
    """
    tell = on_progress or (lambda fraction, text: None)

    def build(draft: Path) -> None:
        level = train(draft, task, config, measure, tell)
        (draft / "level.json").write_text(json.dumps(level) + "\n")

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(config.threads)
        return kept(directory_of(task, task_options, config), build)
    finally:
        torch.set_num_threads(threads)


def kept(directory: Path, build: Callable[[Path], None]) -> Path:
    """A directory that is built once, in a draft beside it: a build that dies leaves nothing that counts.

    Raises:
        OSError: it cannot be written.
    """
    if directory.is_dir():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        with without_bars():
            build(draft)
        draft.chmod(0o755)
        if not directory.is_dir():  # of two builders the first to finish stays
            draft.rename(directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return directory


def train(directory: Path, task: TextTask, config: Config, measure: Measure, tell: OnProgress) -> dict[str, float]:
    """Teach a new model until it succeeds as often as `config.start`, and save it.

    Returns:
        `success` that it has come to, in `steps` steps.

    Raises:
        TooHard: it did not come so far.
    """
    prompts = task.load("train", config.seed)
    some = [prompts[index] for index in range(min(len(prompts), 512))]
    conversations = [demonstration(task, prompt) for prompt in some]
    if config.slips:  # who errs may use other words
        conversations += [demonstration(task, prompt, random.Random(number)) for number, prompt in enumerate(some)]
    tokenizer = build_tokenizer([m["content"] for messages in conversations for m in messages], config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = build_model(tokenizer, config)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    level = 0.0
    for step in teach(model, batches(task, prompts, tokenizer, config), config):
        if step % config.every == 0:
            level = measure(directory, model)
            tell(min(0.99, level / config.start), f"step {step}: succeeds at {level:.1%} of the task")
            if level >= config.start:
                break
    else:
        raise TooHard(
            f"the tiny model succeeds at {level:.1%} of task {task.name} after {config.steps} steps of SFT; expected "
            f"{config.start:.0%}: raise tiny.steps or tiny.hidden, lower tiny.start, or name a model with model="
        )
    model.save_pretrained(directory)
    tell(1.0, f"taught for {step} steps: succeeds at {level:.1%} of the task")
    return {"success": level, "steps": float(step)}


def batches(task: TextTask, prompts: Sequence[Prompt], tokenizer: Any, config: Config) -> Iterator[list[Lesson]]:
    """Lessons by chance, for ever."""
    chance = random.Random(config.seed)
    while True:
        chosen = [prompts[chance.randrange(len(prompts))] for _ in range(config.batch)]
        slips = [chance if chance.random() < config.slips else None for _ in chosen]
        yield [lesson(tokenizer, demonstration(task, *pair)) for pair in zip(chosen, slips, strict=True)]


def teach(model: Any, lessons: Iterator[list[Lesson]], config: Config) -> Iterator[int]:
    """Supervised steps; gives the number of each when it is done, so that whoever asks may stop.

    Matrices learn by Muon (Jordan et al. 2024), several times faster than by Adam; a short warm-up, then even speed.
    """
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=config.matrix_learning_rate, weight_decay=0.0),
        torch.optim.AdamW(others, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    rates = [torch.optim.lr_scheduler.LambdaLR(o, lambda step: min(1.0, (step + 1) / 50)) for o in optimizers]
    for step in range(1, config.steps + 1):
        batch = next(lessons)
        width = max(len(one.ids) for one in batch)
        ids = torch.tensor([one.ids + [0] * (width - len(one.ids)) for one in batch])
        mask = torch.tensor([[True] * len(one.ids) + [False] * (width - len(one.ids)) for one in batch])
        taught = torch.tensor([one.taught + [False] * (width - len(one.ids)) for one in batch])[:, 1:]
        model.train()
        states = model.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state[:, :-1]
        loss = cross_entropy(model.lm_head(states[taught]), ids[:, 1:][taught])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, rate in zip(optimizers, rates, strict=True):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            rate.step()
        model.eval()
        yield step


def reward_model_of(model: str) -> Any:
    """A sequence classifier on a causal model's body; its last layer is new, and seeded outside."""
    from transformers import AutoModelForSequenceClassification

    made = AutoModelForSequenceClassification.from_pretrained(
        model, num_labels=1, dtype=torch.float32, trust_remote_code=False
    )
    return with_quick_layers(made)


def random_qwen2(width: int, inner: int, layers: int, heads: int, shared: int, vocabulary: int = 151_936) -> Any:
    """A Qwen2 with random weights, for measurements of speed; seeded outside.

    Args:
        width: of a hidden state.
        inner: width within the feed-forward networks.
        layers: how many.
        heads: of attention.
        shared: keys and values that the heads share.
        vocabulary: tokens.
    """
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=inner,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=shared,
            tie_word_embeddings=True,
        )
    )
