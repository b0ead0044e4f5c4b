"""A Guerdon reward in verl.

    custom_reward_function.path=examples/verl_reward.py custom_reward_function.name=compute_score

Start `guerdon serve-rewards my_lab.rewards:exact_match`, set GUERDON_REWARD_URL and GUERDON_REWARD_TOKEN. verl has no
word for "no reward": whatever comes back goes into the advantage as a number. So what could not be judged raises, after
a few tries, with its cause: a run that stops is better than one that learns from a 0 that nobody gave.
"""

from __future__ import annotations

import os
import time
from typing import Any

import httpx

TRIES = 3
WAIT_S = 1.0


def compute_score(data_source: str, solution_str: str, ground_truth: Any, extra_info: Any = None) -> float:
    item = {"completion": solution_str, "answer": ground_truth, "data_source": data_source}
    for attempt in range(1, TRIES + 1):
        reply = httpx.post(
            os.environ.get("GUERDON_REWARD_URL", "http://127.0.0.1:8200") + "/v1/score",
            json={"items": [item]},
            headers={"Authorization": f"Bearer {os.environ['GUERDON_REWARD_TOKEN']}"},
            timeout=120.0,
        )
        if reply.status_code != 503:  # shed: ask again
            reply.raise_for_status()
        verdict = reply.json()["verdicts"][0]
        if verdict["value"] is not None:
            return float(verdict["value"])
        if verdict["status"] not in ("shed", "timeout", "judge_fault") or attempt == TRIES:
            break
        time.sleep(WAIT_S * attempt)
    raise RuntimeError(f"no reward ({verdict['status']}: {verdict['cause']})")
