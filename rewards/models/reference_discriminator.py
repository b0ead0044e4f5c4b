"""Adv-GRPO: a reward that tells the policy's samples from references, and is updated together with the policy.

D is a small head on features that do not learn: one vector of the whole sample and N of its patches. References are its
positives, the policy's latest samples its negatives:

    L(u, v) = ½ (mean relu(1 − u) + mean relu(1 + v))          u of references, v of samples
    L_D = L(D(whole)) + 0.3 L(D(patches))
    R = 0.7 D(whole) + 0.3 mean over patches of D(patch)        normalised within groups, as any reward

A policy that gains by a fault of D gives the samples by which D unlearns it; with D left as it was, the fault stays.

Source: Adv-GRPO, The Image as Its Own Reward (2025): features of DINOv2, 64 patches drawn at random, Adam with β 0.5
and 0.999. In its released code features have length 1 where they are scored; chosen here: also where D learns, and all
patches are taken where there are no more than 64.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Logits(NamedTuple):
    """D of B samples.

    Attributes:
        whole: of the whole samples `[B]`.
        patches: of some patches of each `[B, P]`; P may be 0.
    """

    whole: Tensor
    patches: Tensor


class ReferenceDiscriminator(nn.Module):
    """D: one head for the whole and for the patches."""

    def __init__(self, size: int, hidden: int = 512, most: int = 64, patch_weight: float = 0.3, seed: int = 0) -> None:
        """Random weights that `seed` determines; torch's global generator is left as it was.

        Args:
            size: numbers of a feature.
            hidden: width of the head.
            most: patches of a sample that are looked at.
            patch_weight: share of the patches in the reward.
            seed: of the weights.

        Raises:
            ValueError: a weight outside [0, 1], or fewer than no patches.
        """
        super().__init__()
        if not 0 <= patch_weight <= 1 or most < 0:
            raise ValueError(f"got patch_weight={patch_weight} and most={most}; expected 0 to 1, and at least 0")
        self.most, self.patch_weight = most, patch_weight
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, 1))

    def forward(self, features: Tensor, generator: torch.Generator | None = None) -> Logits:
        """D of samples.

        Args:
            features: `[B, 1 + N, d]`, the whole before its patches.
            generator: draws patches where there are more than `most`; None: torch's own.

        Raises:
            ValueError: not `[B, 1 + N, d]`.
        """
        if features.ndim != 3 or not features.shape[1]:
            raise ValueError(f"got features of shape {tuple(features.shape)}; expected [B, 1 + N, d]")
        patches = features[:, 1:]
        if (number := patches.shape[1]) > self.most:
            drawn = torch.randint(number, (len(patches), self.most), generator=generator).to(patches.device)
            patches = patches.gather(1, drawn[..., None].expand(-1, -1, patches.shape[-1]))
        found: Tensor = self.head(F.normalize(torch.cat([features[:, :1], patches], 1), dim=-1))[..., 0]
        return Logits(found[:, 0], found[:, 1:])

    @torch.no_grad()
    def reward(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """R of samples `[B]`; where they have no patches, D of the whole."""
        found = self(features, generator)
        if not found.patches.shape[1]:
            whole: Tensor = found.whole
            return whole
        blended: Tensor = (1 - self.patch_weight) * found.whole + self.patch_weight * found.patches.mean(1)
        return blended


def hinge_loss(references: Logits, samples: Logits, patch_weight: float = 0.3) -> Tensor:
    """L_D; 1 + `patch_weight` where D is 0 everywhere, 1 without patches.

    Args:
        references: D of the references `[B]` and `[B, P]`.
        samples: of the policy's samples, of which there may be another number.
        patch_weight: of the patches' loss.
    """
    parts = [_hinge(references.whole, samples.whole)]
    if references.patches.shape[1] and samples.patches.shape[1] and patch_weight:
        parts.append(patch_weight * _hinge(references.patches, samples.patches))
    return torch.stack(parts).sum()


def _hinge(above: Tensor, below: Tensor) -> Tensor:
    return 0.5 * (F.relu(1 - above).mean() + F.relu(1 + below).mean())


def discrimination(references: Logits, samples: Logits) -> float:
    """How often D puts the whole on its side of 0, references above and samples below; one on 0 is half right."""
    sides = [torch.sign(one.whole.detach()).mean() for one in (references, samples)]
    return 0.5 + float(sides[0] - sides[1]) / 4
