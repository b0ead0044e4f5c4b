"""`Lagrangian`: rewards that count only up to a point, with weights that find themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, model_validator

from rewards.columns import Column
from rewards.views.layout import LEVELS, Level
from rewards.views.part import Part, Stage, State, Table, Terms

Floats = NDArray[np.float64]


class Lagrangian(Part):
    """R = w₀ r₀ + Σ_i w_i r_i, with weights from multipliers z that move after every batch.

    | form      | what is wanted                       | w_i            | w₀            | z_i moves by         |
    |-----------|--------------------------------------|----------------|---------------|----------------------|
    | `sigmoid` | proxies r_i, E[r_i] at most θ_i      | σ(z_i)         | N − Σ w_i     | −rate (J_i − θ_i)    |
    | `tanh`    | proxies r_i, E[r_i] equal to θ_i     | tanh(z_i)      | N − Σ w_i     | −rate (J_i − θ_i)    |
    | `softmax` | costs c_i = r_i, E[c_i] at most θ_i  | −softmax(z)_i  | softmax(z)₀   | +rate (J_i − θ_i)    |

    N is the number of terms, r₀ with the rest; J_i is the mean of the known r_i of a batch; z₀ stays 0. The step is the
    gradient, with `momentum`. Under `softmax` all weights together are 1 in size, whatever the multipliers. With
    rate 0 it is a fixed weighted sum. NULL where a term is; what is NULL is in no J.

    Sources: Confronting Reward Model Overoptimization with Constrained RLHF (Moskovitz et al. 2023): μ-PPO (sigmoid)
    and ξ-PPO (tanh), where r₀ is −KL or the task; Direct Behavior Specification via Constrained Reinforcement Learning
    (Roy et al. 2022): softmax. There advantages of separate value functions are mixed; with a baseline that is linear
    (`dr_grpo`, `rloo`) mixing rewards is the same.

    Attributes:
        of: r₀.
        limits: θ, by name of the column r_i.
        form: of the table.
        rate: of the multipliers.
        momentum: of their steps.
        start: z_i before the first batch.
        to: name of the sum.
    """

    stage: ClassVar[Stage] = "aggregation"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mu_ppo": {"form": "sigmoid", "rate": 0.01, "momentum": 0.1},
        "xi_ppo": {"form": "tanh", "rate": 0.01, "momentum": 0.1},
        "direct_behaviour": {"form": "softmax", "rate": 0.01, "momentum": 0.0},
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "limits": {"a": 0.5, "b": 0.2}}

    part: Literal["lagrangian"] = "lagrangian"
    of: str
    limits: dict[str, FiniteFloat] = Field(min_length=1)
    form: Literal["sigmoid", "tanh", "softmax"] = "sigmoid"
    rate: float = Field(0.01, ge=0, allow_inf_nan=False)
    momentum: float = Field(0.1, ge=0, lt=1)
    start: FiniteFloat = 0.0
    to: str = "reward"

    @model_validator(mode="after")
    def _apart(self) -> Lagrangian:
        if self.of in self.limits:
            raise ValueError(f"got {self.of!r} as the main reward and among the limits; expected it in one place")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """The main reward, then what is limited."""
        return (self.of, *self.limits)

    @property
    def output(self) -> str:
        """Name of the sum."""
        return self.to

    def level(self, levels: Mapping[str, Level]) -> Level:
        """The finest of the terms."""
        return min((levels[name] for name in self.inputs), key=LEVELS.index)

    def initial_state(self) -> State:
        """Multipliers as they start, at rest."""
        return {"z": [self.start] * len(self.limits), "step": [0.0] * len(self.limits)}

    def update(self, table: Table, state: State) -> State:
        """One step of the multipliers; one whose column is NULL throughout stays."""
        sign = 1.0 if self.form == "softmax" else -1.0
        z, steps = list(state["z"]), list(state["step"])
        for i, (name, limit) in enumerate(self.limits.items()):
            column = table[name]
            if column.valid.any():
                gap = float(column.values[column.valid].astype(np.float64).mean()) - limit
                steps[i] = self.momentum * steps[i] + sign * self.rate * gap
                z[i] = float(np.clip(z[i] + steps[i], -20.0, 20.0))  # saturated long before
        return {"z": z, "step": steps}

    def weights(self, state: State) -> Floats:
        """w₀, w₁, … `[1 + limits]`."""
        z = np.asarray(state["z"], np.float64)
        if self.form == "softmax":
            share = np.exp(np.append(0.0, z))
            share /= share.sum()
            return np.append(share[0], -share[1:])
        own = 0.5 * (1 + np.tanh(z / 2)) if self.form == "sigmoid" else np.tanh(z)
        return np.append(len(z) + 1 - own.sum(), own)

    def apply(self, table: Table, state: State) -> Column:
        """The sum."""
        level = self.level(table.levels)
        columns = [table.at(name, level) for name in self.inputs]
        known = np.logical_and.reduce([column.valid for column in columns])
        values = np.stack([np.where(known, column.values, 0.0) for column in columns]).astype(np.float64)
        return Column((self.weights(state) @ values).astype(np.float32), known)

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """The terms of all columns, times their weights."""
        level, found = self.level(table.levels), Terms()
        for weight, name in zip(self.weights(state), self.inputs, strict=True):
            for term, values in terms[name].items():
                found[term] = found.get(term, 0.0) + weight * table.spread(values, table.levels[name], level)
        return found

    def describe(self, terms: Mapping[str, str]) -> str:
        """The sum, and what it is held to."""
        sign, over = ("−", "≤") if self.form == "softmax" else ("+", "=" if self.form == "tanh" else "≤")
        each = "".join(f" {sign} w[{terms[name]}; {over} {limit:g}]" for name, limit in self.limits.items())
        return f"w₀·[{terms[self.of]}]{each}"
