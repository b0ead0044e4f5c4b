"""`preferences`: prompts with a reply that was preferred and one that was not, from a file or by Hugging Face id.

    {"prompt": "…", "chosen": "…", "rejected": "…"}

Any of the three may be a conversation, `{"role", "content"}` each; of a reply its last message counts. As a task, the
reply that was preferred is the gold one. Pairs with a known gold reward behind them are made up by the task `praise`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from envs.language.answers import answer_is_exact
from envs.language.records import SUFFIXES, Record, belongs, column, read_records, write_jsonl
from envs.language.splits import TEST_SHARE, identify
from envs.language.task import Message, Prompt, Split, TextTask, Weighted
from envs.language.tasks.dataset import download, messages_of


class Preference(NamedTuple):
    """One comparison.

    Attributes:
        prompt: what was asked.
        chosen: the reply that was preferred.
        rejected: the other.
    """

    prompt: Prompt
    chosen: str
    rejected: str


class Config(BaseModel):
    """Where the records are.

    Attributes:
        path: a file that ends in .jsonl or .parquet, or an id at Hugging Face.
        subset: of a data set at Hugging Face.
        source_split: of it.
        prompt: column of the prompt; empty: all but the last message of `chosen`.
        chosen: column of the reply that was preferred.
        rejected: column of the other.
        split: column that says `train` or `test`; where it says nothing, a hash of the prompt decides.
        test_share: of the prompts that say nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    subset: str | None = None
    source_split: str = "train"
    prompt: str = "prompt"
    chosen: str = "chosen"
    rejected: str = "rejected"
    split: str = "split"
    test_share: float = Field(TEST_SHARE, gt=0, lt=1)


class Preferences(TextTask):
    """Comparisons, and the prompts that they are about.

    Example:
        >>> task = Preferences(Config(path="pairs.jsonl"))
        >>> chosen = [pair.chosen for pair in task.pairs("train", seed=0)]
    """

    name = "preferences"
    rewards: Mapping[str, Weighted] = {"chosen": Weighted(1.0, answer_is_exact)}

    def __init__(self, config: Config) -> None:
        """Read the records.

        Raises:
            ValueError: there are none, a column is missing, or both replies are the same.
        """
        self.config = config
        if config.path.endswith(SUFFIXES):
            records = read_records(config.path)
        else:
            records = download(config.path, config.subset, config.source_split)
        self._pairs = [self._pair(record, f"{config.path}, record {n}") for n, record in enumerate(records, 1)]
        said = [record.get(config.split) for record in records]
        first: dict[str, tuple[Prompt, str | None]] = {}
        for pair, side in zip(self._pairs, said, strict=True):
            first.setdefault(pair.prompt.id, (pair.prompt, side))
        self._prompts = list(first.values())

    def load(self, split: Split, seed: int) -> Sequence[Prompt]:
        """The prompts, each once."""
        return belongs(self._prompts, split, self.config.test_share)

    def pairs(self, split: Split, seed: int) -> Sequence[Preference]:
        """The comparisons about the prompts of a split, as they stand."""
        prompts = {prompt.id for prompt in self.load(split, seed)}
        return [pair for pair in self._pairs if pair.prompt.id in prompts]

    def gold(self, prompt: Prompt) -> tuple[str, ...]:
        """What was preferred when the prompt first occurred."""
        return (prompt.columns["answer"],)

    def _pair(self, record: Record, where: str) -> Preference:
        config = self.config
        chosen = messages_of(column(record, config.chosen, where), where)
        rejected = messages_of(column(record, config.rejected, where), where)
        asked: tuple[Message, ...]
        asked = messages_of(column(record, config.prompt, where), where) if config.prompt else chosen[:-1]
        if not asked:
            raise ValueError(f"{where}: got no prompt; expected a column of it, or messages before the chosen reply")
        replies = chosen[-1]["content"], rejected[-1]["content"]
        if replies[0] == replies[1]:
            raise ValueError(f"{where}: got the same reply twice; expected one that was preferred to the other")
        ident = identify(self.name, [dict(message) for message in asked])
        return Preference(Prompt(ident, asked, {"answer": replies[0]}), *replies)


def write_preferences(path: str | Path, pairs: Sequence[Preference]) -> None:
    """Write comparisons as JSONL."""
    write_jsonl(
        path,
        [
            {"prompt": [dict(m) for m in pair.prompt.messages], "chosen": pair.chosen, "rejected": pair.rejected}
            for pair in pairs
        ],
    )
