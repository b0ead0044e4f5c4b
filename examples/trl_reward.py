"""A Guerdon reward in TRL: `GRPOTrainer(reward_funcs=guerdon_reward, …)`.

Start `guerdon serve-rewards my_lab.rewards:exact_match`, set GUERDON_REWARD_URL and GUERDON_REWARD_TOKEN. TRL hands
over completions and the data set's columns; a list is what it wants back, and None is its word for "not applicable", so
what could not be judged stays out of the advantage instead of counting as 0.
"""

from __future__ import annotations

import os
from typing import Any

import httpx


def guerdon_reward(completions: list[Any], **columns: Any) -> list[float | None]:
    texts = [c if isinstance(c, str) else c[-1]["content"] for c in completions]  # plain, or a conversation
    rows = {name: column for name, column in columns.items() if isinstance(column, list) and len(column) == len(texts)}
    items = [{"completion": text, **{name: rows[name][k] for name in rows}} for k, text in enumerate(texts)]
    reply = httpx.post(
        os.environ.get("GUERDON_REWARD_URL", "http://127.0.0.1:8200") + "/v1/score",
        json={"items": items},
        headers={"Authorization": f"Bearer {os.environ['GUERDON_REWARD_TOKEN']}"},
        timeout=120.0,
    )
    reply.raise_for_status()
    return [verdict["value"] for verdict in reply.json()["verdicts"]]
