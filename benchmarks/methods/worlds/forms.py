"""A policy that fills in forms: a few fields in order, each a softmax over choices, given what was asked and filled in.

Tables of logits and no network, so that what a reward does to structured answers (a plan and what follows from it,
calls and an answer, evidence and a verdict) is learnt in a second, and apart from what a network makes of it.
A field is one step of an episode, so rewards and advantages may be of steps as well as of whole forms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.worlds.menu import softmax
from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.view import RewardView

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Row = Callable[[Ints, Ints], Ints]
"""From prompts `[B]` and what was filled in so far `[B, f]`, the row of a field's table `[B]`."""
Judged = Callable[[Ints, Ints, np.random.Generator], Mapping[str, Column]]
"""From prompts `[B]` and forms `[B, F]`, what is judged: columns of episodes or, form after form, of steps."""


def by_prompt(prompt: Ints, filled: Ints) -> Ints:
    """A field that looks at the prompt alone."""
    return prompt


@dataclass(frozen=True)
class Field:
    """One field of a form.

    Attributes:
        choices: how many there are.
        rows: of its table.
        row: which of them is looked up.
        start: logits at first `[rows, choices]`, or one number for all.
    """

    choices: int
    rows: int
    row: Row = by_prompt
    start: Floats | float = 0.0


class Form:
    """Tables of logits, one for each field."""

    def __init__(self, fields: Sequence[Field]) -> None:
        """As the fields start."""
        self.fields = fields
        self.logits = [np.broadcast_to(f.start, (f.rows, f.choices)).astype(np.float64).copy() for f in fields]

    def filled(self, prompt: Ints, random: np.random.Generator) -> Ints:
        """A form for each prompt `[B, F]`."""
        found = np.zeros((len(prompt), len(self.fields)), np.int64)
        for k, field in enumerate(self.fields):
            chances = softmax(self.logits[k])[field.row(prompt, found[:, :k])]
            found[:, k] = (chances.cumsum(-1) > random.random((len(prompt), 1))).argmax(-1)
        return found

    def log_probs(self, prompt: Ints, forms: Ints) -> Floats:
        """Log-probability of each field as it was filled in `[B, F]`."""
        found = np.zeros(forms.shape)
        for k, field in enumerate(self.fields):
            chances = softmax(self.logits[k])[field.row(prompt, forms[:, :k])]
            found[:, k] = np.log(chances[np.arange(len(forms)), forms[:, k]])
        return found

    def ascend(self, prompt: Ints, forms: Ints, gain: Floats, rate: float) -> None:
        """One step along Σ gain · ∇ log π of forms `[B, F]`; gains `[B, F]`."""
        for k, field in enumerate(self.fields):
            row = field.row(prompt, forms[:, :k])
            chances = softmax(self.logits[k])[row]
            step = np.zeros_like(self.logits[k])
            np.add.at(step, (row, forms[:, k]), gain[:, k])
            np.add.at(step, row, -gain[:, k, None] * chances)
            self.logits[k] += rate * step


def trained(
    form: Form,
    prompts: int,
    judged: Judged,
    view: RewardView,
    seed: int,
    updates: int = 300,
    groups: int = 8,
    members: int = 8,
    rate: float = 2.0,
    on_update: Callable[[int, Ints, Ints], None] | None = None,
) -> Form:
    """Policy gradient with the advantage of a view, on policy; the form's tables are trained in place.

    Args:
        form: who fills in.
        prompts: how many there are, drawn with equal chances.
        judged: of what was filled in.
        view: must write a column `advantage`, of steps (fields) or episodes (forms).
        seed: of sampling.
        updates: how many; each one step on one batch.
        groups: prompts of a batch.
        members: forms for each.
        rate: of the steps.
        on_update: told the number of each batch, its prompts and its forms.
    """
    random, fields = np.random.default_rng(seed), len(form.fields)
    group = np.repeat(np.arange(groups), members)
    layout = Layout.of(np.full(len(group), fields), group)
    for update in range(updates):
        prompt = random.integers(0, prompts, groups)[group]
        forms = form.filled(prompt, random)
        if on_update is not None:
            on_update(update, prompt, forms)
        result = view.apply(judged(prompt, forms, random), layout)
        if result.advantage is None:
            raise ValueError(f"view {view.name!r} writes no advantage; let its last part have `to: advantage`")
        column = result.advantage
        known = np.where(column.valid, column.values, 0.0).astype(np.float64)
        gain = known[layout.owner("step", result.levels["advantage"])].reshape(forms.shape)
        form.ascend(prompt, forms, gain / max(int(column.valid.sum() > 0) * len(group), 1), rate)
    return form
