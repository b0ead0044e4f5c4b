"""`EntropyModulated`: a policy that was sure learns more from a step than one that guessed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rewards.columns import Column
from rewards.views.layout import Level
from rewards.views.part import Reshape, Stage, State, Table, Terms, require_order, require_within

Floats = NDArray[np.float64]


class EntropyModulated(Reshape):
    """A'_t = A g_t + ζ f_{t+1}, less its mean over the batch.

        g_t = exp(−k h_t) / mean(exp(−k h))        f_t = exp(−k' h_t)

    h is the entropy of a step, stretched to [0, 1] over the batch: 0 for all where all are equal. The mean of g is 1,
    so nothing is learnt faster on the whole. f rewards a step after which the policy knows what to do; the last step of
    an episode, and one before a step whose entropy is not known, has none.

    A step without advantage or without entropy is NULL, and in no mean.

    Source: EMPG (Entropy-Modulated Policy Gradients for Long-Horizon LLM Agents), defaults of its pseudo-code.

    Attributes:
        entropy: name of the column of mean entropies of tokens, of steps or tokens; advantages may be coarser.
        gain: k.
        clarity: k'.
        bonus: ζ.
        centre: whether the mean over the batch is taken off at the end.
    """

    stage: ClassVar[Stage] = "advantage"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "excluded"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "empg": {"gain": 1.0, "clarity": 1.0, "bonus": 0.1},
        "gain_only": {"bonus": 0.0},
        "clarity_only": {"gain": 0.0},
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "A", "entropy": "entropy"}

    part: Literal["entropy_modulated"] = "entropy_modulated"
    entropy: str = "entropy"
    gain: float = Field(1.0, ge=0, allow_inf_nan=False)
    clarity: float = Field(1.0, ge=0, allow_inf_nan=False)
    bonus: float = Field(0.1, ge=0, allow_inf_nan=False)
    centre: bool = True

    @property
    def inputs(self) -> tuple[str, ...]:
        """Advantages and entropies."""
        return (self.of, self.entropy)

    def level(self, levels: Mapping[str, Level]) -> Level:
        """That of the entropies.

        Raises:
            ValueError: these are not of steps or tokens, or the advantages are finer.
        """
        own = levels[self.entropy]
        require_order(self.entropy, own)
        require_within(self.of, levels[self.of], own)
        return own

    def _factors(self, table: Table) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """g, ζ f of the next step, and which are known."""
        own = table.levels[self.entropy]
        entropy = table[self.entropy]
        known = table.at(self.of, own).valid & entropy.valid
        if not known.any():
            return np.ones(len(known)), np.zeros(len(known)), known
        low, high = float(entropy.values[known].min()), float(entropy.values[known].max())
        span = high - low if high > low else 1.0
        # A step without advantage stands in no mean, but the step before it may still look at it.
        h = np.clip(np.where(entropy.valid, (entropy.values.astype(np.float64) - low) / span, 0.0), 0.0, 1.0)
        g = np.exp(-self.gain * h)
        f = np.where(entropy.valid, np.exp(-self.clarity * h), 0.0)
        return g / g[known].mean(), self.bonus * table.nested(self).after(f, 0.0, own), known

    def _centred(self, values: Floats, known: NDArray[np.bool_]) -> Floats:
        return values - values[known].mean() if self.centre and known.any() else values

    def apply(self, table: Table, state: State) -> Column:
        """Advantages of steps."""
        g, f, known = self._factors(table)
        base = np.where(known, table.at(self.of, table.levels[self.entropy]).values, 0.0).astype(np.float64)
        return Column(self._centred(base * g + f, known).astype(np.float32), known)

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """Each term times g, less its mean; what clarity adds is the part's own."""
        g, _, known = self._factors(table)
        level, own = table.levels[self.of], table.levels[self.entropy]
        return {n: self._centred(table.spread(v, level, own) * g, known) for n, v in terms[self.of].items()}

    def formula(self, term: str) -> str:
        """The product and the bonus."""
        made = f"{term}·g({self.entropy}) + {self.bonus:g}·f({self.entropy} of the next)"
        return f"centred({made})" if self.centre else made
