"""Random network distillation: the error of a network that learns to predict a random one.

What was seen often is predicted well. Source: Burda et al. (2018), "Exploration by random network distillation".
As there, inputs are normalised by running statistics and clipped to ±5, and a share of the experience trains the
predictor; unlike there, the bonus is divided by the running deviation of the errors, not of the intrinsic returns,
because a view scores single steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from envs.specs import Observation
from rewards.novelty.novelty import pick
from rewards.running import RunningMoments

SYMBOLS = 256
SMALLEST_STD = 1e-4
INPUT_LIMIT = 5.0


class Config(BaseModel):
    """Features, networks and training.

    Attributes:
        kind: names the source in a recipe.
        keys: observation arrays that are flattened to features; empty for all. Not used for NetHack observations.
        crop: where observations hold "chars" and "blstats" (NetHack), features are the square of this width (odd)
            around the hero, each symbol embedded at random, and the statistics; 0 for the generic features.
        symbol_size: numbers per symbol of the crop.
        hidden: width of the networks.
        outputs: numbers the predictor must predict.
        learning_rate: of Adam.
        train_share: share of the observations that train the predictor.
        seed: of the networks and the shares.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["rnd"] = "rnd"
    keys: tuple[str, ...] = ()
    crop: int = Field(9, ge=0)
    symbol_size: int = Field(4, ge=1)
    hidden: int = Field(128, ge=1)
    outputs: int = Field(64, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    train_share: float = Field(0.25, gt=0, le=1)
    seed: int = 0


def crop_around_hero(chars: NDArray[np.uint8], blstats: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
    """The square of `width` around the hero; blanks beyond the map.

    Args:
        chars: the map `[S, rows, columns]`.
        blstats: bottom line statistics `[S, K]`; the first two are the hero's column and row.
        width: odd.

    Returns:
        Symbols `[S, width, width]`.
    """
    margin = width // 2
    padded = np.pad(chars, ((0, 0), (margin, margin), (margin, margin)), constant_values=ord(" "))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (width, width), axis=(1, 2))
    rows = np.clip(blstats[:, 1], 0, chars.shape[1] - 1)
    columns = np.clip(blstats[:, 0], 0, chars.shape[2] - 1)
    return windows[np.arange(len(chars)), rows, columns]


class RandomNetworkDistillation:
    """A fixed random target, and a predictor that learns it."""

    def __init__(self, config: Config | None = None) -> None:
        """Networks are made when the first observation tells their size."""
        self.config = config or Config()
        self._random = np.random.default_rng(self.config.seed)
        symbols = np.random.default_rng(self.config.seed + 1)
        self._symbols = symbols.normal(size=(SYMBOLS, self.config.symbol_size)).astype(np.float32)
        self._inputs: RunningMoments | None = None
        self._errors = RunningMoments()
        self._target = self._predictor = nn.Sequential()
        self._optimiser: torch.optim.Optimizer | None = None

    def features(self, observation: Observation) -> NDArray[np.float32]:
        """Features `[S, F]` before normalisation: the hero's surroundings and statistics, or the flattened arrays."""
        if self.config.crop and {"chars", "blstats"} <= set(observation):
            blstats = np.asarray(observation["blstats"])
            crop = crop_around_hero(np.asarray(observation["chars"]), blstats, self.config.crop)
            embedded = self._symbols[crop].reshape(len(crop), -1)
            signed = np.sign(blstats) * np.log1p(np.abs(blstats.astype(np.float32)))
            return np.concatenate([embedded, signed], axis=1, dtype=np.float32)
        arrays = pick(observation, self.config.keys).values()
        return np.concatenate([a.reshape(len(a), -1) for a in arrays], axis=1, dtype=np.float32)

    def score(self, observation: Observation) -> NDArray[np.float32]:
        """Prediction error over its running deviation `[S]`, never negative."""
        features = self.features(observation)
        self._prepare(features.shape[1])
        with torch.no_grad():
            error = self._error(features).numpy()
        return (error / max(float(self._errors.std), SMALLEST_STD)).astype(np.float32)

    def update(self, observation: Observation) -> dict[str, float]:
        """See observations `[S, …]`: update statistics, and train the predictor on a share of them."""
        features = self.features(observation)
        self._prepare(features.shape[1])
        assert self._inputs is not None and self._optimiser is not None  # _prepare made them
        self._inputs.update(features)
        chosen = self._random.random(len(features)) < self.config.train_share
        error = self._error(features)
        self._errors.update(error.detach().numpy())
        if chosen.any():
            loss = error[torch.from_numpy(chosen)].mean()
            self._optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self._optimiser.step()
        return {"error": float(error.detach().mean()), "error_std": float(self._errors.std)}

    def _error(self, features: NDArray[np.float32]) -> Tensor:
        """Mean squared error `[S]` of the predictor."""
        assert self._inputs is not None
        scaled = (features - self._inputs.mean) / np.maximum(self._inputs.std, SMALLEST_STD)
        normalised = torch.from_numpy(np.clip(scaled, -INPUT_LIMIT, INPUT_LIMIT).astype(np.float32))
        with torch.no_grad():
            target = self._target(normalised)
        return (self._predictor(normalised) - target).square().mean(-1)  # type: ignore[no-any-return]

    def _prepare(self, size: int) -> None:
        """Make the networks on first use.

        Raises:
            ValueError: features have another size than before.
        """
        if self._inputs is not None:
            if self._inputs.mean.shape != (size,):
                raise ValueError(f"got {size} features; expected {self._inputs.mean.shape[0]}: one environment per RND")
            return
        hidden, outputs = self.config.hidden, self.config.outputs
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            self._target = nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
            self._predictor = nn.Sequential(
                *(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
            )
        self._target.requires_grad_(False)
        self._optimiser = torch.optim.Adam(self._predictor.parameters(), lr=self.config.learning_rate)
        self._inputs = RunningMoments((size,))

    def state_dict(self) -> dict[str, Any]:
        """Both networks, optimiser, statistics and generator; `size` is 0 before the first observation."""
        if self._inputs is None or self._optimiser is None:
            return {"size": 0}
        moments = self._optimiser.state_dict()["state"]
        return {
            "size": int(self._inputs.mean.shape[0]),
            "target": {name: value.clone() for name, value in self._target.state_dict().items()},
            "predictor": {name: value.clone() for name, value in self._predictor.state_dict().items()},
            "optimiser": {str(k): {name: value.clone() for name, value in m.items()} for k, m in moments.items()},
            "inputs": self._inputs.state_dict(),
            "errors": self._errors.state_dict(),
            "random": self._random.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` saved."""
        if not state["size"]:
            return
        self._prepare(state["size"])
        assert self._inputs is not None and self._optimiser is not None
        self._target.load_state_dict(state["target"])
        self._predictor.load_state_dict(state["predictor"])
        groups = self._optimiser.state_dict()["param_groups"]
        moments = {int(k): dict(m) for k, m in state["optimiser"].items()}
        self._optimiser.load_state_dict({"state": moments, "param_groups": groups})
        self._inputs.load_state_dict(state["inputs"])
        self._errors.load_state_dict(state["errors"])
        self._random.bit_generator.state = state["random"]
