"""A share of a language run's groups: stored out of one batch, drawn as one batch, once they are judged."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from small import small

from envs.language.trajectory import TokenTrajectory, to_batch
from pipelines.language.groups import in_order
from pipelines.language.roles import report_of
from pipelines.language.shard import language_shard_of


def member(group, number):
    tokens = np.arange(3 + number, dtype=np.int32)
    own = tokens > 1
    return TokenTrajectory(
        row_id=f"0/0/{group}/{number}",
        task="toy",
        prompt_id="p",
        group_id=f"{group:09d}",
        member=number,
        actor=0,
        epoch=0,
        sequence=group,
        policy_version_min=0,
        policy_version_max=0,
        token_ids=tokens,
        loss_mask=own,
        behaviour_log_probs=np.where(own, -1.0, 0.0).astype(np.float32),
        token_versions=np.where(own, 0, -1).astype(np.int32),
        turn_ends=np.array([len(tokens)], np.int32),
        env_rewards=(None,),
        finish="stop",
        messages=({"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}),
        columns={},
        completion="!",
    )


@pytest.fixture
def shard(tmp_path):
    shard = language_shard_of(small(prompts=2, group_size=4), tmp_path)()
    yield shard
    shard.close()


def test_groups_come_and_go_in_one_batch_and_are_drawn_once_they_are_judged(shard):
    groups = [[member(group, number) for number in range(4)] for group in range(3)]
    reports = [report_of(number, own, 0.0) for number, own in enumerate(groups)]
    rows = to_batch([row for own in groups for row in own])
    assert shard.insert(reports, rows)[0] == [True] * 3
    assert shard.insert(reports[:1], rows.slice(0, 4))[0] == [False]  # it is there already
    assert shard.judged(reports[1:2]).waiting == 1 and shard.draw(0, 0)[1] == []
    assert shard.judged(reports[2:]).waiting == 2
    (drawn, standing), batches = shard.draw(0, 0)
    assert sorted(report.group for report in drawn) == [1, 2] and standing.waiting == 0 and len(batches) == 1
    assert in_order(batches).equals(pa.Table.from_batches([rows.slice(4)]))
    again = shard.draw(0, 0)[1]
    assert again[0].equals(batches[0]) and shard.ledger().waiting.rows == 4


def test_rows_that_are_not_those_of_their_groups_are_refused(shard):
    own = [member(0, number) for number in range(4)]
    with pytest.raises(ValueError, match="got 3 rows of 1 groups; expected 4"):
        shard.insert([report_of(0, own, 0.0)], to_batch(own[:3]))


def test_what_was_drawn_before_it_began_again_is_drawn_again_by_its_number_and_does_not_wait(shard, tmp_path):
    groups = [[member(group, number) for number in range(4)] for group in range(3)]
    reports = [report_of(number, own, 0.0) for number, own in enumerate(groups)]
    shard.insert(reports, to_batch([row for own in groups for row in own]))
    assert shard.judged(reports).waiting == 3
    (drawn, _), batches = shard.draw(0, 0)
    shard.close()  # as a process that was killed: nothing was released
    again = language_shard_of(small(prompts=2, group_size=4), tmp_path)()
    try:
        assert again.rewind(0) == (0, 1) and len(again.reports()) == 3
        assert again.judged(again.reports()).waiting == 1, "the two that are drawn again are not there to be drawn anew"
        (repeated, standing), rows = again.draw(0, 0)
        assert repeated == drawn and rows[0].equals(batches[0]) and standing.waiting == 1
        again.release(1)
        assert again.standing().waiting == 1
    finally:
        again.close()
