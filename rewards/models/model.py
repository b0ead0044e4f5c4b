"""`RewardModel`: what turns verdicts on a few captions into rewards for all of them.

A model lives twice. In the trainer it takes verdicts and trains; in the learner it only scores, with weights that
arrive as a `snapshot`. Both sides `observe` captions, because what travels with experience are ids.

What `score` says of a caption id:

| id | value | valid |
|---|---|---|
| 0: the step has no caption | 0.0, by definition: there is nothing to be judged | True |
| text unknown, or the model cannot tell yet | NaN | False (NULL) |
| otherwise | the reward | True |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rewards.judges.judge import QuestionKind
from rewards.verdicts import Verdict

NO_CAPTION = 0


class RewardModel(Protocol):
    """Learnt from verdicts, asked for the reward of captions."""

    @property
    def question_kind(self) -> QuestionKind:
        """The kind of question whose verdicts the model learns from."""
        ...

    @property
    def version(self) -> int:
        """Grows whenever scores may have changed; 0 before anything was learnt."""
        ...

    def observe(self, captions: Mapping[int, str]) -> None:
        """Learn what captions say: text by id."""
        ...

    def add(self, verdicts: Sequence[Verdict]) -> None:
        """Take verdicts in; NULL ones teach nothing. Verdicts of another kind of question are refused."""
        ...

    def train(self, steps: int) -> dict[str, float]:
        """Take up to `steps` gradient steps; none while there are too few labels. Returns metrics."""
        ...

    def score(self, caption_ids: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Rewards of captions.

        Args:
            caption_ids: `[K]`, repeats allowed.

        Returns:
            Values `[K]`, NaN where NULL, and whether each is valid `[K]`.
        """
        ...

    def snapshot(self) -> bytes:
        """What another process needs to score as this model does, as safetensors."""
        ...

    def load_snapshot(self, blob: bytes) -> None:
        """Score from now on as the model that took the snapshot."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on after a restart: nested dicts with text keys over tensors and JSON-able data."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` saved."""
        ...


def check_kind(verdicts: Sequence[Verdict], kind: QuestionKind) -> None:
    """Refuse verdicts that answer another kind of question.

    Raises:
        ValueError: names the first one.
    """
    for verdict in verdicts:
        if verdict.subject_kind != kind:
            raise ValueError(
                f"verdict on {verdict.subject}: got subject kind {verdict.subject_kind!r}; this reward model learns "
                f"from {kind!r} verdicts: ask the judge that kind of question"
            )
