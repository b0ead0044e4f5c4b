"""`rllib-rewards`: RLlib's PPO on a sparse MiniHack task, alone and on Guerdon's rewards; by another word, its APPO.

    python -m benchmarks.rllib_rewards                  run what is not finished, then write docs/results/
    python -m benchmarks.rllib_rewards methods=[retrieval] seeds=1     a piece of it
    python -m benchmarks.rllib_rewards collect=true     only write, from the runs that are finished
    python -m benchmarks.rllib_rewards appo             the same of APPO, as `rllib-rewards-appo`

The experiment, its other keys, the curves, the frames and the claim are those of `benchmarks/learning_minihack.py`.
Both arms are the same algorithm of RLlib with the same network, first weights and settings: alone, it is paid what the
environment pays; the other is paid what a judge's verdicts say of captions as well.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from benchmarks.learning_minihack import Plan, main
from pipelines.errors import UserError

SETTINGS = {"task": "minihack-keyroom-s10", "frames": 320_000}
PLAN = Plan(
    name="rllib-rewards",
    recipe="",
    of="RLlib's PPO",
    where=str(SETTINGS["task"]),
    tasks={"rllib-ppo": SETTINGS},
    methods={"extrinsic": {}, "retrieval": {}},
    more_seeds={},
    workers=1,
)
APPO = replace(
    PLAN,
    name="rllib-rewards-appo",
    of="RLlib's APPO",
    tasks={"rllib-appo": SETTINGS},
    command="python -m benchmarks.rllib_rewards appo",
)


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "appo"]
    plan = APPO if "appo" in sys.argv[1:] else PLAN
    try:
        sys.exit(main(words, plan))
    except UserError as error:
        sys.exit(f"{plan.name}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{plan.name}: stopped; finished runs are kept: start again to go on")
