"""A text GAN that is guided by embeddings: captions that read like a corpus and mean what is seen, without pairs.

    target  t(x) = Σ_j softmax_j(cos(x, c_j) / T) c_j        of what is seen x, over the texts c_j of the whole corpus
    meaning = k (w_c cos(y, t) + (1 − w_c)(1 − mean |y − t|))
    R = w meaning + (1 − w) naturalness        w: 0 in the warm-up, then in a straight line to its most

Naturalness is the logit of a discriminator that is taught, along with the generator, to tell the corpus from what is
generated. Of pictures and texts in one space each kind lies on its own side: t is a mixture of texts, so that a caption
is compared with texts, and the gap between the kinds is not rewarded.

Source: CgT-GAN (Yu et al. 2023): CLIP-agg, or CLIP-cos where x itself is the target and w_c = 1. The logit in place of
log D, k = 100, T = 1/100 and the ramp are those of its released code.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.cosines import cosines

Floats = NDArray[np.float64]


def aggregated_targets(seen: ArrayLike, corpus: ArrayLike, temperature: float = 0.01) -> Floats:
    """What is seen as a mixture of the texts of a corpus `[B, d]`; as T falls to 0, the text that is most alike.

    Args:
        seen: embeddings of pictures `[B, d]`, of any length.
        corpus: embeddings of texts `[N, d]`, mixed as they are.
        temperature: T, above 0.

    Raises:
        ValueError: shapes that do not fit, no text, one that is not known, or a temperature that is not above 0.
    """
    pictures, texts = np.asarray(seen, np.float64), np.asarray(corpus, np.float64)
    if pictures.ndim != 2 or texts.ndim != 2 or pictures.shape[1] != texts.shape[1] or not len(texts):
        raise ValueError(f"got shapes {pictures.shape} and {texts.shape}; expected [B, d] and [N, d], one text or more")
    if not np.isfinite(texts).all() or not temperature > 0:
        raise ValueError(f"got temperature={temperature}, or texts that are not known; expected above 0, and all known")
    logits = cosines(pictures, texts) / temperature
    weights = np.exp(logits - logits.max(1, keepdims=True))
    found: Floats = (weights / weights.sum(1, keepdims=True)) @ texts
    return found


def meaning(texts: ArrayLike, targets: ArrayLike, cosine_weight: float = 0.5, scale: float = 100.0) -> Floats:
    """How near texts are to what they should mean `[B]`; `scale` where they are the same, NaN where one is NULL.

    Args:
        texts: embeddings of captions `[B, d]`; NaN where NULL.
        targets: of what each should mean `[B, d]`.
        cosine_weight: w_c, share of the cosine; the rest is of the distance of all numbers.
        scale: k, above 0: what it counts beside a discriminator's logits.

    Raises:
        ValueError: shapes that differ, or settings out of range.
    """
    y, t = np.asarray(texts, np.float64), np.asarray(targets, np.float64)
    if y.shape != t.shape or y.ndim != 2 or not 0 <= cosine_weight <= 1 or not scale > 0:
        raise ValueError(
            f"got shapes {y.shape} and {t.shape}, cosine_weight={cosine_weight} and scale={scale}; expected [B, d] "
            "twice, one in [0, 1], and one above 0"
        )
    length = np.linalg.norm(y, axis=1) * np.linalg.norm(t, axis=1)
    cosine = (y * t).sum(1) / np.where(length == 0, 1.0, length)
    found: Floats = scale * (cosine_weight * cosine + (1 - cosine_weight) * (1 - np.abs(y - t).mean(1)))
    return found


def meaning_weight(update: int, warm_up: int, ramp: int, most: float = 0.5) -> float:
    """W in an update, counted from 0: 0 for `warm_up` updates, then up to `most` within `ramp` of them.

    Raises:
        ValueError: numbers below 0, or a weight outside [0, 1].
    """
    if min(update, warm_up, ramp) < 0 or not 0 <= most <= 1:
        raise ValueError(
            f"got update={update}, warm_up={warm_up}, ramp={ramp} and most={most}; expected at least 0, and a "
            "weight of at most 1"
        )
    if update < warm_up:
        return 0.0
    return most * min((update - warm_up) / ramp, 1.0) if ramp else most


def guided(naturalness: ArrayLike, meant: ArrayLike, weight: float) -> Floats:
    """R `[B]`, with weight 0 a plain text GAN; NaN where one is NULL that has a weight.

    Args:
        naturalness: logits of the discriminator `[B]`.
        meant: `meaning` of the same captions `[B]`.
        weight: w, 0 to 1.

    Raises:
        ValueError: shapes that differ, or a weight outside [0, 1].
    """
    natural, semantic = np.asarray(naturalness, np.float64), np.asarray(meant, np.float64)
    if natural.shape != semantic.shape or not 0 <= weight <= 1:
        raise ValueError(f"got {natural.shape}, {semantic.shape} and weight={weight}; expected [B] twice, and 0 to 1")
    parts = [share * values for share, values in ((weight, semantic), (1 - weight, natural)) if share]
    found: Floats = np.sum(parts, axis=0)
    return found
