"""Encoders: from the observation arrays of S steps to features `[S, F]`.

`encoder_for` picks by what the environment shows: NetHack's arrays get a NetHack encoder, everything else is
flattened. An encoder never sees time; memory is the policy's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

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

    cells: Tensor

    def __init__(self, crop: int, hidden: int, char_embedding: int = 8) -> None:
        """A `crop` × `crop` window (odd) and `hidden` features."""
        super().__init__()
        self.register_buffer("cells", window_cells(crop), persistent=False)
        self.embedding = nn.Embedding(CHARS, char_embedding)
        self.crop = nn.Linear(crop * crop * char_embedding, hidden)
        self.status = nn.Linear(27, hidden // 4)
        self.message = nn.EmbeddingBag(TRIGRAMS, hidden // 4, mode="sum", padding_idx=0)
        self.merge = nn.Linear(hidden + 2 * (hidden // 4), hidden)

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Features [S, hidden]."""
        chars, status = observation["chars"], observation["blstats"].float()
        window = window_of(chars, status, self.cells)
        crop = torch.relu(self.crop(embedded(self.embedding, window)))
        text, which = distinct(observation["message"][:, :MESSAGE_BYTES])
        message = torch.relu(self.message(trigrams(text)))[which]
        return torch.relu(self.merge(torch.cat([crop, torch.relu(self.status(squashed(status))), message], -1)))


class SmallNetHackEncoder(nn.Module):
    """A crop of the map around the hero and the status line: the small net that benchmarks give to every system.

    Inputs: `chars` u8 [S, 21, 79], `blstats` [S, 27].
    """

    cells: Tensor

    def __init__(self, crop: int, hidden: int, char_embedding: int = 16) -> None:
        """A `crop` × `crop` window (odd) and `hidden` features."""
        super().__init__()
        self.register_buffer("cells", window_cells(crop), persistent=False)
        self.embedding = nn.Embedding(CHARS, char_embedding)
        self.crop = nn.Linear(crop * crop * char_embedding, hidden)
        self.status = nn.Linear(27, hidden // 2)
        self.merge = nn.Linear(hidden + hidden // 2, hidden)

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Features [S, hidden]."""
        status = observation["blstats"].float()
        window = window_of(observation["chars"], status, self.cells)
        crop = torch.relu(self.crop(embedded(self.embedding, window)))
        return torch.relu(self.merge(torch.cat([crop, torch.relu(self.status(squashed(status)))], -1)))


class ColourNetHackEncoder(nn.Module):
    """What ONI's policy reads, in its sizes: a window of characters and colours, the status line, the message's bytes.

    ONI (after Chaotic Dwarven GPT-5) draws the window as an image of 72 × 72 pixels and convolves it; here each cell is
    an embedding of its character and one of its colour, convolved with as many channels.
    Inputs: `chars` u8 [S, 21, 79], `packed_colors` u8 [S, 830], `blstats` [S, 27], `message` u8 [S, 256].
    """

    cells: Tensor

    def __init__(self, crop: int, hidden: int, embedding: int = 16) -> None:
        """A `crop` × `crop` window (odd) and `hidden` features."""
        super().__init__()
        self.register_buffer("cells", window_cells(crop), persistent=False)
        self.side = crop
        self.embedding, self.colours = nn.Embedding(CHARS, embedding), nn.Embedding(16, embedding)
        self.window = nn.Sequential(
            *(nn.Conv2d(embedding, 32, 3, padding=1), nn.ELU()),
            *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ELU()),
            *(nn.Conv2d(64, 128, 3, stride=2, padding=1), nn.ELU(), nn.Flatten()),
            *(nn.Linear(128 * ((crop + 3) // 4) ** 2, 512), nn.ELU()),
        )
        self.status = nn.Sequential(nn.Linear(27, 128), nn.ELU(), nn.Linear(128, 128), nn.ELU())
        self.message = nn.Sequential(nn.Linear(256, 128), nn.ELU(), nn.Linear(128, 128), nn.ELU())
        self.merge = nn.Linear(512 + 128 + 128, hidden)

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Features [S, hidden]."""
        status = observation["blstats"].float()
        index, inside = window_index(status, self.cells)
        chars = observation["chars"].flatten(1).gather(1, index).long() * inside
        packed = observation["packed_colors"].gather(1, index >> 1)
        colours = (packed >> ((index & 1) << 2).to(torch.uint8) & 15).long() * inside
        cells = embedded(self.embedding, chars) + embedded(self.colours, colours)
        image = cells.view(len(cells), self.side, self.side, -1).permute(0, 3, 1, 2)
        text = observation["message"].float() / 255
        parts = [self.window(image), self.status(squashed(status)), self.message(text)]
        return nn.functional.elu(self.merge(torch.cat(parts, -1)))


def window_cells(crop: int) -> Tensor:
    """Which cells of the flat map a `crop` × `crop` window shows around each cell, int64 `[1659, crop²]`; -1: none.

    Looked up, and not reckoned, because an actor asks so often of so few environments that each operation counts.
    """
    span = torch.arange(-(crop // 2), crop // 2 + 1)
    rows = (torch.arange(ROWS)[:, None, None, None] + span[:, None]).expand(ROWS, COLUMNS, crop, crop)
    columns = (torch.arange(COLUMNS)[:, None, None] + span).expand(ROWS, COLUMNS, crop, crop)
    inside = (rows >= 0) & (rows < ROWS) & (columns >= 0) & (columns < COLUMNS)
    return torch.where(inside, rows * COLUMNS + columns, -1).view(ROWS * COLUMNS, crop * crop)


def window_of(chars: Tensor, status: Tensor, cells: Tensor) -> Tensor:
    """The map [S, 21, 79] around the hero, int64 `[S, crop²]`; 0 beyond its edges.

    Args:
        chars: u8 [S, 21, 79].
        status: the status line [S, 27], which begins with the hero's column and row.
        cells: of `window_cells`.
    """
    index, inside = window_index(status, cells)
    return chars.flatten(1).gather(1, index).long() * inside


def window_index(status: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Which cells of the flat map lie in the window, int64 `[S, crop²]`, and which of them are on the map at all."""
    hero = (status[:, 1] * COLUMNS + status[:, 0]).long().clamp(0, ROWS * COLUMNS - 1)
    index = cells.index_select(0, hero)
    return index.clamp(min=0), index >= 0


def embedded(table: nn.Embedding, window: Tensor) -> Tensor:
    """The embeddings of each window side by side, `[S, cells · E]`.

    As a selection of rows and not by the module's own call: with int64, its gradient is three times as quick on a CPU.

    Args:
        table: an embedding of E numbers a symbol.
        window: symbols, int64 [S, cells].
    """
    return table.weight.index_select(0, window.reshape(-1)).view(len(window), -1)


def squashed(status: Tensor) -> Tensor:
    """Numbers of any size, brought to a few: sign(x) · log(1 + |x|) / 4, same shape."""
    return torch.sign(status) * torch.log1p(status.abs()) / 4


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


def encoder_for(
    observation: Mapping[str, ArraySpec], crop: int, hidden: int, kind: Literal["full", "small"] = "full"
) -> nn.Module:
    """The encoder that fits the observation arrays; of NetHack's there are three."""
    if kind == "full" and {"chars", "packed_colors", "blstats", "message"} <= set(observation):
        return ColourNetHackEncoder(crop, hidden)
    if kind == "small" and {"chars", "blstats"} <= set(observation):
        return SmallNetHackEncoder(crop, hidden)
    if {"chars", "blstats", "message"} <= set(observation):
        return NetHackEncoder(crop, hidden)
    return FlatEncoder(observation, hidden)
