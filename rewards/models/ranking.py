"""Ranking: a network learns from preferences between captions, by the Bradley-Terry model.

P(first better) = σ(s_first − s_second). Scores mean nothing in themselves: only their differences are trained. So they
are normalised over the captions seen in experience, z = (s − mean) / std, and what is not interesting enough is cut:

    reward = (z − c) · 1[z > c]        c: a quantile of z over those captions (default: the median, as Motif's 0.5)
    reward =  z      · 1[z > c]        with subtract_cutoff=False; with cutoff="value", cutoff_value=-0.5 this is ONI's

As an intrinsic bonus the first form is the default: never negative, so that an agent is not paid for ending an episode
early; dull captions, about half of them, earn 0; good ones earn more the better they are; and no step at the cutoff.
What `score` returns is this reward, never the raw score. Mean, deviation and quantile are taken anew under the
new weights after each training call, since the scores of two versions are on different scales; a snapshot carries them.

Sources: Bradley & Terry (1952); Klissarov et al. (2023), Motif; Zheng et al. (2024), ONI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import load, save
from torch import Tensor
from torch.nn.functional import logsigmoid

from envs.captions import caption_id
from rewards.judges.judge import QuestionKind
from rewards.models import caption_scorer
from rewards.models.caption_scorer import CaptionScorer, known_only
from rewards.models.labels import Labels
from rewards.models.memo import ScoreMemo, Scores
from rewards.models.model import check_kind
from rewards.questions import judged_texts
from rewards.running import RunningMoments
from rewards.verdicts import Verdict

SMALLEST_STD = 1e-6


class Config(BaseModel):
    """How captions are ranked, and what reward a rank earns.

    Attributes:
        kind: names the model in a recipe.
        scorer: network and optimiser.
        min_labels: verdicts on pairs needed before the first training step; until then every caption is NULL.
        cutoff: "quantile" of the normalised scores, or a fixed "value".
        cutoff_quantile: share of captions seen that earns nothing, where the cutoff is a quantile.
        cutoff_value: normalised score that must be exceeded, where the cutoff is a value.
        subtract_cutoff: whether the reward begins at 0 at the cutoff.
        statistics_captions: captions, drawn at random, over which scores are normalised.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["ranking"] = "ranking"
    scorer: caption_scorer.Config = caption_scorer.Config()
    min_labels: int = Field(32, ge=1)
    cutoff: Literal["quantile", "value"] = "quantile"
    cutoff_quantile: float = Field(0.5, ge=0, le=1)
    cutoff_value: float = -0.5
    subtract_cutoff: bool = True
    statistics_captions: int = Field(1024, ge=2)


def bradley_terry_loss(first: Tensor, second: Tensor, preference: Tensor) -> Tensor:
    """Soft cross-entropy of preferences under Bradley-Terry, averaged.

    Args:
        first: scores `[B]`.
        second: scores `[B]`.
        preference: probability that the first is better, `[B]`; 0.5 for a tie.

    Returns:
        The mean of −p·log σ(d) − (1 − p)·log σ(−d), where d = first − second.
    """
    difference = first - second
    return -(preference * logsigmoid(difference) + (1 - preference) * logsigmoid(-difference)).mean()


class RankingModel:
    """Better or worse, for captions compared and not compared."""

    question_kind: QuestionKind = "pair"

    def __init__(self, config: Config | None = None) -> None:
        """An untrained model."""
        self.config = config or Config()
        self._scorer = CaptionScorer(self.config.scorer)
        self._pairs: Labels[tuple[int, int]] = Labels()
        self._moments = RunningMoments()
        self._cutoff = 0.0
        self._memo = ScoreMemo()

    @property
    def version(self) -> int:
        """Training calls that changed the weights."""
        return self._scorer.version

    def observe(self, captions: Mapping[int, str]) -> None:
        """Learn what captions say: text by id."""
        self._scorer.observe(captions)

    def add(self, verdicts: Sequence[Verdict]) -> None:
        """Take preferences in; a later verdict on the same ordered pair replaces the earlier one.

        Raises:
            ValueError: a verdict is not on a pair.
        """
        check_kind(verdicts, self.question_kind)
        for verdict in verdicts:
            if verdict.value is not None:
                first, second = judged_texts(verdict)
                ids = caption_id(first), caption_id(second)
                self._scorer.observe({ids[0]: first, ids[1]: second})
                self._pairs.put(ids, verdict.value)

    def train(self, steps: int) -> dict[str, float]:
        """Take `steps` gradient steps, then normalise anew; nothing below `min_labels`.

        Returns:
            `labels`, and after training `loss` and `accuracy` (of the untied, mean over the steps), `tie_share`,
            `gradient_norm`, `raw_mean`, `raw_std`, `cutoff` and `version`.
        """
        if steps <= 0 or len(self._pairs) < self.config.min_labels:
            return {"labels": float(len(self._pairs))}
        losses, right, untied, norm = [], 0, 0, 0.0
        for _ in range(steps):
            pairs, preference = self._pairs.take(self._scorer.minibatch(len(self._pairs)))
            scores = self._scorer.forward([pair[side] for side in (0, 1) for pair in pairs])
            first, second = scores.chunk(2)
            loss = bradley_terry_loss(first, second, preference)
            norm = self._scorer.step(loss)
            losses.append(loss.item())
            decided = preference != 0.5
            right += int((((first > second) == (preference > 0.5)) & decided).sum())
            untied += int(decided.sum())
        self._scorer.version += 1
        self._normalise()
        return {
            "labels": float(len(self._pairs)),
            "loss": float(np.mean(losses)),
            "accuracy": right / untied if untied else float("nan"),
            "tie_share": self._pairs.share(lambda values: values == 0.5),
            "gradient_norm": norm,
            "raw_mean": float(self._moments.mean),
            "raw_std": float(self._moments.std),
            "cutoff": self._cutoff,
            "version": float(self.version),
        }

    def _normalise(self) -> None:
        """Statistics of the scores of captions seen in experience, under the weights of this version."""
        ids = self._scorer.caption_ids
        if len(ids) > self.config.statistics_captions:
            drawn = self._scorer.random.choice(len(ids), self.config.statistics_captions, replace=False)
            ids = [ids[k] for k in drawn]
        raw = self._scorer.raw(ids)
        self._moments = RunningMoments()
        self._moments.update(raw)
        if self.config.cutoff == "value":
            self._cutoff = self.config.cutoff_value
        else:
            self._cutoff = float(np.quantile(self._normalised(raw), self.config.cutoff_quantile))

    def _normalised(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        return (raw - self._moments.mean) / np.maximum(self._moments.std, SMALLEST_STD)

    def raw(self, caption_ids: Sequence[int]) -> NDArray[np.float64]:
        """Scores `[K]` before normalisation, of captions whose text is known; for inspection, not a reward."""
        return self._scorer.raw(caption_ids)

    def score(self, caption_ids: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Normalised and cut rewards `[K]` and validity `[K]`; NULL before training and for unknown texts."""
        return self._memo.scores(caption_ids, self.version, self._compute)

    def _compute(self, caption_ids: list[int]) -> Scores:
        return known_only(self._scorer, caption_ids, self._reward)

    def _reward(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        z = self._normalised(raw)
        start = self._cutoff if self.config.subtract_cutoff else 0.0
        return np.where(z > self._cutoff, z - start, 0.0)

    def _statistics(self) -> Tensor:
        state = self._moments.state_dict()
        return torch.tensor([state["count"], state["mean"], state["squares"], self._cutoff], dtype=torch.float64)

    def _take_statistics(self, statistics: Tensor) -> None:
        count, mean, squares, self._cutoff = statistics.tolist()
        self._moments.load_state_dict({"count": count, "mean": mean, "squares": squares, "frozen": False})
        self._memo = ScoreMemo()

    def snapshot(self) -> bytes:
        """The weights with the normalisation that belongs to them."""
        blob: bytes = save({**self._scorer.weights(), "statistics": self._statistics()})
        return blob

    def load_snapshot(self, blob: bytes) -> None:
        """Score from now on as the model that took the snapshot.

        Raises:
            ValueError: the snapshot is of another architecture.
        """
        tensors = load(blob)
        statistics = tensors.pop("statistics", None)
        if statistics is None:
            raise ValueError("got a snapshot without statistics; expected one of a ranking model")
        self._scorer.load_weights(tensors)
        self._take_statistics(statistics)

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser, generator, texts, pairs with their preferences, and running statistics."""
        return {
            "kind": self.config.kind,
            "scorer": self._scorer.state_dict(),
            "statistics": self._statistics(),
            "pairs": np.array(self._pairs.keys, np.int64).reshape(-1, 2),
            "preferences": np.array(self._pairs.values),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` saved.

        Raises:
            ValueError: the state is of another kind of reward model or architecture.
        """
        if state.get("kind") != self.config.kind:
            raise ValueError(f"got the state of a reward model {state.get('kind')!r}; expected {self.config.kind!r}")
        self._scorer.load_state_dict(state["scorer"])
        pairs, preferences = (np.asarray(state[name]).tolist() for name in ("pairs", "preferences"))  # or lists
        self._pairs = Labels([(first, second) for first, second in pairs], preferences)
        self._take_statistics(state["statistics"])
