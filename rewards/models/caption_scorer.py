"""`CaptionScorer`: a network that gives each caption one number, with its optimiser and the texts it knows.

Classification and ranking differ in their labels, their loss and in what they make of the number; the rest is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from rewards.models.encoder import Config as EncoderConfig
from rewards.models.encoder import Tokens, make_encoder

EVALUATION_BATCH = 1024


class Config(BaseModel):
    """Network and optimiser.

    Attributes:
        encoder: of captions.
        learning_rate: of Adam. ONI's 1e-4 suits its larger network; the default suits the small one.
        batch_size: labels in one gradient step.
        grad_clip: largest norm of the gradient.
        seed: of the initial weights and the minibatches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: EncoderConfig = EncoderConfig()
    learning_rate: float = Field(1e-3, gt=0)
    batch_size: int = Field(256, ge=1)
    grad_clip: float = Field(10.0, gt=0)
    seed: int = 0


class CaptionScorer:
    """One raw score per caption; versioned by the training calls it took."""

    def __init__(self, config: Config) -> None:
        """Fresh weights that `config.seed` determines; torch's global generator is left as it was."""
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.encoder = make_encoder(config.encoder)
            self.head = nn.Linear(config.encoder.hidden, 1)
        self.network = nn.ModuleList([self.encoder, self.head])
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate, fused=True)
        self.random = np.random.default_rng(config.seed)
        self.version = 0
        self._texts: dict[int, str] = {}
        self._tokens: dict[int, Tokens] = {}

    def observe(self, captions: Mapping[int, str]) -> None:
        """Learn texts by id."""
        self._texts.update((identity, text) for identity, text in captions.items() if identity)

    def knows(self, caption_id: int) -> bool:
        """Whether the text of a caption is known."""
        return caption_id in self._texts

    @property
    def caption_ids(self) -> list[int]:
        """Ids of all captions whose text is known, in the order they were first observed."""
        return list(self._texts)

    def forward(self, caption_ids: Sequence[int]) -> Tensor:
        """Raw scores `[K]`, with gradients, of captions whose text is known."""
        return self.head(self.encoder(self._read(caption_ids))).squeeze(-1)  # type: ignore[no-any-return]

    def raw(self, caption_ids: Sequence[int]) -> NDArray[np.float64]:
        """Raw scores `[K]` of captions whose text is known, without gradients."""
        scores = np.empty(len(caption_ids))
        with torch.no_grad():
            for begin in range(0, len(caption_ids), EVALUATION_BATCH):
                chunk = caption_ids[begin : begin + EVALUATION_BATCH]
                scores[begin : begin + len(chunk)] = self.forward(chunk).numpy()
        return scores

    def step(self, loss: Tensor) -> float:
        """Take one gradient step.

        Args:
            loss: a scalar.

        Returns:
            Norm of the gradient before clipping.
        """
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.grad_clip)
        self.optimiser.step()
        return float(norm)

    def minibatch(self, labels: int) -> NDArray[np.int64]:
        """Positions of a random minibatch out of `labels`, without repeats."""
        size = min(self.config.batch_size, labels)
        return self.random.choice(labels, size, replace=False, shuffle=False)

    def weights(self) -> dict[str, Tensor]:
        """Copies of all parameters by name, with the version."""
        parameters = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        return {"version": torch.tensor(self.version), **parameters}

    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `weights` gave.

        Raises:
            ValueError: the parameters are those of another architecture.
        """
        parameters = {name: value for name, value in tensors.items() if name != "version"}
        try:
            self.network.load_state_dict(parameters)
        except RuntimeError as error:
            raise ValueError(
                f"got weights of another reward network; expected {self.config.encoder}: {error}"
            ) from None
        self.version = int(tensors["version"])

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser, generator and texts."""
        moments = self.optimiser.state_dict()["state"]
        return {
            "weights": self.weights(),
            "optimiser": {str(k): {name: value.clone() for name, value in m.items()} for k, m in moments.items()},
            "random": self.random.bit_generator.state,
            "caption_ids": np.array(list(self._texts), np.int64),
            "captions": list(self._texts.values()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` saved.

        Raises:
            ValueError: the parameters are those of another architecture.
        """
        self.load_weights(state["weights"])
        groups = self.optimiser.state_dict()["param_groups"]
        moments = {int(k): dict(m) for k, m in state["optimiser"].items()}
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        self.random.bit_generator.state = state["random"]
        self._texts = dict(zip(np.asarray(state["caption_ids"]).tolist(), state["captions"], strict=True))  # or a list
        self._tokens = {}

    def _read(self, caption_ids: Sequence[int]) -> list[Tokens]:
        """What the encoder reads of captions; of each it is kept."""
        known = self._tokens
        if new := {identity for identity in caption_ids if identity not in known}:
            known.update(zip(new, self.encoder.tokens([self._texts[identity] for identity in new]), strict=True))
        return [known[identity] for identity in caption_ids]


def known_only(
    scorer: CaptionScorer, caption_ids: list[int], reward: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Rewards of the captions whose text is known, once the scorer was trained; NULL for the rest.

    Args:
        scorer: gives raw scores.
        caption_ids: K distinct ids.
        reward: from raw scores to rewards.

    Returns:
        Values `[K]`, NaN where NULL, and validity `[K]`.
    """
    values = np.full(len(caption_ids), np.nan, np.float32)
    valid = np.array([scorer.version > 0 and scorer.knows(identity) for identity in caption_ids], np.bool_)
    if valid.any():
        values[valid] = reward(scorer.raw([i for i, ok in zip(caption_ids, valid, strict=True) if ok]))
    return values, valid
