"""`TokenBatch`: sequences of tokens, one behind another, with whatever is known of each token beside them.

    token_ids    p0 p1 a0 a1 a2 | q0 b0 b1        flat [N], lengths [5, 3]
    loss_mask     ·  ·  1  1  1 |  ·  1  1        the policy's own tokens
    streams      {"advantages": [N], "behaviour_log_probs": [N], …}

Everything about token t stands at t: its log-probability given all before it, the value of the state that it was chosen
in, its advantage. Padding and packing exist only inside a forward pass (`learners.language.layout`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from learners.batch import row_index

T = TypeVar("T")

PerToken = Sequence[ArrayLike]
"""One array for each sequence, of its length."""

PerSequence = Sequence[float | None]
"""One number for each sequence; None: not known."""


@dataclass(frozen=True)
class TokenBatch:
    """B sequences of N tokens in all.

    Attributes:
        token_ids: int64 `[N]`.
        lengths: tokens of each sequence, int64 `[B]`.
        loss_mask: True at the policy's own tokens, `[N]`; never at the first token of a sequence, which nothing
            predicts.
        streams: by name, float32 `[N]`: `behaviour_log_probs` (as sampled), `proximal_log_probs` (of the learner before
            the update), `reference_log_probs`, `advantages`, `rewards`, `weights` (how much a token counts; 0: not at
            all, whatever else is said of it), `token_versions`.
        facts: by name, float32 `[B]`: what is known of each sequence, such as `labels`, `margins` or `scores`.
        row_ids: name of each sequence, for messages.
    """

    token_ids: Tensor
    lengths: Tensor
    loss_mask: Tensor
    streams: Mapping[str, Tensor] = field(default_factory=dict)
    facts: Mapping[str, Tensor] = field(default_factory=dict)
    row_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ValueError: a shape is wrong, a sequence is empty, or a first token is to be learnt.
        """
        tokens, rows = len(self.token_ids), len(self.lengths)
        for name, stream in {"loss_mask": self.loss_mask, **self.streams}.items():
            if stream.shape != (tokens,):
                raise ValueError(f"got {name} of shape {tuple(stream.shape)}; expected one number a token, ({tokens},)")
        for name, fact in self.facts.items():
            if fact.shape != (rows,):
                raise ValueError(f"got {name} of shape {tuple(fact.shape)}; expected one number a sequence, ({rows},)")
        if not rows or int(self.lengths.min()) < 1 or int(self.lengths.sum()) != tokens:
            raise ValueError(
                f"got {tokens} tokens and lengths {self.lengths.tolist()}; expected one or more sequences, none empty, "
                "whose lengths add up to the tokens"
            )
        if bool(self.loss_mask[self.starts].any()):
            raise ValueError(
                "got a loss_mask that is True at the first token of a sequence; expected a prompt before it"
            )
        if self.row_ids and len(self.row_ids) != rows:
            raise ValueError(f"got {len(self.row_ids)} row_ids for {rows} sequences; expected one for each, or none")

    @property
    def starts(self) -> Tensor:
        """Where each sequence begins, `[B]`."""
        return self.lengths.cumsum(0) - self.lengths

    @property
    def sequence(self) -> Tensor:
        """Which sequence each token belongs to, `[N]`."""
        return torch.arange(len(self.lengths), device=self.lengths.device).repeat_interleave(self.lengths)

    @property
    def weights(self) -> Tensor:
        """How much each token counts: `weights` (1 without it) at the policy's own tokens, 0 elsewhere, `[N]`."""
        own = self.loss_mask.float()
        return torch.where(self.loss_mask, self.streams["weights"], own) if "weights" in self.streams else own

    def stream(self, name: str) -> Tensor:
        """What is known of each token by a name, `[N]`.

        Raises:
            ValueError: nothing is.
        """
        if name not in self.streams:
            raise ValueError(
                f"got a batch without {name}; expected them beside {sorted(self.streams)}: "
                "give them to build_token_batch"
            )
        return self.streams[name]

    def fact(self, name: str) -> Tensor:
        """What is known of each sequence by a name, `[B]`.

        Raises:
            ValueError: nothing is.
        """
        if name not in self.facts:
            raise ValueError(f"got a batch without {name}; expected them beside {sorted(self.facts)}")
        return self.facts[name]

    def with_streams(self, **streams: Tensor) -> TokenBatch:
        """The batch, knowing more of its tokens."""
        return replace(self, streams={**self.streams, **streams})

    def with_facts(self, **facts: Tensor) -> TokenBatch:
        """The batch, knowing more of its sequences."""
        return replace(self, facts={**self.facts, **facts})

    def to(self, device: torch.device) -> TokenBatch:
        """The batch on `device`; itself where it is there already."""
        if self.token_ids.device == device:
            return self
        return replace(
            self,
            token_ids=self.token_ids.to(device),
            lengths=self.lengths.to(device),
            loss_mask=self.loss_mask.to(device),
            streams={name: stream.to(device) for name, stream in self.streams.items()},
            facts={name: fact.to(device) for name, fact in self.facts.items()},
        )

    def tokens_of(self, sequences: Tensor) -> Tensor:
        """Where the tokens of the chosen sequences `[b]` lie, `[n]`."""
        return row_index(sequences, self.lengths)

    def select(self, sequences: Tensor) -> TokenBatch:
        """The sequences of the given indices `[b]`, in that order."""
        tokens = self.tokens_of(sequences)
        return TokenBatch(
            token_ids=self.token_ids[tokens],
            lengths=self.lengths[sequences],
            loss_mask=self.loss_mask[tokens],
            streams={name: stream[tokens] for name, stream in self.streams.items()},
            facts={name: fact[sequences] for name, fact in self.facts.items()},
            row_ids=tuple(self.row_ids[i] for i in sequences.tolist()) if self.row_ids else (),
        )


def build_token_batch(
    token_ids: Sequence[Sequence[int] | ArrayLike],
    loss_mask: Sequence[ArrayLike],
    *,
    advantages: PerSequence | PerToken | None = None,
    rewards: PerSequence | PerToken | None = None,
    weights: PerSequence | PerToken | None = None,
    streams: Mapping[str, PerToken] | None = None,
    facts: Mapping[str, ArrayLike] | None = None,
    row_ids: Sequence[str] = (),
) -> TokenBatch:
    """A batch out of B sequences.

    Advantages and rewards that are not known (None, or NaN in an array) stay NaN, and their tokens have weight 0: they
    are in no loss and in no denominator.

    Args:
        token_ids: of each sequence.
        loss_mask: True at the policy's own tokens; True at the very first token of a sequence is an error.
        advantages: one number a sequence, which all its tokens share, or one array a sequence.
        rewards: one number a sequence, paid at its last own token, or one array a sequence.
        weights: how much tokens count; one number a sequence, or one array a sequence.
        streams: by name, whatever else is known of each token; see `TokenBatch`.
        facts: by name, one number a sequence.
        row_ids: name of each sequence.

    Raises:
        ValueError: lengths differ, or a first token is to be learnt.
    """
    lengths = [len(np.asarray(ids)) for ids in token_ids]
    masks = [np.asarray(mask, np.bool_) for mask in loss_mask]
    flat: dict[str, np.ndarray] = {}
    for name, values in (streams or {}).items():
        flat[name] = _joined(name, [np.asarray(one, np.float32) for one in values], lengths)
    if advantages is not None:
        flat["advantages"] = _joined("advantages", [_spread(*pair) for pair in _zip(advantages, lengths)], lengths)
    if rewards is not None:
        paid = [_at_the_end(value, mask) for value, mask in _zip(rewards, masks)]
        flat["rewards"] = _joined("rewards", paid, lengths)
    counted = [np.ones(n, np.float32) for n in lengths]
    if weights is not None:
        counted = [_spread(*pair) for pair in _zip(weights, lengths)]
    weight = _joined("weights", counted, lengths)
    for name in ("advantages", "rewards"):
        if name in flat:
            weight = np.where(np.isnan(flat[name]), np.float32(0), weight)
    flat["weights"] = weight
    return TokenBatch(
        token_ids=torch.from_numpy(np.concatenate([np.asarray(ids, np.int64) for ids in token_ids])),
        lengths=torch.tensor(lengths),
        loss_mask=torch.from_numpy(_joined("loss_mask", masks, lengths)),
        streams={name: torch.from_numpy(stream.astype(np.float32)) for name, stream in flat.items()},
        facts={name: torch.from_numpy(np.array(values, np.float32)) for name, values in (facts or {}).items()},
        row_ids=tuple(row_ids),
    )


def _zip(values: PerSequence | PerToken, others: Sequence[T]) -> Iterator[tuple[Any, T]]:
    """Numbers or arrays beside the sequences that they belong to.

    Raises:
        ValueError: there are not as many.
    """
    if len(values) != len(others):
        raise ValueError(f"got {len(values)} numbers or arrays for {len(others)} sequences; expected one for each")
    return zip(values, others, strict=True)


def _spread(value: ArrayLike | None, length: int) -> np.ndarray:
    """One number for all tokens of a sequence, or what each of them has already."""
    array = np.asarray(np.nan if value is None else value, np.float32)
    return np.full(length, array) if array.ndim == 0 else array


def _at_the_end(value: ArrayLike | None, mask: np.ndarray) -> np.ndarray:
    """One number at the last own token of a sequence, or what each token has already."""
    array = np.asarray(np.nan if value is None else value, np.float32)
    if array.ndim:
        return array
    paid = np.zeros(len(mask), np.float32)
    own = np.flatnonzero(mask)
    # What was paid is not known for any token of the sequence if the one reward is not.
    if np.isnan(array):
        paid[:] = array
    elif len(own):
        paid[own[-1]] = array
    return paid


def _joined(name: str, arrays: Sequence[np.ndarray], lengths: Sequence[int]) -> np.ndarray:
    """Arrays one behind another.

    Raises:
        ValueError: they are not one a sequence, of its length.
    """
    found = [array.shape for array in arrays]
    if found != [(n,) for n in lengths]:
        raise ValueError(f"got {name} of shapes {found}; expected one a token, {[(n,) for n in lengths]}")
    return np.concatenate(arrays)
