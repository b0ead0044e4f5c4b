"""MPO: a rubric that a meta-reward model edits while the policy is trained by it.

The judge scores by the rubric as it is; a larger model looks over its shoulder. After every k batches it is shown some
episodes with their scores, and goes through three steps:

    analyse   what was exploited or scored amiss, in the episodes that do not pass a first look; each cluster of tasks
              for itself
    refine    criteria that would have helped, for each analysis
    merge     the rubric and all refinements into one, the next version

A score names the version that it was given by, so that scores of different rubrics are never taken for the same. Who
screens, analyses, refines and merges are language models, handed in as functions; what is here is when they are asked
about what, and what becomes of it.

Source: MPO, Toward Evaluative Thinking: Meta Policy Optimization with Evolving Reward Models (2025): every 10 batches,
20 episodes. Chosen here: episodes are drawn from the last batch, those of an older version are not shown, and without a
suspect the rubric stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

Rubric = tuple[str, ...]


class Episode(NamedTuple):
    """What was scored.

    Attributes:
        task: what was asked.
        text: what was answered.
        score: by the rubric; NaN where it is not known.
        version: of that rubric.
        cluster: of the task; tasks of a cluster are analysed together.
    """

    task: str
    text: str
    score: float
    version: int
    cluster: str = ""


class MetaRewardModel(NamedTuple):
    """What a larger model is asked.

    Attributes:
        screen: whether an episode looks as if the rubric scored it amiss.
        analyse: what went wrong in the suspects of a cluster.
        refine: criteria that answer an analysis.
        merge: the next rubric, from the rubric and the refinements of all clusters.
    """

    screen: Callable[[Rubric, Episode], bool]
    analyse: Callable[[Rubric, Sequence[Episode]], str]
    refine: Callable[[Rubric, str], Sequence[str]]
    merge: Callable[[Rubric, Sequence[Sequence[str]]], Sequence[str]]


@dataclass
class EvolvingRubric:
    """Criteria with their history.

    Attributes:
        first: criteria to begin with.
        every: batches from one revision to the next; None: the rubric stays what it is.
        shown: episodes that a revision looks at, at most.
        most: criteria that a rubric has, at most; what is merged beyond that is left out.
    """

    first: Sequence[str]
    every: int | None = 10
    shown: int = 20
    most: int = 32
    versions: list[Rubric] = field(init=False)
    batches: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Version 0.

        Raises:
            ValueError: no criteria, more than `most`, or numbers below 1.
        """
        if not 1 <= len(self.first) <= self.most or self.shown < 1 or (self.every is not None and self.every < 1):
            raise ValueError(
                f"got {len(self.first)} criteria of at most {self.most}, every={self.every} and shown={self.shown}; "
                "expected 1 criterion at least, and numbers of at least 1"
            )
        self.versions = [tuple(self.first)]

    @property
    def version(self) -> int:
        """Number of the rubric that scores are given by now."""
        return len(self.versions) - 1

    @property
    def criteria(self) -> Rubric:
        """The rubric that scores are given by now."""
        return self.versions[-1]

    def after_batch(self, episodes: Sequence[Episode], meta: MetaRewardModel, random: np.random.Generator) -> bool:
        """Count a batch, and revise the rubric where it is time to; gives whether there is a new version.

        Args:
            episodes: of the batch.
            meta: the larger model.
            random: draws the episodes that are shown.
        """
        self.batches += 1
        if self.every is None or self.batches % self.every:
            return False
        known = [one for one in episodes if one.version == self.version and not math.isnan(one.score)]
        drawn = random.permutation(len(known))[: self.shown]
        suspects = [known[k] for k in np.sort(drawn) if meta.screen(self.criteria, known[k])]
        if not suspects:
            return False
        clusters = dict.fromkeys(one.cluster for one in suspects)
        refinements = []
        for cluster in clusters:
            analysis = meta.analyse(self.criteria, [one for one in suspects if one.cluster == cluster])
            refinements.append(meta.refine(self.criteria, analysis))
        merged = tuple(dict.fromkeys(meta.merge(self.criteria, refinements)))[: self.most]
        if not merged or merged == self.criteria:
            return False
        self.versions.append(merged)
        return True
