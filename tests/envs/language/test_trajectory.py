"""Token trajectories: what is written is read, what is wrong is named, and groups are sampled whole."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.language.task import EPISODE_COLUMNS
from envs.language.trajectory import TokenTrajectory, from_batch, language_schema, records, to_batch, validate
from envs.storage.schema import require_storable
from envs.trajectory import InvalidTrajectory
from learners.replay.config import Config
from learners.replay.replay import Replay


def conversation(row_id="0/0/0/0", group="g", member=0, prompt=3, replies=((2, None), (1, 0.5)), version=4):
    """A prompt, then replies of so many tokens with so much pay, the world saying two tokens between them."""
    mask, ends = [False] * prompt, []
    for position, (tokens, _) in enumerate(replies):
        mask += [False] * (2 if position else 0) + [True] * tokens
        ends.append(len(mask))
    own = np.array(mask, bool)
    actor, epoch, sequence, _ = map(int, row_id.split("/"))
    messages = [{"role": "user", "content": "how?"}]
    for position in range(len(replies)):
        messages += [{"role": "tool", "content": "so"}] * bool(position)
        messages.append({"role": "assistant", "content": f"reply {position} é"})
    return TokenTrajectory(
        row_id=row_id,
        task="toy",
        prompt_id="p",
        group_id=group,
        member=member,
        actor=actor,
        epoch=epoch,
        sequence=sequence,
        policy_version_min=version,
        policy_version_max=version + 1,
        token_ids=np.arange(len(own), dtype=np.int32) + 100 * member,
        loss_mask=own,
        behaviour_log_probs=np.where(own, np.float32(-0.5), np.float32(0)),
        token_versions=np.where(own, version, -1).astype(np.int32),
        turn_ends=np.array(ends, np.int32),
        env_rewards=tuple(paid for _, paid in replies),
        finish="stop",
        messages=tuple(messages),
        columns={"answer": "42", "nested": {"x": [1, None]}},
        completion=f"reply {len(replies) - 1} é" if replies else "",
    )


def same(a, b):
    for name in TokenTrajectory.__dataclass_fields__:
        one, other = getattr(a, name), getattr(b, name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype, name
            np.testing.assert_array_equal(one, other, err_msg=name)
        else:
            assert one == other, name


replies = st.lists(st.tuples(st.integers(1, 4), st.none() | st.floats(-2, 2, width=32)), max_size=4).map(tuple)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), replies), max_size=5))
def test_rows_come_back_as_they_were_written_and_nothing_paid_stays_null(shapes):
    rows = [conversation(f"1/2/3/{i}", member=i, prompt=p, replies=r) for i, (p, r) in enumerate(shapes)]
    batch = to_batch(rows)
    validate(batch)
    back = from_batch(batch)
    assert len(back) == len(rows)
    for a, b in zip(rows, back, strict=True):
        same(a, b)
    nulls = sum(paid is None for row in rows for paid in row.env_rewards)
    assert batch.column("env_rewards").flatten().null_count == nulls


def test_a_slice_of_a_batch_gives_its_own_rows():
    rows = [conversation(f"0/0/0/{i}", member=i, prompt=i + 1) for i in range(4)]
    for expected, got in zip(rows[1:3], from_batch(to_batch(rows).slice(1, 2)), strict=True):
        same(expected, got)


def test_the_schema_has_no_extension_type_and_can_be_stored():
    require_storable(language_schema())


def changed(values, position, value):
    values = values.copy()
    values[position] = value
    return values


GOOD = conversation()  # ppp rr ww r: tokens 3, 4 and 7 are the policy's


@pytest.mark.parametrize(
    ("wrong", "column", "position"),
    [
        ({"loss_mask": GOOD.loss_mask[:-1]}, "loss_mask", 7),
        ({"token_ids": changed(GOOD.token_ids, 2, -7)}, "token_ids", 2),
        ({"token_ids": GOOD.token_ids[:0]}, "token_ids", 0),
        ({"token_ids": GOOD.token_ids.astype(np.int64)}, "token_ids", 8),
        ({"behaviour_log_probs": changed(GOOD.behaviour_log_probs, 4, np.nan)}, "behaviour_log_probs", 4),
        ({"behaviour_log_probs": changed(GOOD.behaviour_log_probs, 4, 0.5)}, "behaviour_log_probs", 4),
        ({"behaviour_log_probs": changed(GOOD.behaviour_log_probs, 1, -0.5)}, "behaviour_log_probs", 1),
        ({"token_versions": changed(GOOD.token_versions, 3, 9)}, "token_versions", 3),
        ({"token_versions": changed(GOOD.token_versions, 5, 4)}, "token_versions", 5),
        ({"turn_ends": np.array([4, 8], np.int32), "loss_mask": changed(GOOD.loss_mask, 3, False)}, None, None),
        ({"turn_ends": np.array([6, 8], np.int32)}, "turn_ends", 0),
        ({"turn_ends": np.array([5, 5], np.int32)}, "turn_ends", 1),
        ({"turn_ends": np.array([5], np.int32), "env_rewards": (None,)}, "loss_mask", 7),
        ({"env_rewards": (1.0,)}, "env_rewards", 1),
        ({"env_rewards": (1.0, float("inf"))}, "env_rewards", 1),
        ({"finish": "eos"}, "finish", 0),
        ({"completion": "other"}, "completion", 0),
        ({"group_id": ""}, "group_id", 0),
        ({"member": -1}, "member", 0),
        ({"messages": ({"role": "robot", "content": "x"}, *GOOD.messages[-1:])}, "messages", 0),
    ],
)
def test_what_is_wrong_is_named_with_row_column_and_position(wrong, column, position):
    where = "row 0/0/0/0" if column is None else f"row 0/0/0/0, column '{column}', position {position}:"
    with pytest.raises(InvalidTrajectory, match=where):
        to_batch([replace(GOOD, **wrong)])


def test_columns_that_are_not_json_are_refused():
    with pytest.raises(ValueError, match=r"row 0/0/0/0, column 'columns'.*plain JSON"):
        to_batch([replace(GOOD, columns={"answer": float("nan")})])


def test_rows_of_another_kind_are_refused():
    batch = to_batch([GOOD])
    with pytest.raises(ValueError, match="language_schema"):
        from_batch(batch.replace_schema_metadata({"guerdon_schema": "trajectory"}))


def test_rewards_read_columns_and_what_the_episode_became():
    record = GOOD.record()
    assert record["answer"] == "42" and record["finish"] == "stop"
    assert record["replies"] == ["reply 0 é", "reply 1 é"] and record["turns"] == 2
    assert record["completion"] == "reply 1 é" and record["prompt"] == "how?"
    assert record["env_rewards"] == [None, 0.5]
    assert set(record) == {"answer", "nested", *EPISODE_COLUMNS}
    assert records(to_batch([GOOD, GOOD])) == [record, record]
    assert GOOD.prompt_length == 3 and conversation(replies=()).prompt_length == 3
    json.dumps(record)


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_replay_gives_whole_groups_however_their_rows_came(tmp_path, on_disk):
    config = Config(unit="group", group_size=3, steps_column="token_ids")
    replay = Replay(config, language_schema(), tmp_path if on_disk else None)

    def insert(sequence, *members):
        rows = [
            conversation(f"0/0/{sequence}/{i}", group=g, member=m, prompt=2 + m) for i, (g, m) in enumerate(members)
        ]
        replay.insert((0, 0, sequence), to_batch(rows), policy_version=4)

    insert(0, ("a", 0), ("b", 0), ("a", 1))
    assert replay.sample(0, 1, learner_version=4) is None
    insert(1, ("b", 1), ("a", 2))
    sample = replay.sample(0, 1, learner_version=4)
    rows = [row for batch in replay.sample_rows(sample) for row in from_batch(batch)]
    assert [(row.group_id, row.member) for row in rows] == [("a", 0), ("a", 1), ("a", 2)]

    arrays = replay.gather(sample)
    for line, row in enumerate(rows):
        steps = row.length
        assert arrays["mask"][line].sum() == steps
        for name in ("token_ids", "loss_mask", "behaviour_log_probs", "token_versions"):
            np.testing.assert_array_equal(arrays[name][line, :steps], getattr(row, name), err_msg=name)
    assert "turn_ends" not in arrays and "env_rewards" not in arrays
    assert replay.sample(1, 1, learner_version=4) is None
    insert(2, ("b", 2))
    second = replay.sample(1, 1, learner_version=4)
    found = [row.group_id for batch in replay.sample_rows(second) for row in from_batch(batch)]
    assert found == ["b"] * 3
    assert replay.update_priorities(["0/0/2/0"], [2.0]) in (0, 1)
    replay.close()
