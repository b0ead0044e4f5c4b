"""`Sides`: from a word to a reward over stored experience: one value a step of an environment, or an answer of a model.

| word | what it is |
|---|---|
| `extrinsic` | what the environment paid |
| a reward version, or its first letters | verdicts that are stored beside the experience |
| `FILE.yaml` | a view over `extrinsic`, `caption_count` and reward versions; of answers: over the run's rewards |
| `my_lab.rewards:exact_match` | a function with `@reward`, asked now, nothing is stored |
| `reward`, or the name of a reward | of language runs: all together, or one of them |

A NULL stays NULL. A verdict on a row or an episode is paid at its last step, as in `pipelines.stored.stored_run`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from numpy.typing import NDArray
from pydantic import ValidationError

from pipelines.errors import UserError
from pipelines.experiment import COMPONENT
from pipelines.overrides import explain
from pipelines.service.targets import FUNCTION
from pipelines.stored.stored_experience import StoredExperience, one_line
from rewards.columns import Column
from rewards.functions import RewardFunction, load_reward
from rewards.models.model import NO_CAPTION
from rewards.subjects import names, subjects_of
from rewards.verdict_store import VerdictStore, caption_subjects
from rewards.views.view import Config as ViewConfig
from rewards.views.view import RewardView

Values = NDArray[np.float64]
EXTRINSIC = "extrinsic"


def read_view(path: Path) -> RewardView:
    """A view from a YAML file.

    Raises:
        UserError: it cannot be read, or is no view.
    """
    try:
        return RewardView(ViewConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))))
    except ValidationError as error:
        raise UserError(f"{path}: {explain(error)}") from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path}: {one_line(error)}; expected a view: name and parts, see docs/views.md") from None


def loaded(path: str) -> RewardFunction:
    """A reward function by its path.

    Raises:
        UserError: it is not there.
    """
    try:
        return load_reward(path)
    except ValueError as error:
        raise UserError(one_line(error)) from None


class StepRewards:
    """Rewards of a run in an environment, `[S]` over all stored steps."""

    def __init__(self, experience: StoredExperience, verdicts: VerdictStore | None) -> None:
        """Of this experience and, where there are any, these verdicts."""
        self._experience, self._verdicts = experience, verdicts
        found = verdicts.versions() if verdicts is not None else []
        self._kinds = {one.reward_version: one.kind for one in found if one.component == COMPONENT}

    def __call__(self, word: str) -> Values:
        """The reward that is meant; NaN where NULL.

        Raises:
            UserError: there is none.
        """
        if word == EXTRINSIC:
            return self._experience.flat("env_reward").astype(np.float64)
        if word.endswith((".yaml", ".yml")):
            return self._view(Path(word))
        if FUNCTION.fullmatch(word):
            return self._function(loaded(word))
        fitting = [name for name in self._kinds if name == word] or [n for n in self._kinds if n.startswith(word)]
        if len(fitting) != 1:
            known = ", ".join(self._kinds) or "none: nothing is judged, see `guerdon reannotate`"
            raise UserError(
                f"got reward {word!r}; expected extrinsic, a view (FILE.yaml), package.module:function, or one of the "
                f"run's reward versions: {known}"
            )
        return self._version(fitting[0])

    def _version(self, version: str) -> Values:
        assert self._verdicts is not None
        kind, store, batches = self._kinds[version], self._verdicts, self._experience.batches
        if kind == "caption":
            ids, where = np.unique(self._experience.flat("caption_id"), return_inverse=True)
            return self._of_captions(store.join(caption_subjects(ids), COMPONENT, version).values, ids)[where]
        if kind == "step":
            return store.join(subjects_of("step", batches, {}, ()).ids, COMPONENT, version).values
        if kind in ("row", "episode"):
            ids = pa.chunked_array([batch.column(f"{kind}_id") for batch in batches]).combine_chunks()
            return self._at_ends(store.join(ids, COMPONENT, version).values, kind == "episode")
        raise UserError(f"reward version {version} judges {kind}s; expected captions, steps, rows or episodes")

    def _function(self, function: RewardFunction) -> Values:
        experience = self._experience
        if function.subject == "caption":
            ids, where = np.unique(experience.flat("caption_id"), return_inverse=True)
            known = [(k, text) for k, ident in enumerate(ids) if (text := experience.captions.get(int(ident)))]
            answers = asyncio.run(function.answer({"caption": [text for _, text in known]})) if known else []
            values = np.full(len(ids), np.nan)
            for (k, _), answer in zip(known, answers, strict=True):
                values[k] = np.nan if answer.value is None else answer.value
            return self._of_captions(values, ids)[where]
        try:
            function.check(names(function.subject, experience.schema))
        except ValueError as error:
            raise UserError(one_line(error)) from None
        texts = experience.captions if {"caption", "captions"} & set(function.arguments) else {}
        subjects = subjects_of(function.subject, experience.batches, texts, function.arguments)
        columns = subjects.columns(0, len(subjects)) or {"": [None] * len(subjects)}
        answers = asyncio.run(function.answer(columns))
        values = np.array([np.nan if answer.value is None else answer.value for answer in answers])
        if function.subject == "step":
            return values
        said = dict(zip(subjects.ids.to_pylist(), values.tolist(), strict=True))
        kind = f"{function.subject}_id"
        rows = [one for batch in experience.batches for one in batch.column(kind).to_pylist()]
        return self._at_ends(np.array([said.get(one, np.nan) for one in rows]), function.subject == "episode")

    def _view(self, path: Path) -> Values:
        view = read_view(path)
        columns = {"caption_count": Column.full(self._experience.flat("caption_count"))}
        for name in view.inputs:
            if name.endswith((".yaml", ".yml")):  # or one that names itself would never end
                raise UserError(
                    f"{path}: got {name!r} as a column; expected extrinsic, caption_count or reward versions"
                )
            if name not in columns:
                values = self(name).astype(np.float32)
                columns[name] = Column(values, ~np.isnan(values))
        try:
            found = view.apply(columns, learn=False)
        except ValueError as error:
            raise UserError(f"{path}: {one_line(error)}") from None
        return np.where(found.weight > 0, found.reward, np.nan).astype(np.float64)

    def _of_captions(self, values: Values, ids: NDArray[np.int64]) -> Values:
        return np.where(ids == NO_CAPTION, 0.0, values)  # by definition: there is nothing to be judged

    def _at_ends(self, values: Values, episodes: bool) -> Values:
        """Values of rows `[R]` at their last steps; where whole episodes are judged, of the last row of each."""
        last = np.cumsum(self._experience.row_steps) - 1
        asked = np.ones(len(last), np.bool_)
        if episodes:
            parts = [batch.column("ended").to_numpy(zero_copy_only=False) for batch in self._experience.batches]
            asked = np.concatenate(parts)
        found = np.zeros(self._experience.steps)
        found[last[asked]] = values[asked]
        return found
