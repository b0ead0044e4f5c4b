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
MESSAGE_BYTES = 80  # NetHack's message line is one terminal row; what follows in the 256 bytes is padding


class NetHackEncoder(nn.Module):
    """A crop of the map around the hero, the status line, and the message line.

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
        self.message = nn.Linear(MESSAGE_BYTES, hidden // 4)
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
        message = observation["message"][:, :MESSAGE_BYTES].float() / 255
        features = [crop, torch.relu(self.status(squashed)), torch.relu(self.message(message))]
        return torch.relu(self.merge(torch.cat(features, -1)))


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
