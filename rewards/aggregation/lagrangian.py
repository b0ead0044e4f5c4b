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
    | `plain`   | the same                             | −max(0, z_i)   | 1             | +rate (J_i − θ_i)    |

    N is the number of terms, r₀ with the rest; J_i is the mean of the known r_i of a batch; z₀ stays 0. The step is the
    gradient, with `momentum`. Under `softmax` all weights together are 1 in size, whatever the multipliers; under
    `plain`, the textbook's Lagrangian, they grow as long as a limit is broken. With rate 0 it is a fixed weighted sum.
    NULL where a term is; what is NULL is in no J.

    A `bootstrap` column says of what is wanted how often it is reached, and must be at least `least`. It has a share of
    the softmax too, which moves by +rate (least − J), and w₀ is the larger of the two: limits that can be kept by doing
    nothing then do not keep the main reward from being learnt. It is no term of the sum, and NULL in it hides nothing.

    Sources: Confronting Reward Model Overoptimization with Constrained RLHF (Moskovitz et al. 2023): μ-PPO (sigmoid)
    and ξ-PPO (tanh), where r₀ is −KL or the task; Direct Behavior Specification via Constrained Reinforcement Learning
    (Roy et al. 2022): softmax and bootstrap. There advantages of separate value functions are mixed; with a
    baseline that is linear (`dr_grpo`, `rloo`) mixing rewards is the same.

    Attributes:
        of: r₀.
        limits: θ, by name of the column r_i.
        form: of the table.
        rate: of the multipliers.
        momentum: of their steps.
        bootstrap: name of the column of success, with `softmax`; empty for none.
        least: success that is asked for.
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
    form: Literal["sigmoid", "tanh", "softmax", "plain"] = "sigmoid"
    rate: float = Field(0.01, ge=0, allow_inf_nan=False)
    momentum: float = Field(0.1, ge=0, lt=1)
    start: FiniteFloat = 0.0
    bootstrap: str = ""
    least: FiniteFloat = 0.0
    to: str = "reward"

    @model_validator(mode="after")
    def _apart(self) -> Lagrangian:
        if self.bootstrap and self.form != "softmax":
            raise ValueError(f"got bootstrap {self.bootstrap!r} with form {self.form!r}; expected form: softmax")
        if self.bootstrap in self.terms:
            raise ValueError(f"got {self.bootstrap!r} as bootstrap and as a term; expected it in one place")
        if self.of in self.limits:
            raise ValueError(f"got {self.of!r} as the main reward and among the limits; expected it in one place")
        return self

    @property
    def terms(self) -> tuple[str, ...]:
        """What is summed: the main reward, then what is limited."""
        return (self.of, *self.limits)

    @property
    def inputs(self) -> tuple[str, ...]:
        """What is summed, and the success that is watched."""
        return (*self.terms, self.bootstrap) if self.bootstrap else self.terms

    @property
    def _watched(self) -> tuple[tuple[str, float, float], ...]:
        """Of each multiplier its column, its limit and the sign of its steps."""
        up = 1.0 if self.form in ("softmax", "plain") else -1.0
        limits = tuple((name, limit, up) for name, limit in self.limits.items())
        return (*limits, (self.bootstrap, self.least, -1.0)) if self.bootstrap else limits

    @property
    def output(self) -> str:
        """Name of the sum."""
        return self.to

    def level(self, levels: Mapping[str, Level]) -> Level:
        """The finest of the terms."""
        return min((levels[name] for name in self.terms), key=LEVELS.index)

    def initial_state(self) -> State:
        """Multipliers as they start, at rest."""
        return {"z": [self.start] * len(self._watched), "step": [0.0] * len(self._watched)}

    def update(self, table: Table, state: State) -> State:
        """One step of the multipliers; one whose column is NULL throughout stays."""
        low, high = (0.0, np.inf) if self.form == "plain" else (-20.0, 20.0)  # the others are saturated long before
        z, steps = list(state["z"]), list(state["step"])
        for i, (name, limit, sign) in enumerate(self._watched):
            column = table[name]
            if column.valid.any():
                gap = float(column.values[column.valid].astype(np.float64).mean()) - limit
                steps[i] = self.momentum * steps[i] + sign * self.rate * gap
                z[i] = float(np.clip(z[i] + steps[i], low, high))
        return {"z": z, "step": steps}

    def weights(self, state: State) -> Floats:
        """w₀, w₁, … `[1 + limits]`."""
        z = np.asarray(state["z"], np.float64)
        if self.form == "softmax":
            share = np.exp(np.append(0.0, z))
            share /= share.sum()
            own, main = share[1 : 1 + len(self.limits)], share[0]
            return np.append(max(main, share[-1]) if self.bootstrap else main, -own)
        if self.form == "plain":
            return np.append(1.0, -np.maximum(z, 0.0))
        own = 0.5 * (1 + np.tanh(z / 2)) if self.form == "sigmoid" else np.tanh(z)
        return np.append(len(z) + 1 - own.sum(), own)

    def apply(self, table: Table, state: State) -> Column:
        """The sum."""
        level = self.level(table.levels)
        columns = [table.at(name, level) for name in self.terms]
        known = np.logical_and.reduce([column.valid for column in columns])
        values = np.stack([np.where(known, column.values, 0.0) for column in columns]).astype(np.float64)
        return Column((self.weights(state) @ values).astype(np.float32), known)

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """The terms of all columns, times their weights."""
        level, found = self.level(table.levels), Terms()
        for weight, name in zip(self.weights(state), self.terms, strict=True):
            for term, values in terms[name].items():
                found[term] = found.get(term, 0.0) + weight * table.spread(values, table.levels[name], level)
        return found

    def describe(self, terms: Mapping[str, str]) -> str:
        """The sum, and what it is held to."""
        sign, over = ("−", "≤") if self.form in ("softmax", "plain") else ("+", "=" if self.form == "tanh" else "≤")
        each = "".join(f" {sign} w[{terms[name]}; {over} {limit:g}]" for name, limit in self.limits.items())
        return f"w₀·[{terms[self.of]}]{each}"
