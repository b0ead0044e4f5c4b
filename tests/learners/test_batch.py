"""Flat rows, padded rows, and the way from Arrow to tensors."""

import warnings

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.specs import ArraySpec, Box, Discrete, EnvSpec
from envs.trajectory import ragged, schema_for, validate
from learners.batch import acting_index, build_batch, pad, row_index, unpad

SPEC = EnvSpec({"view": ArraySpec((2, 3), "uint8"), "stats": ArraySpec((4,), "float32")}, Discrete(5))


def rows(lengths, sequence=0, spec=SPEC, state_size=2):
    """An Arrow batch of made-up trajectories; every number says where it stands."""
    count, steps = len(lengths), sum(lengths)
    lengths = np.asarray(lengths)
    numbers = np.arange(steps) + 1000 * sequence
    columns = {
        "row_id": pa.array([f"0/0/{sequence}/{i}" for i in range(count)]),
        "episode_id": pa.array(["0/0/0/0"] * count),
        "policy_version_min": pa.array(np.full(count, sequence, np.int64)),
        "policy_version_max": pa.array(np.full(count, sequence + 1, np.int64)),
        "initial_state": pa.array(
            np.arange(count * state_size, dtype=np.float32).reshape(count, state_size).tolist(),
            pa.list_(pa.float32(), state_size),
        ),
        "action": ragged(
            np.zeros((steps, *spec.action.shape), spec.action.dtype)
            if spec.action.shape
            else (numbers % 5).astype(np.int64),
            lengths,
        ),
        "behaviour_logprob": ragged(np.full(steps, -1.5, np.float32), lengths),
        "env_reward": ragged(numbers.astype(np.float32), lengths),
        "discount": ragged(np.ones(steps, np.float32), lengths),
        "caption_id": ragged(np.zeros(steps, np.int64), lengths),
        "caption_count": ragged(np.ones(steps, np.int32), lengths),
        "ended": pa.array([False] * count),
        "success": pa.array([None] * count, pa.bool_()),
    }
    for key, array in spec.observation.items():
        values = np.arange((steps + count) * array.size).reshape(-1, *array.shape).astype(array.dtype)
        columns["observation." + key] = ragged(values, lengths + 1)
    schema = schema_for(spec, state_size)
    for field in schema:
        if field.name not in columns:
            columns[field.name] = pa.array(np.zeros(count), field.type, safe=False)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def test_pad_lays_rows_side_by_side_in_time():
    padded, mask = pad(torch.tensor([1.0, 2, 3, 4, 5]), torch.tensor([3, 2]), fill=-1)
    assert padded.tolist() == [[1, 4], [2, 5], [3, -1]]
    assert mask.tolist() == [[True, True], [True, True], [True, False]]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.integers(0, 2))
def test_unpad_undoes_pad(lengths, extra):
    lengths = torch.tensor(lengths)
    flat = torch.arange(int(lengths.sum()) * (extra + 1)).reshape(-1, *([extra + 1] if extra else []))
    padded, mask = pad(flat, lengths)
    assert torch.equal(unpad(padded, lengths), flat)
    assert torch.equal(mask.sum(0), lengths)


def test_acting_index_leaves_out_the_last_observation_of_each_row():
    assert acting_index(torch.tensor([2, 1, 3])).tolist() == [0, 1, 3, 5, 6, 7]


def test_row_index_finds_the_entries_of_rows_in_the_order_asked_for():
    assert row_index(torch.tensor([2, 0]), torch.tensor([2, 1, 3])).tolist() == [3, 4, 5, 0, 1]


def test_one_arrow_batch_is_viewed_and_not_copied():
    arrow = rows([3, 2])
    batch = build_batch([arrow])
    stored = arrow.column("env_reward").flatten()
    assert batch.reward.data_ptr() == stored.buffers()[1].address
    assert (
        batch.observation["view"].data_ptr()
        == arrow.column("observation.view").flatten().flatten().buffers()[1].address
    )


def test_a_batch_has_the_shapes_it_promises_and_no_warning_is_given():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = build_batch([rows([3, 2], 0), rows([1, 4], 1)])
    validate(rows([3, 2], 0))
    assert batch.frames == 10 and batch.rows == 4
    assert batch.lengths.tolist() == [3, 2, 1, 4]
    assert batch.observation["view"].shape == (14, 2, 3) and batch.observation["view"].dtype == torch.uint8
    assert batch.observation["stats"].shape == (14, 4)
    assert batch.initial_state.shape == (4, 2)
    assert batch.action.shape == (10,)
    assert batch.reward.tolist() == [0, 1, 2, 3, 4, 1000, 1001, 1002, 1003, 1004]
    assert batch.policy_version_min.tolist() == [0, 0, 1, 1] and batch.policy_version_max.tolist() == [1, 1, 2, 2]
    assert batch.row_ids == ["0/0/0/0", "0/0/0/1", "0/0/1/0", "0/0/1/1"]
    assert batch.weight is None


def test_a_slice_of_an_arrow_batch_gives_the_rows_of_the_slice():
    whole = build_batch([rows([3, 2, 4])])
    part = build_batch([rows([3, 2, 4]).slice(1, 2)])
    expected = whole.select(torch.tensor([1, 2]))
    assert part.row_ids == expected.row_ids
    assert torch.equal(part.reward, expected.reward)
    assert torch.equal(part.observation["view"], expected.observation["view"])
    assert torch.equal(part.initial_state, expected.initial_state)


def test_rows_that_went_through_an_arrow_file_are_read_from_read_only_memory(tmp_path):
    arrow = rows([3, 2])
    with pa.ipc.new_file(str(tmp_path / "rows.arrow"), arrow.schema) as file:
        file.write_batch(arrow)
    with pa.memory_map(str(tmp_path / "rows.arrow")) as memory:
        batch = build_batch([pa.ipc.open_file(memory).get_batch(0)])
        assert batch.reward.tolist() == [0, 1, 2, 3, 4]


def test_no_recurrent_state_and_box_actions_keep_their_shapes():
    spec = EnvSpec({"x": ArraySpec((3,), "float32")}, Box((-1.0, -1.0), (1.0, 1.0)))
    batch = build_batch([rows([2, 2], spec=spec, state_size=0)])
    assert batch.initial_state.shape == (2, 0)
    assert batch.action.shape == (4, 2) and batch.action.dtype == torch.float32


def test_select_takes_whole_rows():
    batch = build_batch([rows([3, 2, 1])], weight=lambda b: np.arange(6))
    part = batch.select(torch.tensor([2, 0]))
    assert part.reward.tolist() == [5, 0, 1, 2]
    assert part.weight.tolist() == [5, 0, 1, 2]
    assert part.row_ids == ["0/0/0/2", "0/0/0/0"]
    assert part.observation["stats"][:, 0].tolist() == [28, 32, 0, 4, 8, 12]


def test_the_reward_view_is_asked_for_each_arrow_batch():
    batch = build_batch([rows([3], 0), rows([2], 1)], reward=lambda b: 2 * b.column("env_reward").flatten().to_numpy())
    assert batch.reward.tolist() == [0, 2, 4, 2000, 2002]


@pytest.mark.parametrize(
    ("view", "message"),
    [(lambda b: np.zeros(2), r"shape \(2,\)"), (lambda b: np.array([0, 1, np.nan]), "nan at step 2 of 3")],
)
def test_a_bad_reward_view_is_refused(view, message):
    with pytest.raises(ValueError, match=message):
        build_batch([rows([3])], reward=view)


def test_no_rows_and_mixed_schemas_are_refused():
    with pytest.raises(ValueError, match="no rows"):
        build_batch([rows([3]).slice(0, 0)])
    with pytest.raises(ValueError, match="beside rows of schema"):
        build_batch([rows([3]), rows([3], state_size=4)])
