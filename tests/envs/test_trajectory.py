import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from envs.specs import ArraySpec, Box, Discrete, EnvSpec, MultiDiscrete
from envs.trajectory import (
    InvalidTrajectory,
    ragged,
    schema_for,
    spec_of,
    trajectories,
    unragged,
    validate,
)

OBSERVATION = {"board": ArraySpec((2, 3), "uint8"), "x": ArraySpec((), "float32")}
DISCRETE = EnvSpec(OBSERVATION, Discrete(4), ("a", "b", "c", "d"))


def batch_of(lengths=(3, 2), spec=DISCRETE, **changes):
    """Rows of the given lengths, every number another one; `changes` replace columns."""
    lengths, rows = np.array(lengths), len(lengths)
    steps = int(lengths.sum())

    def per_step(shape, dtype, extra=0):
        n = steps + extra * rows
        return (np.arange(n * int(np.prod(shape)), dtype=np.int64) % 100).reshape(n, *shape).astype(dtype)

    columns = {
        "row_id": pa.array([f"0/0/0/{i}" for i in range(rows)]),
        "episode_id": pa.array([f"0/0/0/{i + 10}" for i in range(rows)]),
        "initial_state": pa.FixedSizeListArray.from_arrays(pa.array(np.arange(4 * rows, dtype=np.float32)), 4),
        "action": ragged(per_step(spec.action.shape, spec.action.dtype), lengths),
        "behaviour_logprob": ragged(per_step((), "float32"), lengths),
        "env_reward": ragged(per_step((), "float32"), lengths),
        "discount": ragged(np.ones(steps, np.float32), lengths),
        "caption_id": ragged(per_step((), "int64"), lengths),
        "caption_count": ragged(per_step((), "int32"), lengths),
        "ended": pa.array([True] * rows),
        "success": pa.array([None] * rows, pa.bool_()),
    }
    for key, array in spec.observation.items():
        columns[f"observation.{key}"] = ragged(per_step(array.shape or (1,), array.dtype, extra=1), lengths + 1)
    columns |= changes
    schema = schema_for(spec, 4)
    counters = {f.name: pa.array(np.arange(rows), f.type) for f in schema if f.name not in columns}
    return pa.RecordBatch.from_arrays([{**columns, **counters}[name] for name in schema.names], schema=schema)


row_lengths = st.lists(st.integers(1, 6), min_size=1, max_size=6)


@given(row_lengths, st.sampled_from([(), (3,), (2, 3)]), st.sampled_from(["uint8", "int32", "int64", "float32"]))
def test_ragged_and_back_gives_the_same_numbers_without_a_copy(lengths, shape, dtype):
    size = (sum(lengths), *shape)
    values = np.arange(int(np.prod(size)), dtype=np.int64).reshape(size).astype(dtype)
    column = ragged(values, lengths)
    back = unragged(column, shape)
    assert np.array_equal(back, values) and back.dtype == values.dtype
    assert np.shares_memory(back, values), "the steps were copied"
    assert column.value_lengths().to_pylist() == lengths


@given(hnp.arrays(np.float32, st.integers(1, 20), elements=st.floats(width=32, allow_nan=False)))
def test_a_slice_of_a_column_gives_the_steps_of_that_row_only(values):
    lengths = [len(values), len(values)]
    column = ragged(np.concatenate([values, values + 1]), lengths)
    assert np.array_equal(unragged(column.slice(1, 1)), values + 1)


def test_arrays_that_are_not_contiguous_are_stored_right():
    values = np.arange(24).reshape(6, 4)[:, ::2]
    assert np.array_equal(unragged(ragged(values, [4, 2]), (2,)), values)


@given(row_lengths)
def test_rows_come_back_as_trajectories_of_their_length(lengths):
    batch = batch_of(lengths)
    rows = list(trajectories(batch))
    assert [t.length for t in rows] == lengths
    assert [t.observation["board"].shape for t in rows] == [(n + 1, 2, 3) for n in lengths]
    rewards = np.concatenate([t.columns["env_reward"] for t in rows])
    assert np.array_equal(rewards, unragged(batch.column("env_reward")))
    assert rows[-1].columns["row_id"] == f"0/0/0/{len(lengths) - 1}" and rows[0].columns["success"] is None


@pytest.mark.parametrize("action", [Discrete(4), MultiDiscrete((2, 3)), Box((-1.0, -1.0), (1.0, float("inf")))])
def test_each_kind_of_action_is_stored_and_its_spec_read_back(action):
    spec = EnvSpec(OBSERVATION, action)
    batch = batch_of(spec=spec)
    assert spec_of(batch.schema) == (spec, 4)
    assert next(trajectories(batch)).columns["action"].shape == (3, *action.shape)
    validate(batch)


def test_experience_survives_an_arrow_file(tmp_path):
    batch = batch_of()
    with pa.OSFile(str(tmp_path / "rows.arrow"), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    with pa.memory_map(str(tmp_path / "rows.arrow")) as source:
        read = pa.ipc.open_file(source).get_batch(0)
        assert read.equals(batch) and spec_of(read.schema) == (DISCRETE, 4)
        validate(read)


def test_a_valid_batch_passes():
    validate(batch_of())
    validate(batch_of((1,)))
    validate(batch_of((4, 2, 5)).slice(1, 2))


def changed(values, lengths, dtype="float32"):
    return ragged(np.array(values, dtype), lengths)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"env_reward": changed([0, 1, 2, 3, np.nan], [3, 2])},
            "episode 0/0/0/11, column 'env_reward', step 1: got NaN or infinity",
        ),
        (
            {"behaviour_logprob": changed([0, 1, -np.inf, 3, 4], [3, 2])},
            "episode 0/0/0/10, column 'behaviour_logprob', step 2: got NaN or infinity",
        ),
        (
            {"discount": changed([1, 1, 1, 1.5, 1], [3, 2])},
            "episode 0/0/0/11, column 'discount', step 0: got 1.5; expected 0 to 1",
        ),
        (
            {"action": changed([0, 1, 2, 3, 0], [2, 3], "int64")},
            "episode 0/0/0/10, column 'action', step 2: got 2 entries; expected 3",
        ),
        (
            {"observation.x": ragged(np.zeros((6, 1), np.float32), [4, 2])},
            "episode 0/0/0/11, column 'observation.x', step 2: got 2 entries; expected 3",
        ),
        (
            {"observation.x": ragged(np.array([[0], [1], [2], [3], [4], [np.inf], [6]], np.float32), [4, 3])},
            "episode 0/0/0/11, column 'observation.x', step 1: got NaN or infinity",
        ),
    ],
)
def test_invalid_experience_names_episode_column_and_step(changes, message):
    with pytest.raises(InvalidTrajectory, match=message):
        validate(batch_of(**changes))


def test_nan_inside_a_wide_observation_names_the_step_not_the_element():
    spec = EnvSpec({"x": ArraySpec((2, 2), "float32")}, Discrete(2))
    values = np.zeros((7, 2, 2), np.float32)
    values[5, 1, 0] = np.nan  # rows have 4 and 3 observations: the second one's step 1
    with pytest.raises(InvalidTrajectory, match=r"episode 0/0/0/11, column 'observation\.x', step 1"):
        validate(batch_of(spec=spec, **{"observation.x": ragged(values, [4, 3])}))


def test_a_row_without_steps_is_invalid():
    with pytest.raises(InvalidTrajectory, match="episode 0/0/0/11, column 'env_reward', step 0: got no steps"):
        validate(batch_of((3, 0)))


def test_other_data_is_refused():
    with pytest.raises(ValueError, match="got data of kind and version"):
        spec_of(pa.schema([("x", pa.int32())]))
