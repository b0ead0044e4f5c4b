"""Answers as an engine writes them."""

from __future__ import annotations

import numpy as np

from envs.language.trajectory import TokenTrajectory


def answer(group, member, mask, ends, paid, finish="stop") -> TokenTrajectory:
    """One answer: which of its tokens are own, where replies end, what the world paid for each."""
    own = np.array(mask, np.bool_)
    return TokenTrajectory(
        row_id=f"0/0/{group}/{member}",
        task="t",
        prompt_id="p",
        group_id=f"g{group}",
        member=member,
        actor=0,
        epoch=0,
        sequence=group,
        policy_version_min=0,
        policy_version_max=0,
        token_ids=np.arange(len(mask), dtype=np.int32),
        loss_mask=own,
        behaviour_log_probs=np.where(own, -np.arange(len(mask)), 0).astype(np.float32),
        token_versions=np.where(own, 0, -1).astype(np.int32),
        turn_ends=np.array(ends, np.int32),
        env_rewards=tuple(paid),
        finish=finish,
        messages=({"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}),
        columns={},
        completion="!",
    )
