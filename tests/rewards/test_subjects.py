"""Subjects of reward functions: what a step, a row and an episode are, in stored trajectories."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.specs import ArraySpec, Discrete, EnvSpec
from envs.trajectory import ragged, schema_for
from rewards.subjects import UNKNOWN, Subjects, names, subjects_of

SPEC = EnvSpec({"board": ArraySpec((2,), "uint8"), "clock": ArraySpec((), "int32")}, Discrete(3))
SCHEMA = schema_for(SPEC, 1)
CAPTIONS = {1: "one", 2: "two"}


def rows(*pieces: tuple[str, int, int, bool]) -> pa.RecordBatch:
    """Rows of (episode, first step, steps, ended); at step k of an episode everything is k, what it led to is k + 1."""
    lengths = np.array([steps for _, _, steps, _ in pieces])
    at = np.concatenate([np.arange(first, first + steps) for _, first, steps, _ in pieces])
    seen = np.concatenate([np.arange(first, first + steps + 1) for _, first, steps, _ in pieces])
    columns = {
        "row_id": [f"{episode}@{first}" for episode, first, _, _ in pieces],
        "episode_id": [episode for episode, *_ in pieces],
        "first_step": [first for _, first, _, _ in pieces],
        "observation.board": ragged(np.stack([seen, seen], 1).astype(np.uint8), lengths + 1),
        "observation.clock": ragged(seen.astype(np.int32)[:, None], lengths + 1),
        "initial_state": [[0.0]] * len(pieces),
        "action": ragged(at % 3, lengths),
        "caption_id": ragged(at % 4, lengths),
        "caption_count": ragged(np.ones(len(at), np.int32), lengths),
        "ended": [ended for *_, ended in pieces],
        "success": [True if ended else None for *_, ended in pieces],
        "policy_version_max": [10 + first for _, first, _, _ in pieces],
    }
    for name in ("behaviour_logprob", "env_reward", "discount"):
        columns[name] = ragged(at.astype(np.float32), lengths)
    for name in ("actor", "actor_epoch", "sequence", "env_index", "policy_version_min"):
        columns[name] = [0] * len(pieces)
    return pa.RecordBatch.from_arrays(
        [
            columns[f.name] if isinstance(columns[f.name], pa.Array) else pa.array(columns[f.name], f.type)
            for f in SCHEMA
        ],
        schema=SCHEMA,
    )


BATCHES = [rows(("a", 0, 3, False), ("b", 0, 2, True)), rows(("a", 3, 2, True), ("c", 0, 1, False), ("d", 4, 1, True))]


def of(kind: str, *arguments: str) -> Subjects:
    return subjects_of(kind, BATCHES, CAPTIONS, arguments)


def test_a_step_has_its_scalars_its_caption_and_the_facts_of_its_row() -> None:
    found = of("step", "action", "caption", "step", "success", "observation_board", "observation_clock", "env_reward")
    assert found.ids.to_pylist() == ["a:0", "a:1", "a:2", "b:0", "b:1", "a:3", "a:4", "c:0", "d:4"]
    assert found.policy_versions.tolist() == [10, 10, 10, 10, 10, 13, 13, 10, 14]
    columns = found.columns(0, len(found))
    assert columns["step"] == columns["env_reward"] == [0, 1, 2, 0, 1, 3, 4, 0, 4]
    assert columns["action"] == [0, 1, 2, 0, 1, 0, 1, 0, 1]
    assert columns["caption"] == ["", "one", "two", "", "one", UNKNOWN, "", "", ""]
    assert columns["success"] == [None, None, None, True, True, True, True, None, True]
    assert [board.tolist() for board in columns["observation_board"]] == [[k + 1, k + 1] for k in columns["step"]]
    assert [int(clock[0]) for clock in columns["observation_clock"]] == [k + 1 for k in columns["step"]]


def test_a_row_has_arrays() -> None:
    found = of("row", "env_reward", "captions", "observation_board", "success", "row_id")
    assert found.ids.to_pylist() == ["a@0", "b@0", "a@3", "c@0", "d@4"]
    columns = found.columns(1, 3)
    assert columns["row_id"] == ["b@0", "a@3"]
    assert [reward.tolist() for reward in columns["env_reward"]] == [[0, 1], [3, 4]]
    assert columns["captions"] == [["", "one"], [UNKNOWN, ""]]
    assert [board[:, 0].tolist() for board in columns["observation_board"]] == [[0, 1, 2], [3, 4, 5]]
    assert columns["success"] == [True, True]


def test_an_episode_is_whole_or_left_out_wherever_its_rows_lie() -> None:
    found = of("episode", "env_reward", "captions", "observation_board", "success", "first_step")
    assert found.ids.to_pylist() == ["a", "b"] and found.left_out == 2
    assert found.policy_versions.tolist() == [13, 10]
    columns = found.columns(0, 2)
    assert [reward.tolist() for reward in columns["env_reward"]] == [[0, 1, 2, 3, 4], [0, 1]]
    assert columns["captions"] == [["", "one", "two", UNKNOWN, ""], ["", "one"]]
    assert [board[:, 0].tolist() for board in columns["observation_board"]] == [[0, 1, 2, 3, 4, 5], [0, 1, 2]]
    assert columns["success"] == [True, True]


def test_only_what_is_asked_for_is_read() -> None:
    assert set(of("row", "env_reward", "lost").columns(0, 5)) == {"env_reward"}
    assert of("episode").columns(0, 2) == {}


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.sampled_from(["step", "row", "episode"]), st.data())
def test_any_slice_is_the_slice_of_the_whole(kind: str, data: st.DataObject) -> None:
    found = of(kind, "env_reward", "success", "caption", "captions")
    start = data.draw(st.integers(0, len(found)))
    stop = data.draw(st.integers(start, len(found)))
    whole, part = found.columns(0, len(found)), found.columns(start, stop)
    for name in part:
        assert list(map(str, part[name])) == list(map(str, whole[name][start:stop]))


def test_no_whole_episode_is_no_subject() -> None:
    found = subjects_of("episode", [rows(("a", 1, 2, True), ("b", 0, 1, False))], {}, ("env_reward",))
    assert len(found) == 0 and found.left_out == 2 and found.columns(0, 0) == {}


def test_other_subjects_are_refused() -> None:
    with pytest.raises(
        ValueError, match="got subject 'group'; stored trajectories have captions, steps, rows, episodes"
    ):
        names("group", SCHEMA)
    with pytest.raises(ValueError, match="got no stored experience"):
        subjects_of("row", [], {}, ())
