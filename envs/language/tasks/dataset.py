"""`dataset`: prompts from JSONL or Parquet by path, or from a data set of Hugging Face by its id.

    {"problem": "…", "solution": {"value": "12"}}
    Config(path="maths.jsonl", template="{problem}", columns={"answer": "solution.value"}, reward="number")

The only file that imports `datasets`, which is optional: `pip install datasets`. Files need it not.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from envs.language.answers import answer_is_exact, number_is_right
from envs.language.records import SUFFIXES, Record, belongs, column, read_records
from envs.language.splits import TEST_SHARE, identify
from envs.language.task import Message, Prompt, Split, TextTask, Weighted, user
from envs.language.trajectory import ROLES

REWARDS: dict[str, Callable[..., float | None]] = {"number": number_is_right, "exact": answer_is_exact}


class Config(BaseModel):
    """Where the records are, and what their columns mean.

    Attributes:
        path: a file that ends in .jsonl or .parquet, or an id at Hugging Face.
        subset: of a data set at Hugging Face.
        train: its split for training.
        test: its split for testing; empty: it has none. For files: another file; empty: a share of `path`.
        template: of the prompt, with names of columns in braces; dots lead inside.
        messages: column of a conversation, `{"role", "content"}` each, instead of the template.
        system: said before everything; empty: nothing.
        columns: what rewards read, by name of the argument: the column of the data.
        gold: column of a reply that is right; empty: `answer` among `columns`.
        reward: `number`: the last number of the reply is that of `answer`; `exact`: the reply is the answer; or the
            dotted path of a reward that asks for some of `columns`.
        extractive: whether answers stand in their prompts as they should, such as a span of a passage.
        test_share: where there is nothing for testing alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    subset: str | None = None
    train: str = "train"
    test: str = ""
    template: str = "{question}"
    messages: str = ""
    system: str = ""
    columns: dict[str, str] = Field(default_factory=lambda: {"answer": "answer"})
    gold: str = ""
    reward: str = "exact"
    extractive: bool = False
    test_share: float = Field(TEST_SHARE, gt=0, lt=1)

    @model_validator(mode="after")
    def _keeps_the_answer_to_itself(self) -> Config:
        answers = {self.gold, self.columns.get("answer", "")} - {""}
        if not self.messages and (told := sorted(answers.intersection(names_in(self.template)))):
            raise ValueError(
                f"got the template {self.template!r}, which tells the answer ({', '.join(told)}); expected columns "
                "that do not"
            )
        if self.reward not in REWARDS and ":" not in self.reward:
            raise ValueError(
                f"got the reward {self.reward!r}; expected {', '.join(REWARDS)}, or package.module:function"
            )
        if self.reward in REWARDS and "answer" not in self.columns:
            raise ValueError(f"got the reward {self.reward!r} and columns {self.columns}; expected `answer` among them")
        return self


class Dataset(TextTask):
    """Prompts from records.

    Example:
        >>> task = Dataset(Config(path="gsm8k.parquet", reward="number"))
    """

    name = "dataset"

    def __init__(self, config: Config) -> None:
        """Read the records.

        Raises:
            ValueError: there are none, a column is missing, or `datasets` is needed and not installed.
        """
        self.config, self.extractive = config, config.extractive
        self.rewards = {"reward": Weighted(1.0, REWARDS.get(config.reward, config.reward))}
        self._prompts: list[tuple[Prompt, str | None]] = []
        if config.path.endswith(SUFFIXES):
            sources = {"train": config.path, "test": config.test} if config.test else {"": config.path}
            found = {said: read_records(path) for said, path in sources.items()}
        else:
            names = {"train": config.train, "test": config.test} if config.test else {"": config.train}
            found = {said: download(config.path, config.subset, name) for said, name in names.items()}
        for said, records in found.items():
            for number, record in enumerate(records, 1):
                where = f"{config.path}{' ' + said if said else ''}, record {number}"
                self._prompts.append((self._prompt(record, where), said or None))

    def load(self, split: Split, seed: int) -> Sequence[Prompt]:
        """The records as they stand."""
        return belongs(self._prompts, split, self.config.test_share)

    def gold(self, prompt: Prompt) -> tuple[str, ...]:
        """What the data say is right, where they say it."""
        reply = prompt.columns.get("gold", prompt.columns.get("answer"))
        return () if reply is None else (str(reply),)

    def _prompt(self, record: Record, where: str) -> Prompt:
        config = self.config
        if config.messages:
            asked = messages_of(column(record, config.messages, where), where)
        else:
            said = {name: column(record, name, where) for name in names_in(config.template)}
            asked = (user(filled(config.template, said)),)
        system: tuple[Message, ...] = ({"role": "system", "content": config.system},) if config.system else ()
        columns = {name: column(record, source, where) for name, source in config.columns.items()}
        if config.gold:
            columns["gold"] = str(column(record, config.gold, where))
        return Prompt(identify(self.name, [dict(m) for m in asked]), (*system, *asked), columns)


def names_in(template: str) -> list[str]:
    """The names in braces."""
    return [name for _, name, _, _ in string.Formatter().parse(template) if name]


def filled(template: str, values: Mapping[str, Any]) -> str:
    """The template with values for names, in one go: braces in values are text."""
    parts = string.Formatter().parse(template)
    return "".join(text + (str(values[name]) if name else "") for text, name, _, _ in parts)


def messages_of(value: Any, where: str) -> tuple[Message, ...]:
    """A conversation from data, or a text as one.

    Raises:
        ValueError: it is neither, or a message is of a role that records do not know.
    """
    if isinstance(value, str):
        return (user(value),)
    good = isinstance(value, Sequence) and all(
        isinstance(m, Mapping) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str) for m in value
    )
    if not good or not value:
        raise ValueError(f"{where}: got {value!r:.80}; expected a text, or a list of role and content")
    if unknown := sorted({message["role"] for message in value} - {*ROLES}):
        raise ValueError(
            f"{where}: got a message of the role {unknown[0]!r}; expected one of {', '.join(ROLES)}; rename it"
        )
    return tuple({"role": message["role"], "content": message["content"]} for message in value)


def download(ident: str, subset: str | None, split: str) -> list[Record]:
    """The records of a data set at Hugging Face, from its cache where it is there.

    Raises:
        ValueError: `datasets` is not installed, or there are no records.
    """
    try:
        import datasets
    except ImportError:
        raise ValueError(
            f"got the data {ident!r}, an id at Hugging Face, which needs the library datasets: pip install datasets; "
            f"or name a file that ends in {' or '.join(SUFFIXES)}"
        ) from None
    records: list[Record] = list(datasets.load_dataset(ident, subset, split=split))
    if not records:
        raise ValueError(f"{ident}, split {split}: got no records; expected at least one")
    return records
