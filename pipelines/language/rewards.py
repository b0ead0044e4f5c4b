"""`RewardSet`: the rewards of a language run, and what they are worth together: a sum, or a view.

A weight of 0 records a reward without effect. What could not be had is NULL, and the config says what that does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from envs.language.task import TextTask
from learners.language.presets import preset
from pipelines.judging.rubric_judges import RewardModelJudge, RubricJudge
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.reward_parts import RewardParts
from pipelines.language.reward_view import OF, WORLD, fact, failed_of, layout_of, own_view, weighted, world_column
from rewards.aggregation.weighted_sum import OnNull, WeightedSum
from rewards.columns import Column
from rewards.views.part import Terms
from rewards.views.view import RewardView, ViewResult

Values = Mapping[str, Mapping[str, float | None]]
"""Verdicts by reward and row; None where NULL."""


class RewardSet(RewardParts):
    """All rewards of an experiment."""

    def __init__(
        self,
        experiment: LanguageExperiment,
        task: TextTask,
        judge: RewardModelJudge | RubricJudge | None = None,
    ) -> None:
        """Find them; see `RewardParts`.

        Args:
            experiment: says which, and how they come together.
            task: has its own.
            judge: the experiment's, with its files where they are on this machine; None: where the experiment says.

        Raises:
            UserError: one cannot be loaded, or a weight is for none.
        """
        super().__init__(experiment.rewards, task, judge)
        self._gold = experiment.monitors.gold
        self._version = [*([p.name, p.weight, p.version] for p in self.parts), self.world, self._config.on_null]
        self.view = self._view(self.world, preset(experiment.method, experiment.sampling.max_tokens).advantage)

    @property
    def version(self) -> str:
        """Hash of all that decides the reward."""
        text = json.dumps(self._version + ([] if self._config.view is None else [self.view.version]))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def columns(self, rows: pa.Table, values: Values) -> dict[str, Column]:
        """The components of N answers; NULL where there is no verdict."""
        names = rows.column("row_id").to_pylist()
        found = {}
        for part in self.parts:
            known = [values[part.name].get(name) for name in names]
            found[part.name] = Column(
                np.array([0.0 if v is None else v for v in known], np.float32), np.array([v is not None for v in known])
            )
        return {**found, WORLD: world_column(rows)}

    def seen(self, rows: pa.Table, columns: Mapping[str, Column], *, learn: bool = False) -> ViewResult:
        """What N answers have earned in all, and their advantages within their groups: the view over the components.

        Args:
            rows: of the answers.
            columns: what `columns` made of them.
            learn: whether running statistics of the view see these answers first.
        """
        return self.view.apply(self._given(rows, columns), layout_of(rows), learn=learn)

    def attribute(self, rows: pa.Table, columns: Mapping[str, Column]) -> dict[str, Terms]:
        """What each component and each part has put into the columns of the view; see `RewardView.attribute`."""
        return self.view.attribute(self._given(rows, columns), layout_of(rows))

    def _given(self, rows: pa.Table, columns: Mapping[str, Column]) -> dict[str, Column]:
        """All that the view may read."""
        if self._config.view is not None:
            return {**columns, **{name: fact(rows, name) for name in self.view.inputs if name in OF}}
        # In the sum a world that paid nothing is worth nothing, and one that failed is NULL: that is no 0.
        paid, failed = columns[WORLD], failed_of(rows)
        return {**columns, WORLD: Column(np.where(paid.valid, paid.values, np.float32(0.0)), ~failed)}

    def _view(self, world: float, advantage: str | None) -> RewardView:
        """How components become a reward and, by an estimator, an advantage."""
        weights = {part.name: part.weight for part in self.parts}
        if self._config.view is not None:
            return own_view(self._config.view, weights, advantage)
        on_null: dict[str, OnNull] = {
            **{n: self._config.on_null if w else "omit" for n, w in weights.items()},
            WORLD: "mask",  # it failed, see `_given`
        }
        return weighted(WeightedSum(coefficients={**weights, WORLD: world}, on_null=on_null), advantage)

    @property
    def paying(self) -> tuple[str, ...]:
        """Names of the rewards that are learnt from, and are not held out."""
        return tuple(part.name for part in self.parts if part.weight and part.name != self.gold)

    @property
    def gold(self) -> str:
        """Name of the reward that is held out, by the experiment or because it pays nothing; empty: none is."""
        held_out = [part.name for part in self.parts if not part.weight]
        return self._gold or (held_out[0] if held_out else "")
