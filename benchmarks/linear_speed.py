"""`linear-speed`: what learners gain where linear layers are made by oneDNN, not by MKL (`actors/linear.py`).

    python -m benchmarks.linear_speed
    python -m benchmarks.linear_speed rounds=5 updates=20 recipes=[rlvr]

Recipes run by the local runner on one thread, with and without in turn, each in a process of its own; each step of the
learner is timed as it happens. Beside them one layer of 128 by 384, forwards and backwards, by number of rows: numbers
that came before, as in play, and numbers that are always new, as in learning. On a machine where oneDNN is not quicker
(`actors.linear.quicker`) nothing differs, and the benchmark says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from actors import linear
from benchmarks.apparatus.learner_steps import learn, learner_step
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, figure, write_result

NAME = "linear-speed"
SMALL_NET = {"policy.encoder": "small", "policy.recurrent": False}
RECIPES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "nethack-score": ("nethack-score", {"judge.kind": "rules"}),
    "small-net": ("nethack-score", {"judge.kind": "rules", **SMALL_NET}),
    "rlvr": ("rlvr", {"evaluate_every": 0}),
}
KEYS: Mapping[str, Any] = {"recipes": list(RECIPES), "updates": 12, "rounds": 3, "results": "docs/results"}
WARM_UP = 2
AIM = 1.05
"""So much quicker at least, each learner."""
ROWS = (16, 64, 256, 1024, 4096)


def steps_of(name: str, updates: int) -> list[float]:
    """Seconds of each step of a recipe's learner but the first, in a run of so many updates."""
    recipe, settings = RECIPES[name]
    owner, method = learner_step(recipe)
    taken: list[float] = []
    step = getattr(owner, method)

    def timed(*arguments: Any, **rest: Any) -> Any:
        began = time.perf_counter()
        found = step(*arguments, **rest)
        taken.append(time.perf_counter() - began)
        return found

    setattr(owner, method, timed)
    learn(recipe, updates, settings)
    return taken[WARM_UP:]


def layer(rows: Sequence[int]) -> float:
    """Milliseconds that a layer takes forwards and backwards, the mean over these numbers of rows."""
    weight, bias = torch.randn(384, 128, requires_grad=True), torch.zeros(384, requires_grad=True)
    batches = [torch.randn(n, 128, requires_grad=True) for n in rows]
    began = time.perf_counter()
    for batch in batches:
        linear.linear(batch, weight, bias).sum().backward()
    return (time.perf_counter() - began) / len(batches) * 1e3


def once(what: str, quick: bool, updates: int) -> dict[str, Any]:
    """One round of a recipe, or of the layer, in this process."""
    torch.set_num_threads(1)
    if not quick:
        linear.quicker = lambda: False  # type: ignore[assignment]
    if what != "layer":
        return {"steps": steps_of(what, updates)}
    layer([1000] * 20)
    return {
        **{f"{n} rows": min(layer([n] * 20) for _ in range(5)) for n in ROWS},
        "1,001 to 1,400 rows": layer(range(1001, 1401)),
    }


def apart(what: str, quick: bool, updates: int) -> dict[str, Any]:
    """The same in a process of its own: oneDNN keeps what it has compiled."""
    command = [sys.executable, "-m", "benchmarks.linear_speed", "only", what, str(int(quick)), str(updates)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{what} failed: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main(arguments: Sequence[str]) -> None:
    """Measure, and write the result."""
    if arguments[:1] == ["only"]:
        print(json.dumps(once(arguments[1], arguments[2] == "1", int(arguments[3]))))
        return
    values = {**KEYS, **parse(arguments)}
    if unknown := sorted(set(values) - set(KEYS)):
        raise UserError(f"got {', '.join(unknown)}; expected keys {', '.join(KEYS)}")
    if wrong := sorted(set(values["recipes"]) - set(RECIPES)):
        raise UserError(f"recipes: got {', '.join(wrong)}; expected some of {', '.join(RECIPES)}")
    if not values["recipes"]:
        raise UserError(f"recipes: got none; expected some of {', '.join(RECIPES)}")
    if not linear.quicker():
        raise UserError("on this machine oneDNN is not the quicker one, and Guerdon leaves all to MKL: nothing to tell")
    rows: list[dict[str, Cell]] = []
    gains: dict[str, list[float]] = {}
    for number in range(values["rounds"]):
        for what in ("layer", *values["recipes"]):
            plain, quick = (apart(what, quick, values["updates"]) for quick in (False, True))
            if what != "layer":
                plain, quick = ({what: sum(one["steps"]) / len(one["steps"]) * 1e3} for one in (plain, quick))
            for name in plain:
                gains.setdefault(name, []).append(plain[name] / quick[name])
                rows.append({"round": number, "what": name, "MKL, ms": plain[name], "oneDNN, ms": quick[name]})
                print(rows[-1], flush=True)
    least = min(min(gains[name]) for name in values["recipes"])
    told = [word for word in arguments if not word.startswith("results=")]
    write_result(
        Path(values["results"]) / f"{NAME}.json",
        NAME,
        f"On a processor of AMD's with AVX-512, the learners of {', '.join(values['recipes'])} take a step at least "
        f"{AIM:g} times as fast, in each round, with linear layers by oneDNN as with PyTorch's own, which MKL makes.",
        least >= AIM,
        " ".join(["python -m benchmarks.linear_speed", *told]),
        {
            (f"learner step, {name}" if name in RECIPES else f"layer, {name}"): figure(found, "times as fast")
            for name, found in gains.items()
        },
        rows,
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError) as error:
        sys.exit(f"{NAME}: {error}")
