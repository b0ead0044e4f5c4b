r"""`word_problems`: mathematics in words, from a file; `write_word_problems` makes one.

    {"question": "Ivo has 3 jars with 12 pears each …", "answer": "31", "solution": "3*12=36 …\n#### 31"}

An answer may be a whole solution that ends in the number, as in GSM8K (Cobbe et al. 2021): the last number counts.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from envs.language.answers import last_number, number_is_right
from envs.language.expressions import written
from envs.language.records import belongs, column, read_records, write_jsonl
from envs.language.splits import TEST_SHARE, identify
from envs.language.task import Prompt, Split, TextTask, Weighted, user

NAMES = ("Ada", "Bo", "Cleo", "Dara", "Emil", "Fay", "Gus", "Hana", "Ivo", "June")
THINGS = ("pears", "coins", "shells", "stamps", "buttons", "marbles", "nails", "candles")
MISSES = 1000
"""Problems in a row that were made before, after which there are taken to be no others."""

BOXES = ("boxes", "jars", "bags", "baskets")


class Config(BaseModel):
    """Where the problems are.

    Attributes:
        path: a JSONL or Parquet file.
        question: column of the problem.
        answer: column of the number, or of a text that ends in it.
        solution: column of a worked solution, which becomes the gold reply; empty: the number alone.
        split: column that says `train` or `test`; where it says nothing, a hash decides.
        template: of the prompt; `{question}` is the problem.
        test_share: of the problems that say nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    question: str = "question"
    answer: str = "answer"
    solution: str = ""
    split: str = "split"
    template: str = "{question}"
    test_share: float = Field(TEST_SHARE, gt=0, lt=1)


class WordProblems(TextTask):
    """Problems with one number as the answer.

    Example:
        >>> write_word_problems("problems.jsonl", count=1000, steps=3)
        >>> task = WordProblems(Config(path="problems.jsonl", solution="solution"))
    """

    name = "word_problems"
    rewards: Mapping[str, Weighted] = {"right": Weighted(1.0, number_is_right)}

    def __init__(self, config: Config) -> None:
        """Read the file.

        Raises:
            ValueError: there is no such file, it is empty, or a record lacks a column or a number.
        """
        self.config = config
        self._prompts = [
            (self._prompt(record, f"{config.path}, record {number}"), record.get(config.split))
            for number, record in enumerate(read_records(config.path), 1)
        ]

    def load(self, split: Split, seed: int) -> Sequence[Prompt]:
        """The problems as they stand in the file."""
        return belongs(self._prompts, split, self.config.test_share)

    def gold(self, prompt: Prompt) -> tuple[str, ...]:
        """The worked solution, or the number."""
        return (prompt.columns.get("solution") or prompt.columns["answer"],)

    def _prompt(self, record: dict[str, object], where: str) -> Prompt:
        config = self.config
        question = str(column(record, config.question, where))
        number = last_number(str(column(record, config.answer, where)))
        if number is None:
            raise ValueError(f"{where}: got no number in column {config.answer!r}; expected one")
        columns = {"answer": written(number)}
        if config.solution:
            columns["solution"] = str(column(record, config.solution, where))
        return Prompt(identify(self.name, question), (user(config.template.format(question=question)),), columns)


def write_word_problems(path: str | Path, count: int, seed: int = 0, steps: int = 2, largest: int = 20) -> None:
    """Make problems up and write them as JSONL, with worked solutions; none of them twice.

    Args:
        path: ends in `.jsonl`.
        count: of problems.
        seed: of chance.
        steps: things that happen in each.
        largest: number in each step.

    Raises:
        ValueError: there are not so many different ones.
    """
    chance, records, misses = random.Random(f"{seed}/words"), dict[str, dict[str, str]](), 0
    while len(records) < count and misses < MISSES:
        record = _problem(chance, steps, largest)
        misses = misses + 1 if record["question"] in records else 0
        records[record["question"]] = record
    if len(records) < count:
        raise ValueError(
            f"got {len(records)} different problems; expected {count}: ask for more steps or larger numbers"
        )
    write_jsonl(path, list(records.values()))


def _problem(chance: random.Random, steps: int, largest: int) -> dict[str, str]:
    name, thing, box = chance.choice(NAMES), chance.choice(THINGS), chance.choice(BOXES)
    boxes, each = chance.randint(2, largest), chance.randint(2, largest)
    have = boxes * each
    said, work = [f"{name} has {boxes} {box} with {each} {thing} each."], [f"{boxes}*{each}={have}"]
    for _ in range(steps - 1):
        other = chance.choice([n for n in NAMES if n != name])
        amount = chance.randint(1, largest)
        if chance.random() < 0.5 and have > amount:
            said.append(f"{name} gives {amount} {thing} to {other}.")
            work.append(f"{have}-{amount}={have - amount}")
            have -= amount
        else:
            said.append(f"{other} brings {name} {amount} more {thing}.")
            work.append(f"{have}+{amount}={have + amount}")
            have += amount
    question = " ".join([*said, f"How many {thing} does {name} have now?"])
    return {"question": question, "answer": str(have), "solution": "\n".join([*work, f"#### {have}"])}
