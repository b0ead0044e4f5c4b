"""Encoders: from the observation arrays of S steps to features `[S, F]`.

`encoder_for` picks by what the environment shows: NetHack's arrays get the NetHack encoder, everything else is
flattened. An encoder never sees time; memory is the policy's business.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from envs.specs import ArraySpec

ROWS, COLUMNS, CHARS = 21, 79, 256
MESSAGE_BYTES = 80  # one terminal row: what follows in the 256 bytes is rarely more than the rest of a list
TRIGRAMS = 1024  # buckets of hashed three-byte pieces


class NetHackEncoder(nn.Module):
    """A crop of the map around the hero, the status line, and the message line.

    The message is read as a bag of hashed three-byte pieces: what it says counts, and not at which column.
    Inputs: `chars` u8 [S, 21, 79], `blstats` [S, 27], `message` u8 [S, 256].
    """

    offsets: Tensor

    def __init__(self, crop: int, hidden: int, char_embedding: int = 8) -> None:
        """A `crop` × `crop` window (odd) and `hidden` features."""
        super().__init__()
        half = crop // 2
        span = torch.arange(-half, half + 1)
        self.register_buffer("offsets", torch.stack(torch.meshgrid(span, span, indexing="ij")).reshape(2, -1))
        self.embedding = nn.Embedding(CHARS, char_embedding)
        self.crop = nn.Linear(crop * crop * char_embedding, hidden)
        self.status = nn.Linear(27, hidden // 4)
        self.message = nn.EmbeddingBag(TRIGRAMS, hidden // 4, mode="sum", padding_idx=0)
        self.merge = nn.Linear(hidden + 2 * (hidden // 4), hidden)

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Features [S, hidden]."""
        chars, status = observation["chars"], observation["blstats"].float()
        columns = status[:, :1].long() + self.offsets[1]
        rows = status[:, 1:2].long() + self.offsets[0]
        inside = (rows >= 0) & (rows < ROWS) & (columns >= 0) & (columns < COLUMNS)
        index = rows.clamp(0, ROWS - 1) * COLUMNS + columns.clamp(0, COLUMNS - 1)
        window = chars.flatten(1).gather(1, index).int() * inside
        crop = torch.relu(self.crop(self.embedding(window).flatten(1)))
        squashed = torch.sign(status) * torch.log1p(status.abs()) / 4
        text, which = distinct(observation["message"][:, :MESSAGE_BYTES])
        message = torch.relu(self.message(trigrams(text)))[which]
        return torch.relu(self.merge(torch.cat([crop, torch.relu(self.status(squashed)), message], -1)))


def distinct(text: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct rows of bytes [S, L], and for each row which of them it is [S].

    Most steps of a game say nothing, or what was said before: each text is embedded once.
    """
    # Distinct texts that share a hash of 64 bits would be taken for one; there are never enough of them for that.
    powers = torch.arange(1, text.shape[1] + 1, dtype=torch.int64) * 0x9E3779B97F4A7C1 | 1
    hashed = (text.long() * powers.to(text.device)).sum(1)
    found, which = hashed.unique(return_inverse=True)
    first = torch.empty(len(found), dtype=torch.int64, device=text.device)
    first.scatter_(0, which, torch.arange(len(text), device=text.device))
    return text[first], which


def trigrams(text: Tensor) -> Tensor:
    """Buckets of the three-byte pieces of texts u8 [S, L], int64 [S, L - 2]; 0 where the text has ended."""
    byte = text.int()
    mixed = byte[:, :-2] * 7919 + byte[:, 1:-1] * 613 + byte[:, 2:] * 31
    return (1 + mixed % (TRIGRAMS - 1)).long() * (byte[:, 2:] > 0)


class FlatEncoder(nn.Module):
    """All arrays, flattened side by side, through two layers."""

    def __init__(self, observation: Mapping[str, ArraySpec], hidden: int) -> None:
        """Images (bytes of three dimensions) are scaled to [0, 1]; everything else is taken as it is."""
        super().__init__()
        images = {key for key, spec in observation.items() if spec.dtype == "uint8" and len(spec.shape) == 3}
        self.scales = {key: 1 / 255 if key in images else 1.0 for key in observation}
        size = sum(spec.size for spec in observation.values())
        self.layers = nn.Sequential(nn.Linear(size, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Features [S, hidden]."""
        flat = [observation[key].float().reshape(len(observation[key]), -1) * s for key, s in self.scales.items()]
        features: Tensor = self.layers(torch.cat(flat, -1))
        return features


def encoder_for(observation: Mapping[str, ArraySpec], crop: int, hidden: int) -> nn.Module:
    """The encoder that fits the observation arrays."""
    if {"chars", "blstats", "message"} <= set(observation):
        return NetHackEncoder(crop, hidden)
    return FlatEncoder(observation, hidden)
