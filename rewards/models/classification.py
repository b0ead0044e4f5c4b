"""Classification: a network learns from the judge which captions are helpful, and answers for all of them.

P(helpful) is the logistic function of one score, trained by cross-entropy against the judge's probability (or its hard
0/1); this equals a two-way softmax. The reward is 1[P > η]. Source: ONI (Zheng et al. 2024), reward by classification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import load, save
from torch.nn.functional import binary_cross_entropy_with_logits

from rewards.judges.judge import QuestionKind
from rewards.models import caption_scorer
from rewards.models.caption_scorer import CaptionScorer, known_only
from rewards.models.labels import Labels
from rewards.models.memo import ScoreMemo, Scores
from rewards.models.model import check_kind
from rewards.verdicts import Verdict


class Config(BaseModel):
    """How captions are classified.

    Attributes:
        kind: names the model in a recipe.
        scorer: network and optimiser.
        threshold: η; the reward is 1 where P(helpful) exceeds it, else 0.
        soft: give P(helpful) itself as the reward.
        min_labels: verdicts needed before the first training step; until then every caption is NULL.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["classification"] = "classification"
    scorer: caption_scorer.Config = caption_scorer.Config()
    threshold: float = Field(0.5, ge=0, le=1)
    soft: bool = False
    min_labels: int = Field(32, ge=1)


class ClassificationModel:
    """Helpful or not, for captions judged and unjudged."""

    question_kind: QuestionKind = "caption"

    def __init__(self, config: Config | None = None) -> None:
        """An untrained model."""
        self.config = config or Config()
        self._scorer = CaptionScorer(self.config.scorer)
        self._labels: Labels[int] = Labels()
        self._memo = ScoreMemo()

    @property
    def version(self) -> int:
        """Training calls that changed the weights."""
        return self._scorer.version

    def observe(self, captions: Mapping[int, str]) -> None:
        """Learn what captions say: text by id."""
        self._scorer.observe(captions)

    def add(self, verdicts: Sequence[Verdict]) -> None:
        """Take labels in; a later verdict on a caption replaces the earlier one.

        Raises:
            ValueError: a verdict is not on a caption.
        """
        check_kind(verdicts, self.question_kind)
        for verdict in verdicts:
            if verdict.value is not None:
                self._scorer.observe({int(verdict.subject): verdict.text})
                self._labels.put(int(verdict.subject), verdict.value)

    def train(self, steps: int) -> dict[str, float]:
        """Take `steps` gradient steps; none below `min_labels`.

        Returns:
            `labels`, and after training `loss` and `accuracy` (mean over the steps), `positive_share`,
            `gradient_norm` and `version`.
        """
        if steps <= 0 or len(self._labels) < self.config.min_labels:
            return {"labels": float(len(self._labels))}
        losses, accuracies, norm = [], [], 0.0
        for _ in range(steps):
            ids, target = self._labels.take(self._scorer.minibatch(len(self._labels)))
            logits = self._scorer.forward(ids)
            loss = binary_cross_entropy_with_logits(logits, target)
            norm = self._scorer.step(loss)
            losses.append(loss.item())
            accuracies.append(((logits > 0) == (target > 0.5)).float().mean().item())
        self._scorer.version += 1
        return {
            "labels": float(len(self._labels)),
            "loss": float(np.mean(losses)),
            "accuracy": float(np.mean(accuracies)),
            "positive_share": self._labels.share(lambda values: values > 0.5),
            "gradient_norm": norm,
            "version": float(self.version),
        }

    def probability(self, caption_ids: Sequence[int]) -> NDArray[np.float64]:
        """P(helpful) `[K]` of captions whose text is known."""
        return _logistic(self._scorer.raw(caption_ids))

    def score(self, caption_ids: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Rewards `[K]` and validity `[K]`; NULL before training and for unknown texts."""
        return self._memo.scores(caption_ids, self.version, self._compute)

    def _compute(self, caption_ids: list[int]) -> Scores:
        return known_only(self._scorer, caption_ids, self._reward)

    def _reward(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        probability = _logistic(raw)
        return probability if self.config.soft else (probability > self.config.threshold).astype(np.float64)

    def snapshot(self) -> bytes:
        """The weights."""
        blob: bytes = save(self._scorer.weights())
        return blob

    def load_snapshot(self, blob: bytes) -> None:
        """Score from now on as the model that took the snapshot.

        Raises:
            ValueError: the snapshot is of another architecture.
        """
        self._scorer.load_weights(load(blob))
        self._memo = ScoreMemo()

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser, generator, texts and labels."""
        return {
            "kind": self.config.kind,
            "scorer": self._scorer.state_dict(),
            "labelled": np.array(self._labels.keys, np.int64),
            "labels": np.array(self._labels.values),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` saved.

        Raises:
            ValueError: the state is of another kind of reward model or architecture.
        """
        if state.get("kind") != self.config.kind:
            raise ValueError(f"got the state of a reward model {state.get('kind')!r}; expected {self.config.kind!r}")
        self._scorer.load_state_dict(state["scorer"])
        self._labels = Labels(*(np.asarray(state[name]).tolist() for name in ("labelled", "labels")))  # or lists
        self._memo = ScoreMemo()


def _logistic(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + e^-x), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))
