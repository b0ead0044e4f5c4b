"""The same comparison over the stored answers of a language run: a bandit, whose states are prompts.

V of a prompt is the mean of its group, so the canonical reward of an answer is what it earned beyond its group, which
is also its advantage, up to scale.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.language.trajectory import TokenTrajectory, to_batch
from pipelines.errors import UserError
from pipelines.language.annotation import columns_of
from pipelines.language.shown import stored_answers
from pipelines.language.stored import stored_rewards
from pipelines.run_directory import RunDirectory
from pipelines.service.targets import FUNCTION
from pipelines.stored.stored_experience import one_line, stored_verdicts
from pipelines.trust.disagreement import most_apart
from pipelines.trust.sides import loaded, read_view
from rewards.comparison.advantage_change import advantage_change
from rewards.comparison.correlation import pearson, spearman
from rewards.comparison.epic import pearson_distance
from rewards.comparison.starc import between, norm

Values = NDArray[np.float64]


def compare_answers(directory: RunDirectory, a: str, b: str) -> dict[str, Any]:
    """What `pipelines.trust.distances.Distances` is made of.

    Raises:
        UserError: there is no such reward, nothing is stored, or the two share no value.
    """
    answers = stored_answers(directory)
    rewards = AnswerRewards(directory, answers)
    first, second = rewards(a), rewards(b)
    both = ~(np.isnan(first) | np.isnan(second))
    if both.sum() < 2:
        raise UserError(f"{a} and {b} have a value for {int(both.sum())} of the same answers; expected more")
    _, group = np.unique([one.group_id for one in answers], return_inverse=True)
    first, second, group = first[both], second[both], group[both]
    centred = [_within(values, group) for values in (first, second)]
    texts = [f"{one.record()['prompt']} → {one.completion}" for one, known in zip(answers, both, strict=True) if known]
    return {
        "a": a,
        "b": b,
        "unit": "answer",
        "count": len(both),
        "both": int(both.sum()),
        "how": "sampled",
        "states": 0,
        "pearson": pearson(first, second),
        "spearman": spearman(first, second),
        "epic": pearson_distance(first, second),
        "starc": between(centred[0], centred[1], 2, (norm(first), norm(second))),
        "advantages": advantage_change(centred[0], centred[1]),
        "regret": None,
        "regret_back": None,
        "examples": most_apart(first, second, np.arange(len(first)), texts),
    }


def _within(values: Values, group: NDArray[np.int64]) -> Values:
    means = np.bincount(group, values) / np.maximum(np.bincount(group), 1)
    centred: Values = values - means[group]
    return centred


class AnswerRewards:
    """Rewards of stored answers `[N]`, by the words of `pipelines.trust.sides`."""

    def __init__(self, directory: RunDirectory, answers: list[TokenTrajectory]) -> None:
        """Of these answers, with the run's verdicts."""
        self._answers, self._set = answers, stored_rewards(directory)
        try:
            verdicts = stored_verdicts(directory)
        except (OSError, ValueError) as error:
            raise UserError(f"{directory.verdicts} cannot be read: {one_line(error)}") from None
        self._said = {(v.component, v.subject): v.value for v in verdicts}
        self._by_version = {(v.reward_version, v.subject): v.value for v in verdicts}
        self._versions = dict.fromkeys(v.reward_version for v in verdicts)
        self._rows = pa.Table.from_batches([to_batch(answers)])

    def __call__(self, word: str) -> Values:
        """The reward that is meant; NaN where NULL.

        Raises:
            UserError: there is none.
        """
        if FUNCTION.fullmatch(word):
            function = loaded(word)
            given = columns_of(self._rows.combine_chunks().to_batches()[0])
            try:
                answered = asyncio.run(function.answer(given))
            except ValueError as error:
                raise UserError(one_line(error)) from None
            return np.array([np.nan if one.value is None else one.value for one in answered])
        values = {
            part.name: {one.row_id: self._said.get((part.name, one.row_id)) for one in self._answers}
            for part in self._set.parts
        }
        columns = self._set.columns(self._rows, values)
        if word == "reward" or word.endswith((".yaml", ".yml")):
            try:
                seen = (
                    self._set.seen(self._rows, columns)
                    if word == "reward"
                    else read_view(Path(word)).apply(columns, learn=False)
                )
            except ValueError as error:
                raise UserError(f"{word}: {one_line(error)}") from None
            return np.where(seen.weight > 0, seen.reward, np.nan).astype(np.float64)
        if word in columns:
            return columns[word].values.astype(np.float64)
        if word not in self._versions:
            known = ", ".join([*columns, *self._versions])
            raise UserError(
                f"got reward {word!r}; expected reward, a view (FILE.yaml), package.module:function, or one of {known}"
            )
        said = [self._by_version.get((word, one.row_id)) for one in self._answers]
        return np.array([np.nan if value is None else value for value in said])
