"""The contract of an environment, as a check at start-up and as a test to inherit.

```python
from envs.contract import EnvironmentContract

class TestMaze(EnvironmentContract):
    def task(self):
        return make_task("my_lab.mazes:Maze")
```
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from envs.environment import Environment, Task
from envs.specs import ActionSpec, Discrete, EnvSpec, MultiDiscrete
from envs.timestep import TimeStep


class ContractViolation(ValueError):
    """An environment broke the contract; the message says where, what was expected, and how to mend it."""


def sample_action(action: ActionSpec, rng: np.random.Generator) -> Any:
    """A legal random action; unbounded real ones are standard normal."""
    if isinstance(action, Discrete):
        return int(rng.integers(action.n))
    if isinstance(action, MultiDiscrete):
        return rng.integers(action.nvec)
    low, high = np.asarray(action.low), np.asarray(action.high)
    bounded = np.isfinite(low) & np.isfinite(high)
    uniform = rng.uniform(np.where(bounded, low, 0.0), np.where(bounded, high, 1.0))
    drawn = np.where(bounded, uniform, np.clip(rng.standard_normal(low.shape), low, high))
    return drawn.astype(np.float32)


def fault_of(timestep: TimeStep, spec: EnvSpec) -> str | None:
    """What is wrong with a step's arrays and reward, or None."""
    if not math.isfinite(timestep.reward):
        return f"got reward {timestep.reward}; expected a finite number"
    if not 0.0 <= timestep.discount <= 1.0:
        return f"got discount {timestep.discount}; expected 0 to 1"
    got, expected = set(timestep.observation), set(spec.observation)
    if not expected <= got:
        return f"got observations {sorted(got)}; the spec expects {sorted(expected)}"
    for key, array_spec in spec.observation.items():
        value = np.asarray(timestep.observation[key])
        if value.shape != array_spec.shape or value.dtype != array_spec.dtype:
            return (
                f"observation {key!r}: got shape {value.shape} of {value.dtype}; "
                f"the spec expects {array_spec.shape} of {array_spec.dtype}"
            )
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            return f"observation {key!r}: got NaN or infinity; expected finite numbers"
    return None


def _require(holds: bool, task: Task, problem: str, remedy: str) -> None:
    if not holds:
        raise ContractViolation(f"task {task.name!r}: {problem}. {remedy}")


def check_timestep(timestep: Any, spec: EnvSpec, task: Task, where: str) -> None:
    """One step against the spec.

    Args:
        timestep: what the environment returned.
        spec: what it promised.
        task: for the message.
        where: for the message, such as `step 3`.

    Raises:
        ContractViolation: it is no `TimeStep`, or not as promised.
    """
    kind = type(timestep).__name__
    _require(
        isinstance(timestep, TimeStep), task, f"{where}: got a {kind}; expected a TimeStep", "Use envs.timestep's four."
    )
    fault = fault_of(timestep, spec)
    _require(fault is None, task, f"{where}: {fault}", "Mend the environment or its spec.")


def play(environment: Environment, task: Task, seed: int, steps: int) -> list[tuple[TimeStep, str]]:
    """Act at random, check every step, and keep copies of what came.

    Args:
        environment: of the task.
        task: its captioner is asked after every step.
        seed: of the episode and of the actions.
        steps: to take at most; the episode may end before.

    Raises:
        ContractViolation: a step is not as the contract says.
    """
    spec, captioner = environment.spec, task.make_captioner()
    rng = np.random.default_rng(seed)
    timestep = environment.reset(seed)
    check_timestep(timestep, spec, task, "reset")
    _require(timestep.first, task, f"reset: got {timestep.step_type!r}; expected FIRST", "Return restart(observation).")
    _require(
        timestep.reward == 0.0, task, f"reset: got reward {timestep.reward}; expected none", "Use restart(observation)."
    )
    captioner.reset(timestep)
    story = [(_kept(timestep), "")]
    for index in range(1, steps + 1):
        timestep = environment.step(sample_action(spec.action, rng))
        where = f"step {index}"
        check_timestep(timestep, spec, task, where)
        _require(not timestep.first, task, f"{where}: got FIRST; expected MID or LAST", "Only reset begins an episode.")
        ended_early = timestep.discount == 0.0 and not timestep.last
        _require(not ended_early, task, f"{where}: got discount 0 before the end", "Use transition(…).")
        caption = captioner.caption(timestep)
        kind = type(caption).__name__
        _require(isinstance(caption, str), task, f"{where}: got a caption of type {kind}", "Return a str, '' if none.")
        story.append((_kept(timestep), caption))
        if timestep.last:
            break
    return story


def _kept(timestep: TimeStep) -> TimeStep:
    return timestep._replace(observation={k: np.array(v) for k, v in timestep.observation.items()})


def _difference(one: list[tuple[TimeStep, str]], other: list[tuple[TimeStep, str]]) -> str | None:
    for index, ((a, said_a), (b, said_b)) in enumerate(zip(one, other, strict=False)):
        if (a.step_type, a.reward, a.discount, said_a) != (b.step_type, b.reward, b.discount, said_b):
            return f"step {index}: {(a.reward, a.discount, said_a)} and {(b.reward, b.discount, said_b)}"
        for key in a.observation:
            if not np.array_equal(a.observation[key], b.observation[key]):
                return f"step {index}, observation {key!r}"
    return None if len(one) == len(other) else f"lengths {len(one)} and {len(other)}"


def check_environment(task: Task, steps: int = 100) -> None:
    """Play a little and hold the environment to the contract.

    Args:
        task: to check.
        steps: of the episode to play; it is played twice from one seed, in the same environment and in a fresh one.

    Raises:
        ContractViolation: with what was got, what was expected and a remedy in one line.
    """
    try:
        environment, fresh = task.make(), task.make()
    except (TypeError, ValueError) as error:
        raise ContractViolation(f"task {task.name!r} cannot be made: {error}. Check its options.") from error
    try:
        story = play(environment, task, 1, steps)
        _require(environment.spec == fresh.spec, task, "two instances have different specs", "Make the spec constant.")
        for again, which in ((fresh, "a fresh instance"), (environment, "a second episode")):
            difference = _difference(story, play(again, task, 1, steps))
            remedy = "Let reset(seed) alone determine the episode: seed every generator there."
            _require(
                difference is None,
                task,
                f"seed 1 and the same actions gave other steps in {which}: {difference}",
                remedy,
            )
        _require(isinstance(environment.render(), str), task, "render() gave no str", "Return text.")
    finally:
        environment.close()
        fresh.close()


class EnvironmentContract:
    """Inherit in a test class and return your task: pytest holds it to the contract."""

    steps: int = 200

    def task(self) -> Task:
        """The task under test."""
        raise NotImplementedError("return your task: def task(self): return make_task(...)")

    def test_the_environment_keeps_the_contract(self) -> None:
        """Specs, finite rewards, first and last steps, captions, determinism by seed."""
        check_environment(self.task(), self.steps)

    def test_a_termination_has_discount_0_and_a_truncation_keeps_it(self) -> None:
        """The last step says whether the world is over."""
        task = self.task()
        environment = task.make()
        try:
            for seed in range(3):
                last = play(environment, task, seed, self.steps)[-1][0]
                assert not last.last or last.discount in (0.0, 1.0), f"got discount {last.discount} at the end"
        finally:
            environment.close()

    def test_the_spec_survives_json(self) -> None:
        """Stored experience is read by the spec alone."""
        environment = self.task().make()
        try:
            assert EnvSpec.from_json(environment.spec.to_json()).to_json() == environment.spec.to_json()
        finally:
            environment.close()

    def test_an_episode_can_be_left_before_its_end(self) -> None:
        """Reset is allowed at any time, and begins anew."""
        task = self.task()
        environment = task.make()
        try:
            play(environment, task, 1, 2)
            assert environment.reset(2).first
        finally:
            environment.close()
