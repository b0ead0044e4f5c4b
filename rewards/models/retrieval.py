"""Retrieval: the reward of a caption is the judge's verdict on that very caption.

Source: the hash table of ONI (Zheng et al. 2024, "Online intrinsic rewards for decision making agents from large
language model feedback"). There an unjudged caption is worth 0; here it is NULL, and the view says what that does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from safetensors.torch import load, save

from rewards.judges.judge import QuestionKind
from rewards.models.memo import ScoreMemo, Scores
from rewards.models.model import check_kind
from rewards.verdicts import Verdict


class Config(BaseModel):
    """Nothing to set; `kind` names the model in a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["retrieval"] = "retrieval"


class RetrievalModel:
    """A table of verdicts by caption id.

    Its ids are kept in ascending order, so that it is looked up as it stands: it is sent again with each few new
    verdicts, and neither to send it nor to load it takes a step of Python for each of its rows.
    """

    question_kind: QuestionKind = "caption"

    def __init__(self, config: Config | None = None) -> None:
        """An empty table."""
        self.config = config or Config()
        self.version = 0
        self._ids: NDArray[np.int64] = np.zeros(0, np.int64)
        self._values: NDArray[np.float64] = np.zeros(0)
        self._memo = ScoreMemo()

    def observe(self, captions: Mapping[int, str]) -> None:
        """Do nothing: the table needs no text."""

    def add(self, verdicts: Sequence[Verdict]) -> None:
        """Write values into the table; a later verdict on a caption replaces the earlier one.

        Raises:
            ValueError: a verdict is not on a caption.
        """
        check_kind(verdicts, self.question_kind)
        told = {int(v.subject): v.value for v in verdicts if v.value is not None}
        ids = np.array(sorted(told), np.int64)
        values = np.array([told[identity] for identity in ids.tolist()], np.float64)
        where, known = self._find(ids)
        if known.all() and (self._values[where] == values).all():
            return
        self._values[where[known]] = values[known]
        self._ids = np.insert(self._ids, where[~known], ids[~known])
        self._values = np.insert(self._values, where[~known], values[~known])
        self.version += 1

    def train(self, steps: int) -> dict[str, float]:
        """Do nothing: there is nothing to train."""
        return {"labels": float(len(self._ids))}

    def score(self, caption_ids: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Verdict values `[K]` and whether there is one `[K]`; unjudged captions are NULL, never 0."""
        return self._memo.scores(caption_ids, self.version, self._look_up)

    def _look_up(self, caption_ids: list[int]) -> Scores:
        where, known = self._find(np.array(caption_ids, np.int64))
        values = np.full(len(caption_ids), np.nan, np.float32)
        values[known] = self._values[where[known]]
        return values, known

    def _find(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Where in the table ids stand, or belong, and whether they are there, `[K]` each."""
        where = self._ids.searchsorted(ids)
        inside = where < len(self._ids)
        known = np.zeros(len(ids), np.bool_)
        known[inside] = self._ids[where[inside]] == ids[inside]
        return where, known

    def snapshot(self) -> bytes:
        """The table: 16 bytes a caption."""
        blob: bytes = save(self._tensors())
        return blob

    def load_snapshot(self, blob: bytes) -> None:
        """Replace the table."""
        self._take(load(blob))

    def state_dict(self) -> dict[str, Any]:
        """The table as tensors."""
        return {"kind": self.config.kind, **self._tensors()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace the table.

        Raises:
            ValueError: the state is of another kind of reward model.
        """
        if state.get("kind") != self.config.kind:
            raise ValueError(f"got the state of a reward model {state.get('kind')!r}; expected {self.config.kind!r}")
        self._take(state)

    def _tensors(self) -> dict[str, torch.Tensor]:
        return {
            "version": torch.tensor(self.version),
            "caption_ids": torch.from_numpy(self._ids.copy()),
            "values": torch.from_numpy(self._values.copy()),
        }

    def _take(self, tensors: Mapping[str, torch.Tensor]) -> None:
        ids, values = tensors["caption_ids"].numpy(), tensors["values"].numpy()
        order = np.argsort(ids, kind="stable")  # of what was saved by an older version
        self._ids, self._values = ids[order], values[order]
        self.version = int(tensors["version"])
        self._memo = ScoreMemo()
