"""`ContrastiveEncoder`: what is seen and what is said of it in one space, learnt from pairs of both.

A stand-in, small enough to be trained in a second, for the vision-language models that goals in words are read by: two
towers, and in each batch every observation is to be nearest to its own caption and every caption to its observation.

Source: Radford et al. (2021), "Learning transferable visual models from natural language supervision" (CLIP).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn import functional as F

from rewards.models.encoder import Config as EncoderConfig
from rewards.models.encoder import make_encoder

Floats = NDArray[np.float64]


class ContrastiveEncoder:
    """Unit embeddings of vectors and of texts."""

    def __init__(self, size: int, dimensions: int = 16, hidden: int = 64, seed: int = 0) -> None:
        """Random weights that `seed` determines; torch's global generator is left as it was.

        Args:
            size: numbers of an observation.
            dimensions: of the space.
            hidden: width of either tower.
            seed: of weights and batches.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._sight = nn.Sequential(nn.Linear(size, hidden), nn.Tanh(), nn.Linear(hidden, dimensions))
            self._text = make_encoder(EncoderConfig(buckets=2048, hidden=hidden, char_ngram=0))
            self._said = nn.Linear(hidden, dimensions)
            self._scale = nn.Parameter(torch.tensor(2.0))
        self._generator = torch.Generator().manual_seed(seed)

    def train(self, seen: ArrayLike, captions: Sequence[str], steps: int = 300, batch: int = 64) -> float:
        """Bring what belongs together near, and all else in a batch apart; gives the last loss.

        Captions that are the same within a batch are right answers to each other's observations.

        Args:
            seen: `[N, size]`.
            captions: of each.
            steps: of Adam.
            batch: pairs of each.

        Raises:
            ValueError: not one caption of each observation, or none.
        """
        found = torch.as_tensor(np.asarray(seen, np.float32))
        if found.ndim != 2 or len(found) != len(captions) or not len(found):
            raise ValueError(
                f"got {len(captions)} captions of observations of shape {tuple(found.shape)}; expected [N, D]"
            )
        names = {text: k for k, text in enumerate(dict.fromkeys(captions))}
        tokens = self._text.tokens(list(names))
        ident = torch.tensor([names[text] for text in captions])
        modules = nn.ModuleList([self._sight, self._text, self._said])
        optimiser = torch.optim.Adam([*modules.parameters(), self._scale], 3e-3)
        loss = torch.zeros(())
        for _ in range(steps):
            index = torch.randint(len(found), (min(batch, len(found)),), generator=self._generator)
            said = self._said(self._text([tokens[names[captions[i]]] for i in index.tolist()]))
            logits = self._scale.exp() * F.normalize(self._sight(found[index]), dim=-1) @ F.normalize(said, dim=-1).T
            same = (ident[index][:, None] == ident[index]).float()
            same = same / same.sum(-1, keepdim=True)
            loss = (F.cross_entropy(logits, same) + F.cross_entropy(logits.T, same)) / 2
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return float(loss.detach())

    @torch.no_grad()
    def of_seen(self, seen: ArrayLike) -> Floats:
        """Unit embeddings of observations `[N, size]`, `[N, dimensions]`."""
        found = torch.as_tensor(np.asarray(seen, np.float32))
        unit: Floats = F.normalize(self._sight(found), dim=-1).double().numpy()
        return unit

    @torch.no_grad()
    def of_texts(self, texts: Sequence[str]) -> Floats:
        """Unit embeddings of texts `[K, dimensions]`."""
        found = self._said(self._text(self._text.tokens(texts)))
        unit: Floats = F.normalize(found, dim=-1).double().numpy()
        return unit
