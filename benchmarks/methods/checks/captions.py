"""Check of captions without pairs: sentences of a small grammar about pictures, in one space of embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.forms import Field, Form, trained
from benchmarks.methods.worlds.scores import grpo
from learners.objectives.occupancy import discriminator
from rewards.columns import Column
from rewards.sources.text_gan import aggregated_targets, guided, meaning, meaning_weight

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

END, ARTICLE = 0, 1
KINDS = (4, 6, 4)
"""How many colours, things and deeds there are; a sentence is the article, one of each, and the end."""
STARTS = tuple(2 + sum(KINDS[:place]) for place in range(len(KINDS)))
VOCABULARY, LENGTH, SIZE = 2 + sum(KINDS), 5, 16
SCENES = np.stack(np.meshgrid(*(np.arange(kinds) for kinds in KINDS), indexing="ij"), -1).reshape(-1, 3)
"""All that pictures can show: a colour, a thing and a deed."""
CORPUS, STRAY = 400, 0.03
"""Sentences that belong to no picture, and how much any other word is likely in their places at first."""
GAP, BLUR = 1.0, 0.2
"""Length of what lies between pictures and texts, and noise of each number of a picture's embedding."""
TEMPERATURE = 0.05
"""Of the mixture."""
SCALE, WARM_UP, RAMP = 20.0, 20, 40
"""What meaning counts beside the discriminator, and updates without it and until it counts in full."""
Target = Literal["none", "aggregated", "picture"]


def sentences(facts: Ints) -> Ints:
    """What is said of scenes `[n, LENGTH]`."""
    found = np.full((len(facts), LENGTH), END)
    found[:, 0], found[:, 1:4] = ARTICLE, facts + STARTS
    return found


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    found: Floats = vectors / np.where(length > 0, length, 1.0)
    return found


class World:
    """A corpus, one picture of each scene, and an embedding of both that does not learn."""

    def __init__(self, seed: int) -> None:
        """All from `seed`."""
        random = np.random.default_rng(seed)
        self._vectors = random.normal(size=(VOCABULARY, SIZE)) / np.sqrt(SIZE)
        self._vectors[END] = 0.0
        self.corpus = sentences(SCENES[random.integers(0, len(SCENES), CORPUS)])
        apart = GAP * _unit(random.normal(size=SIZE)) + random.normal(0, BLUR, (len(SCENES), SIZE))
        self.pictures = _unit(self.texts(sentences(SCENES)) + apart)

    def texts(self, tokens: Ints) -> Floats:
        """Embeddings of texts `[n, SIZE]`, of length 1: the direction of all their words, whatever their order."""
        return _unit(self._vectors[tokens].sum(1))

    def generator(self) -> Form:
        """Who writes much like the corpus, whatever the picture."""
        shares = np.stack([np.bincount(words, minlength=VOCABULARY) for words in self.corpus.T]) / CORPUS
        return Form([Field(VOCABULARY, len(SCENES), start=np.log(share + STRAY)[None]) for share in shares])


class Reader(nn.Module):
    """A discriminator that sees which word stands where."""

    def __init__(self, seed: int) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(nn.Linear(LENGTH * VOCABULARY, 48), nn.ReLU(), nn.Linear(48, 1))
        self._optimiser = torch.optim.Adam(self.parameters(), 3e-3)

    def forward(self, tokens: Ints) -> Tensor:
        """Logits `[n]`, high for the corpus."""
        read = nn.functional.one_hot(torch.as_tensor(tokens), VOCABULARY).flatten(1).float()
        found: Tensor = self.body(read)[:, 0]
        return found

    def learn(self, corpus: Ints, written: Ints) -> None:
        """One step: tell the two apart."""
        self._optimiser.zero_grad()
        discriminator(self(corpus), self(written)).backward()
        self._optimiser.step()


def captioned(seed: int, target: Target, most: float = 0.5, updates: int = 400) -> Mapping[str, float]:
    """How good captions of pictures are.

    Args:
        seed: of everything.
        target: what meaning is compared with: a mixture of the corpus, or the picture; none has no meaning.
        most: weight of meaning in the end; with 1 nothing else counts, from the beginning on.
        updates: of the policy gradient.
    """
    here, reader, draw = World(seed), Reader(seed), np.random.default_rng(300 + seed)
    form, done = here.generator(), 0
    mixed = aggregated_targets(here.pictures, here.texts(here.corpus), TEMPERATURE)
    aims, cosine_weight = (here.pictures, 1.0) if target == "picture" else (mixed, 0.5)

    def told(update: int, prompt: Ints, forms: Ints) -> None:
        nonlocal done
        done = update
        reader.learn(here.corpus[draw.integers(0, CORPUS, len(forms))], forms)

    def judged(prompt: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        meant = meaning(here.texts(forms), aims[prompt], cosine_weight, SCALE)
        with torch.no_grad():
            natural = reader(forms).numpy()
        weight = 0.0 if target == "none" else 1.0 if most == 1 else meaning_weight(done, WARM_UP, RAMP, most)
        return {"score": Column.full(guided(natural, meant, weight))}

    trained(form, len(SCENES), judged, grpo(), seed, updates, groups=64, rate=60.0, on_update=told)
    prompt = np.repeat(np.arange(len(SCENES)), 10)
    captions, wanted = form.filled(prompt, np.random.default_rng(900 + seed)), SCENES[prompt] + STARTS
    words = captions[:, 1:4] - STARTS
    sound = (captions[:, 0] == ARTICLE) & (captions[:, 4] == END) & ((words >= 0) & (words < KINDS)).all(1)
    named = (captions[:, :, None] == wanted[:, None]).any(1).mean(1)
    return {
        "gold": float((sound * named).mean()),
        "grammatical": float(sound.mean()),
        "facts named": float(named.mean()),
    }


def _both_are_needed(found: Found) -> bool:
    both = "CLIP-agg and discriminator"
    alone = ("discriminator alone", "CLIP-cos alone", "CLIP-agg alone")
    apart = found.difference(both, "CLIP-cos and discriminator", "gold")
    return all(found.above(both, one, "gold") for one in alone) and (apart.low or 0.0) > -0.02


CGT_GAN = Check(
    row=71,
    name="adversarial-naturalness-plus-semantic-reward",
    claim="Paid for naturalness and meaning, captions are more often sentences that name what is seen than paid for "
    "either alone; where pictures and texts lie apart, a mixture of the corpus is no worse a target than the picture "
    "itself, within 0.02.",
    arms={
        "discriminator alone": lambda seed: captioned(seed, "none"),
        "CLIP-cos alone": lambda seed: captioned(seed, "picture", most=1.0),
        "CLIP-agg alone": lambda seed: captioned(seed, "aggregated", most=1.0),
        "CLIP-cos and discriminator": lambda seed: captioned(seed, "picture"),
        "CLIP-agg and discriminator": lambda seed: captioned(seed, "aggregated"),
    },
    holds=_both_are_needed,
    units={"gold": "share of facts", "grammatical": "share of captions", "facts named": "share of facts"},
)
