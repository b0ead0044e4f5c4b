"""`rllib-rewards`: RLlib's PPO and APPO on a sparse MiniHack task, alone and on Guerdon's rewards.

    python -m benchmarks.rllib_rewards                  run what is not finished, then write docs/results/
    python -m benchmarks.rllib_rewards tasks=[rllib-ppo] methods=[retrieval] seeds=1     a piece of it
    python -m benchmarks.rllib_rewards collect=true     only write, from the runs that are finished

The experiment, its other keys, the curves and the claim are those of `benchmarks/learning_minihack.py`. Both arms are
the same algorithm of RLlib with the same network, first weights and settings: alone, it is paid what the environment
pays; the other is paid what a judge's verdicts say of captions as well.
"""

from __future__ import annotations

import sys

from benchmarks.learning_minihack import Plan, main
from pipelines.errors import UserError

PLAN = Plan(
    name="rllib-rewards",
    recipe="",
    of="RLlib's algorithm",
    tasks={recipe: {"task": "minihack-keyroom-s10", "frames": 320_000} for recipe in ("rllib-ppo", "rllib-appo")},
    methods={"extrinsic": {}, "retrieval": {}},
    more_seeds={},
    workers=1,
)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:], PLAN))
    except UserError as error:
        sys.exit(f"{PLAN.name}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{PLAN.name}: stopped; finished runs are kept: start again to go on")
