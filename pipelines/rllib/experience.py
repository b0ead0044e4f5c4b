"""What RLlib's episodes say of themselves: captions of steps out of `infos`, and what was learnt of what was sampled.

RLlib cuts episodes into chunks. A chunk of T steps carries T + 1 infos: the first belongs to the observation that it
starts from, and so to the last step of the chunk before; info t + 1 says what step t brought about. No Ray here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.trajectory import EpisodeEnd, Fragment
from learners.replay.ledger import Count, ReplayLedger

CAPTION, CAPTION_ID, CAPTION_COUNT = "caption", "caption_id", "caption_count"
ENV_RETURN, LENGTH, SUCCESS, TRUNCATED = "episode_env_return", "episode_steps", "episode_success", "episode_truncated"
MARK = "guerdon_fragment"  # under which a chunk carries the key of its fragment

Key = tuple[int, int, int]
Infos = Sequence[Mapping[str, Any]]


class Captions(NamedTuple):
    """Captions of N steps: id (0: nothing happened) and how often it came in the episode so far, `[N]` each."""

    ids: NDArray[np.int64]
    counts: NDArray[np.int32]


def captions_of(infos: Infos) -> Captions:
    """The captions of the steps that led to these infos; those of episodes' first observations are not among them."""
    ids = np.fromiter((info.get(CAPTION_ID, 0) for info in infos), np.int64, len(infos))
    return Captions(ids, np.fromiter((info.get(CAPTION_COUNT, 0) for info in infos), np.int32, len(infos)))


def fragment_of(key: Key, chunks: Sequence[tuple[str, Infos]], policy_version: int, sent: set[int]) -> Fragment:
    """What an env runner says of one sample.

    Args:
        key: runner, its epoch, number of the sample.
        chunks: episode id, and the infos that its steps led to, of each chunk.
        policy_version: weights that acted.
        sent: captions that this runner has sent before; added to.
    """
    texts: dict[int, str] = {}
    times: Counter[int] = Counter()
    ended = []
    for episode, infos in chunks:
        for info in infos:
            if ident := int(info.get(CAPTION_ID, 0)):
                times[ident] += 1
                if ident not in sent:
                    texts[ident] = str(info[CAPTION])
        if infos and ENV_RETURN in infos[-1]:
            last = infos[-1]
            success = bool(last[SUCCESS]) if SUCCESS in last else None
            ended.append(
                EpisodeEnd(episode, float(last[ENV_RETURN]), int(last[LENGTH]), success, bool(last[TRUNCATED]))
            )
    sent |= set(texts)
    frames = sum(len(infos) for _, infos in chunks)
    return Fragment(key, policy_version, frames, len(chunks), texts, dict(times), ended)


class SampleBooks:
    """What became of the steps that env runners sampled: learnt from, or on the way to the learner.

    Learners report what they made batches of by fragment, and may do so before the runner's own word has come. A
    report of more steps than there were, or of a fragment that nobody has heard of, leaves the books unbalanced.
    """

    def __init__(self) -> None:
        """Nothing sampled yet."""
        self.accepted, self.learnt = Count(), Count()
        self._open: dict[Key, Count] = {}
        self._early: dict[Key, Count] = {}
        self._newest: dict[int, tuple[int, int]] = {}  # epoch and next number by runner
        self.duplicates = self.batches = 0

    def sampled(self, fragment: Fragment) -> bool:
        """A fragment came; gives whether it is new."""
        runner, epoch, number = fragment.key
        if (epoch, number) < self._newest.get(runner, (0, 0)):
            self.duplicates += 1
            return False
        self._newest[runner] = (epoch, number + 1)
        count = Count(1, fragment.rows, fragment.frames)
        self.accepted += count
        self._open[fragment.key] = count
        if (early := self._early.pop(fragment.key, None)) is not None:
            self._settle(fragment.key, early)
        return True

    def trained(self, steps: Mapping[Key, tuple[int, int]]) -> None:
        """A learner made a batch of so many chunks and steps of each of these fragments."""
        self.batches += 1
        for key, (rows, frames) in steps.items():
            self._settle(key, Count(0, rows, frames))

    def _settle(self, key: Key, count: Count) -> None:
        if key not in self._open:
            self._early[key] = self._early.get(key, Count()) + count
            return
        left = self._open[key] - count
        self.learnt += count
        if left.frames == 0 and left.rows == 0:
            self.learnt += Count(fragments=1)
            del self._open[key]
        else:
            self._open[key] = left

    def ledger(self) -> ReplayLedger:
        """The books in the form that all runs have: what was sampled is `live` until it was learnt from."""
        live = sum((count for count in self._open.values() if count.frames > 0), Count())
        learnt = sum(self._early.values(), self.learnt)  # of fragments that nobody has heard of
        return ReplayLedger(
            accepted=self.accepted,
            live=live,
            held=Count(),
            consumed=learnt,
            dropped={},
            duplicates=self.duplicates,
            fenced=0,
            samples=self.batches,
            sampled_items=learnt.fragments,
            sampled_rows=learnt.rows,
            redelivered=0,
            unreleased=0,
        )

    def state_dict(self) -> dict[str, Any]:
        """What is kept over a resume: totals. What was on the way when the run ended is lost, and so never accepted."""
        done = self.learnt
        return {"learnt": [done.fragments, done.rows, done.frames], "batches": self.batches}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.accepted = self.learnt = Count(*(int(number) for number in state["learnt"]))
        self.batches = int(state["batches"])
