"""`Unroll`: steps a vector of environments with a policy and writes what happened as trajectories.

Each call of `rollout` takes `length` steps of all environments and closes every row, so that the policy version of
a row is known and nothing waits inside the actor. An episode that goes on is continued by the next fragment, with
the recurrent state stored in the row.

Where somebody else computes what the policy says (actors/inference.py), the environments come in two parts that take
turns: while one waits for its answer, the other is stepped. With a policy of its own an actor gains nothing by that on
NetHack, whose steps keep Python's lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from actors.inference import Decision, Inference, OwnInference
from actors.policy import RecurrentPolicy
from envs.trajectory import OBSERVATION, EpisodeEnd, Fragment, ragged, schema_for
from envs.vector import VectorEnvironment


class Unroll:
    """One actor's environments, its policy, and its place in the sequence of fragments."""

    def __init__(
        self,
        environments: VectorEnvironment | Sequence[VectorEnvironment],
        policy: RecurrentPolicy,
        length: int,
        seed: int,
        actor: int,
        epoch: int,
        inference: Inference | None = None,
    ) -> None:
        """Reset all environments.

        Args:
            environments: of one task; several vectors of them take turns.
            policy: draws the actions.
            length: steps of each environment in one rollout.
            seed: drives action sampling.
            actor: names this writer, with `epoch`.
            epoch: counts up when the actor is started again.
            inference: computes what the policy says; None: `policy` does.
        """
        self.parts = [environments] if isinstance(environments, VectorEnvironment) else list(environments)
        ends = np.cumsum([part.num_envs for part in self.parts]).tolist()
        self._slices = [slice(end - part.num_envs, end) for end, part in zip(ends, self.parts, strict=True)]
        self.num_envs, self.policy, self.length = ends[-1], policy, length
        self.actor, self.epoch, self.sequence = actor, epoch, 0
        self.inference = inference or OwnInference(policy)
        self.spec = self.parts[0].spec
        self.schema = schema_for(self.spec, policy.state_size)
        self._generator = torch.Generator().manual_seed(seed)
        self._sent: set[int] = set()
        for part in self.parts:
            part.reset()
        self._state = policy.initial_state(self.num_envs)
        self._returns = np.zeros(self.num_envs)

    def load_weights(self, version: int, blob: bytes) -> None:
        """Act with `version` from now on, where the actor itself computes what the policy says."""
        if isinstance(self.inference, OwnInference):
            self.inference.load(version, blob)

    def rollout(self) -> tuple[Fragment, pa.RecordBatch]:
        """Take `length` steps in every environment.

        Raises:
            ContractViolation: an environment broke its contract; the message names it.
            InferenceLost: nobody said what the policy says; the steps so far are lost, and the next rollout goes on.
        """
        n, length, spec = self.num_envs, self.length, self.spec
        observations = {
            key: np.empty((n, length + 1, *a.shape), a.dtype) for key, a in spec.observation.items()
        }  # [N, T+1, …]; position t+1 holds what step t led to, also where the episode ended there
        action = np.empty((n, length, *spec.action.shape), spec.action.dtype)
        logprob, reward, discount = (np.empty((n, length), np.float32) for _ in range(3))
        caption_id, caption_count = np.empty((n, length), np.int64), np.empty((n, length), np.int32)
        version = np.empty((n, length), np.int64)
        last = np.zeros((n, length), np.bool_)
        success: dict[tuple[int, int], bool | None] = {}
        starts: dict[tuple[int, int], dict[str, NDArray[Any]]] = {}  # first observations of rows that begin inside
        first_state = self._state.clone()
        first_step = np.concatenate([part.episode_step for part in self.parts])
        first_episode = np.concatenate([part.episode_index for part in self.parts])
        captions: dict[int, str] = {}
        episodes: list[EpisodeEnd] = []
        for part, here in zip(self.parts, self._slices, strict=True):
            for key, block in part.observation.items():
                observations[key][here, 0] = block
        infer_s = step_s = 0.0

        def ask(part: VectorEnvironment, here: slice) -> Callable[[], Decision]:
            seen = {key: torch.from_numpy(block) for key, block in part.observation.items()}
            return self.inference.ask(seen, self._state[here])

        tick = time.perf_counter()
        answers = [ask(part, here) for part, here in zip(self.parts, self._slices, strict=True)]
        infer_s += time.perf_counter() - tick
        for t in range(length):
            for turn, (part, here) in enumerate(zip(self.parts, self._slices, strict=True)):
                tick = time.perf_counter()
                decision = answers[turn]()
                chosen, scored = self.policy.choose(decision.parameters, self._generator)
                self._state[here] = decision.state
                action[here, t] = choices = chosen.numpy()
                logprob[here, t], version[here, t] = scored.numpy(), decision.version
                tock = time.perf_counter()
                outcome = part.step(choices)
                reward[here, t], discount[here, t], last[here, t] = outcome.reward, outcome.discount, outcome.last
                caption_id[here, t], caption_count[here, t] = outcome.caption_ids, outcome.caption_counts
                self._returns[here] += outcome.reward
                captions |= {int(outcome.caption_ids[index]): text for index, text in outcome.captions.items()}
                for key, block in part.observation.items():
                    observations[key][here, t + 1] = block
                if outcome.last.any():
                    for i in np.flatnonzero(outcome.last).tolist():
                        success[here.start + i, t] = solved = outcome.success.get(i)
                        episodes.append(self._episode_end(part, i, solved, bool(outcome.discount[i] > 0)))
                    self._returns[here][outcome.last] = 0.0
                    for i in part.reset_finished().tolist():
                        self._state[here.start + i] = 0.0
                        starts[here.start + i, t + 1] = {key: b[i].copy() for key, b in part.observation.items()}
                ticked = time.perf_counter()
                if t + 1 < length:
                    answers[turn] = ask(part, here)
                infer_s += tock - tick + time.perf_counter() - ticked
                step_s += ticked - tock

        tick = time.perf_counter()
        row_env, row_start, row_length = rows_of(last)
        columns: dict[str, Any] = {}
        for key, a in spec.observation.items():
            seen = _with_starts(observations[key], key, row_env, row_start, row_length, starts)
            columns[OBSERVATION + key] = ragged(seen.reshape(-1, *(a.shape or (1,))), row_length + 1)
        at_start = row_start == 0
        # A row that begins inside the rollout begins an episode, with an empty memory.
        memory = first_state.numpy()[row_env] * at_start[:, None].astype(np.float32)
        # Rows of one environment follow each other and cover all its steps, so [N, T] flattened is their concatenation.
        for name, values in (
            ("behaviour_logprob", logprob),
            ("env_reward", reward),
            ("discount", discount),
            ("caption_id", caption_id),
            ("caption_count", caption_count),
        ):
            columns[name] = ragged(values.reshape(-1), row_length)
        columns["action"] = ragged(action.reshape(n * length, *spec.action.shape), row_length)
        count = len(row_env)
        earlier = np.zeros(count, np.int64)  # rows of the same environment before this one in the fragment
        earlier[1:] = row_env[1:] == row_env[:-1]
        for r in range(1, count):
            earlier[r] = earlier[r - 1] + 1 if earlier[r] else 0
        episode = first_episode[row_env] + earlier
        ended = last[row_env, row_start + row_length - 1]
        columns |= {
            "row_id": pa.array([f"{self.actor}/{self.epoch}/{self.sequence}/{r}" for r in range(count)]),
            "episode_id": pa.array([self._episode_id(i, e) for i, e in zip(row_env, episode, strict=True)]),
            "actor": pa.array(np.full(count, self.actor, np.int32)),
            "actor_epoch": pa.array(np.full(count, self.epoch, np.int32)),
            "sequence": pa.array(np.full(count, self.sequence, np.int64)),
            "env_index": pa.array(row_env.astype(np.int32)),
            "first_step": pa.array(np.where(at_start, first_step[row_env], 0).astype(np.int64)),
            "policy_version_min": pa.array(np.minimum.reduceat(version.reshape(-1), row_env * length + row_start)),
            "policy_version_max": pa.array(np.maximum.reduceat(version.reshape(-1), row_env * length + row_start)),
            "initial_state": pa.FixedSizeListArray.from_arrays(pa.array(memory.reshape(-1)), memory.shape[1]),
            "ended": pa.array(ended),
            "success": pa.array(
                [success.get((int(i), int(s + k - 1))) for i, s, k in zip(row_env, row_start, row_length, strict=True)],
                pa.bool_(),
            ),
        }
        rows = pa.RecordBatch.from_arrays([columns[name] for name in self.schema.names], schema=self.schema)
        write_s = time.perf_counter() - tick
        found, times = np.unique(caption_id[caption_id != 0], return_counts=True)
        fragment = Fragment(
            key=(self.actor, self.epoch, self.sequence),
            policy_version=int(version.min()),
            frames=n * length,
            rows=count,
            captions={ident: text for ident, text in captions.items() if ident not in self._sent},
            caption_steps=dict(zip(found.tolist(), times.tolist(), strict=True)),
            episodes=episodes,
            seconds={"infer": infer_s, "step": step_s, "write": write_s},
        )
        self.sequence += 1
        self._sent |= set(captions)
        return fragment, rows

    def _episode_id(self, env_index: int, episode: int) -> str:
        return f"{self.actor}/{self.epoch}/{env_index}/{episode}"

    def _episode_end(self, part: VectorEnvironment, i: int, success: bool | None, truncated: bool) -> EpisodeEnd:
        index = part.first + i
        ident = self._episode_id(index, int(part.episode_index[i]))
        return EpisodeEnd(ident, float(self._returns[index]), int(part.episode_step[i]), success, truncated)

    def close(self) -> None:
        """Close the environments."""
        for part in self.parts:
            part.close()


def rows_of(last: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Cut `[N, T]` steps into rows at episode ends: environment, first step and length of each row, by environment.

    Args:
        last: whether the episode ended with that step.
    """
    cut = last.copy()
    cut[:, -1] = True
    env, end = np.nonzero(cut)
    start = np.empty_like(end)
    start[0] = 0
    start[1:] = np.where(env[1:] == env[:-1], end[:-1] + 1, 0)
    return env, start, end - start + 1


def _with_starts(
    block: NDArray[Any],
    key: str,
    env: NDArray[np.int64],
    start: NDArray[np.int64],
    length: NDArray[np.int64],
    starts: dict[tuple[int, int], dict[str, NDArray[Any]]],
) -> NDArray[Any]:
    """Observations of all rows, concatenated: where no episode ended this is `block` itself, without a copy."""
    n, positions = block.shape[:2]
    if len(env) == n:
        whole: NDArray[Any] = block.reshape(n * positions, *block.shape[2:])
        return whole
    out: NDArray[Any] = np.empty((int(length.sum()) + len(env), *block.shape[2:]), block.dtype)
    cursor = 0
    for i, s, k in zip(env.tolist(), start.tolist(), length.tolist(), strict=True):
        out[cursor : cursor + k + 1] = block[i, s : s + k + 1]
        if s:
            out[cursor] = starts[i, s][key]
        cursor += k + 1
    return out
