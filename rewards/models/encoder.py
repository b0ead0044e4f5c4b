"""Text encoders for captions: small, from scratch, and quick on a CPU.

Two are offered. `ngrams`, the default, was chosen for CPU speed: the mean of the embeddings of hashed words, word pairs
and character n-grams, then a small perceptron. `charcnn` reads bytes through stacked convolutions, as the reward models
of ONI and Motif do; that is about a thousand times the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from rewards.models.mean_bags import mean_of_bags
from rewards.models.ngrams import ngrams

Tokens = NDArray[np.unsignedinteger[Any]]
"""What an encoder reads of a caption."""


class Config(BaseModel):
    """Sizes of a caption encoder.

    Attributes:
        kind: "ngrams" (hashed n-grams; the default, for CPU speed) or "charcnn" (as ONI).
        buckets: rows of the n-gram embedding table; n-grams that share one are not told apart.
        embedding: numbers per n-gram, or per character.
        char_ngram: length of the character n-grams; 0 for words alone.
        hidden: width of the output, and of the perceptron.
        length: characters that "charcnn" reads; the rest of a caption is cut off.
        channels: of each convolution.
        layers: convolutions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["ngrams", "charcnn"] = "ngrams"
    buckets: int = Field(8192, ge=2)
    embedding: int = Field(32, ge=1)
    char_ngram: int = Field(4, ge=0)
    hidden: int = Field(64, ge=1)
    length: int = Field(128, ge=8)
    channels: int = Field(64, ge=1)
    layers: int = Field(6, ge=1)


class TextEncoder(nn.Module):
    """Captions to vectors: `tokens` once per caption, `forward` per training step."""

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """What `forward` reads of each caption; depends on nothing but its text and the config."""
        raise NotImplementedError

    def forward(self, tokens: Sequence[Tokens]) -> Tensor:
        """Vectors `[K, hidden]` of K captions."""
        raise NotImplementedError


class NgramEncoder(TextEncoder):
    """Mean of the embeddings of a caption's n-grams, then a perceptron."""

    def __init__(self, config: Config) -> None:
        """Random weights from torch's global generator."""
        super().__init__()
        self.config = config
        self.table = nn.EmbeddingBag(config.buckets, config.embedding)
        self.perceptron = nn.Sequential(
            nn.Linear(config.embedding, config.hidden), nn.ReLU(), nn.Linear(config.hidden, config.hidden), nn.ReLU()
        )

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Buckets of each caption's n-grams, in as few bytes as they need: they are kept for every caption."""
        dtype = np.min_scalar_type(self.config.buckets - 1)
        return [
            (found.astype(np.int64) % self.config.buckets).astype(dtype)
            for found in ngrams(texts, self.config.char_ngram)
        ]

    def forward(self, tokens: Sequence[Tokens]) -> Tensor:
        """Vectors `[K, hidden]`."""
        return self.perceptron(mean_of_bags(self.table.weight, tokens))  # type: ignore[no-any-return]


class CharCnnEncoder(TextEncoder):
    """Convolutions over bytes, the maximum over positions, then a perceptron.

    Source: Zhang et al. (2015), "Character-level convolutional networks for text classification"; sizes as ONI's.
    """

    def __init__(self, config: Config) -> None:
        """Random weights from torch's global generator."""
        super().__init__()
        self.config = config
        self.table = nn.Embedding(256, config.embedding, padding_idx=0)
        widths = [config.embedding, *[config.channels] * config.layers]
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(widths):
            layers += [nn.Conv1d(narrow, wide, kernel_size=3, padding=1), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.perceptron = nn.Sequential(nn.Linear(config.channels, config.hidden), nn.ReLU())

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Each caption's bytes, padded with zeros to `length`."""
        padded = np.zeros((len(texts), self.config.length), np.uint8)
        for row, text in zip(padded, texts, strict=True):
            found = np.frombuffer(text.lower().encode()[: self.config.length], np.uint8)
            row[: len(found)] = found
        return list(padded)

    def forward(self, tokens: Sequence[Tokens]) -> Tensor:
        """Vectors `[K, hidden]`."""
        characters = self.table(torch.from_numpy(np.stack(tokens).astype(np.int64)))  # [K, length, embedding]
        features = self.convolutions(characters.transpose(1, 2)).amax(-1)  # [K, channels]
        return self.perceptron(features)  # type: ignore[no-any-return]


def make_encoder(config: Config) -> TextEncoder:
    """The encoder that `config` names."""
    return NgramEncoder(config) if config.kind == "ngrams" else CharCnnEncoder(config)
