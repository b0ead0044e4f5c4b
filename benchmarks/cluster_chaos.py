"""`cluster-chaos`: a run on several nodes of Ray, in which everything is killed, frozen, drained, filled and slowed.

    python -m benchmarks.cluster_chaos
    python -m benchmarks.cluster_chaos parts=[nodes] minutes=2      # one part, kept below work= and not as a result

| part | what happens to the run |
|---|---|
| undisturbed | nothing, with three seeds: its returns are what the others are compared with |
| nodes | every 30 s a node with env actors is killed, and another joins 10 s later, for five minutes |
| killed, frozen | each role in turn is sent SIGKILL, or SIGSTOP |
| drain | a node is announced to go in 25 s, and goes |
| head | the head with Ray's control store is killed; a new cluster is started and the run is resumed |
| store | another job fills the object store of the driver's node one and a half times |
| network | every task, object, lease and reservation that Ray passes on is late by up to 20 ms |
| grow, shrink | Ray's autoscaler adds and removes nodes as env actors become more and fewer by load |

Each part is a run of its own, by the command line, of the recipe `catch` with a judge by rules. About half an hour.
Other keys: work, results; every further key is an override of the recipe.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.apparatus.live import TINY, LiveRun
from benchmarks.apparatus.raylets import Elastic, Raylets
from benchmarks.apparatus.training import sigterm_interrupts
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, Figure, Result, figure, write_result

NAME = "cluster-chaos"
VICTIMS = ("env-actor-0", "judge", "reward-trainer", "learner", "replay-0")
EVERY_S, JOINS_AFTER_S, MINUTES = 30.0, 10.0, 5.0
RECOVERY_S = 150.0
# Requests, and not "*": what a node tells itself of its object store, out of order, ends Ray's raylet (2.60).
LATE = (
    "CoreWorkerService.grpc_server.PushTask",
    "ObjectManagerService.grpc_server.Push.HandleRequestImpl",
    "ObjectManagerService.grpc_server.Pull.HandleRequestImpl",
    "NodeManagerService.grpc_server.RequestWorkerLease.HandleRequestImpl",
    "NodeManagerService.grpc_server.PrepareBundleResources.HandleRequestImpl",
    "NodeManagerService.grpc_server.CommitBundleResources.HandleRequestImpl",
)
HEAD_CPUS = 4  # learner, reward trainer, judge and one actor; the replay beside the driver asks for none
FRAMES = 150_000  # enough to learn the task: what is compared is how a run ends
SETTINGS: dict[str, Any] = {
    **TINY,
    "frames": 10**8,
    "actors.environments": 16,
    "actors.unroll_length": 9,
    "policy.hidden": 32,
    "actors.deadline_s": 15,
    "role_deadline_s": 20,
    "serving.call_timeout_s": 10,
    "serving.health_timeout_s": 5,
    "checkpoint.every_s": 5,
    "stall_timeout_s": 240,
}


@dataclass
class Part:
    """What was done to a run, and what became of it."""

    done: list[tuple[str, float]] = field(default_factory=list)  # victim and time
    extra: dict[str, Cell] = field(default_factory=dict)


@contextmanager
def running(address: str, place: Path, settings: Mapping[str, Any]) -> Iterator[LiveRun]:
    """A run on a cluster, once it learns; whatever is left of it is killed at the end."""
    place.mkdir(parents=True, exist_ok=True)
    run = LiveRun(place, ["catch"], {**SETTINGS, **settings, "ray.address": address})
    try:
        run.until(lambda: run.metrics().get("updates", 0) >= 10, 240, "updates")
        yield run
    finally:
        run.clear()


@contextmanager
def raylets(workers: int = 2, **settings: Any) -> Iterator[Raylets]:
    """A head for what has state, and nodes of two CPUs for env actors."""
    cluster = Raylets(head_cpus=5, **settings)
    try:
        for _ in range(workers):
            cluster.add(2, actors=2)
        yield cluster
    finally:
        cluster.shutdown()


ON_WORKERS = {"placement.actors.resources.actors": 1, "actors.count": 3}


def recovered(run: LiveRun, role: str, since_s: float) -> list[float]:
    """Seconds of the recoveries of a role since then."""
    return [
        e["recovered_s"]
        for e in run.events
        if e["role"] == role and e["what"] == "recovered" and e["time_s"] >= since_s
    ]


def moves_on(run: LiveRun) -> None:
    """Wait until the run learns again."""
    before = run.metrics().get("updates", 0)
    run.until(lambda: run.metrics().get("updates", 0) > before + 5, RECOVERY_S, "learning")


def finish(run: LiveRun, frames: int = FRAMES) -> None:
    """Let the run learn as much as the others do, and ask it to save and stop.

    Raises:
        AssertionError: it does not, or ends badly.
    """
    run.until(lambda: run.metrics().get("learnt_frames", 0) >= frames, 300, "learning")
    run.process.send_signal(signal.SIGTERM)
    code = run.wait(RECOVERY_S)
    assert code == 0, f"ended with {code}:\n{run.output[-2000:]}"


def undisturbed(place: Path, overrides: Mapping[str, Any], seed: int) -> dict[str, Cell]:
    """One run that nothing happens to."""
    with (
        raylets() as cluster,
        running(cluster.address, place, {**ON_WORKERS, **overrides, "seed": seed}) as run,
    ):
        finish(run)
        return row(run, f"nothing (seed {seed})", Part())


def nodes(place: Path, overrides: Mapping[str, Any], minutes: float) -> list[dict[str, Cell]]:
    """A node is killed every half minute."""
    part = Part()
    with raylets() as cluster, running(cluster.address, place, {**ON_WORKERS, **overrides}) as run:
        ends, due = time.monotonic() + 60 * minutes, time.monotonic()
        while time.monotonic() < ends:
            victim = cluster.nodes[0]
            part.done.append(("node", time.time()))
            cluster.remove(victim)
            time.sleep(JOINS_AFTER_S)
            cluster.add(2, actors=2)
            due += EVERY_S
            time.sleep(max(0.0, due - time.monotonic()))
        moves_on(run)
        finish(run)
        gone = [e for e in run.events if e["role"].startswith("node ") and e["what"] == "gone"]
        seconds = [s for k in range(3) for s in recovered(run, f"env-actor-{k}", part.done[0][1])]
        return [row(run, "node, killed", part, named=len(gone), recovered=len(gone), seconds=seconds)]


def signals(place: Path, overrides: Mapping[str, Any], number: signal.Signals, what: str) -> list[dict[str, Cell]]:
    """Each role in turn is sent a signal."""
    part, seconds = Part(), dict[str, list[float]]()
    with raylets() as cluster, running(cluster.address, place, {**ON_WORKERS, **overrides}) as run:
        for victim in VICTIMS:
            run.until(lambda victim=victim: run.process_of(victim), RECOVERY_S, f"process of {victim}")  # type: ignore[misc]
            since = time.time()
            run.kill(victim, number)
            part.done.append((victim, since))
            run.until(lambda victim=victim, since=since: recovered(run, victim, since), RECOVERY_S, f"{victim} back")  # type: ignore[misc]
            seconds[victim] = recovered(run, victim, since)[:1]
            moves_on(run)
        finish(run)
        died = {e["role"] for e in run.events if e["what"] == "died"}
        return [
            row(run, f"{victim}, {what}", Part([p for p in part.done if p[0] == victim]), int(victim in died), 1, own)
            for victim, own in seconds.items()
        ]


def drain(place: Path, overrides: Mapping[str, Any]) -> list[dict[str, Cell]]:
    """A node with an env actor and the learner is announced to go, and goes."""
    settings = {"placement.learner.resources.actors": 1, **ON_WORKERS, "actors.count": 2, **overrides}
    with raylets(3) as cluster, running(cluster.address, place, settings) as run:
        home = {node.node_id: node for node in cluster.nodes}
        learner = _node_of(run, cluster, "learner")
        since = time.time()
        cluster.drain(home[learner], 25.0)
        run.until(
            lambda: [e for e in run.events if e["role"] == "learner" and e["what"] == "renewed"], 60, "leaving in time"
        )
        left_s = time.time() - since
        time.sleep(max(0.0, 25.0 - left_s))
        if home[learner] in cluster.nodes:
            cluster.remove(home[learner])
        moves_on(run)
        finish(run)
        died = [e for e in run.events if e["what"] == "died"]
        made = row(run, "node, drained", Part([("node", since)]), named=1, recovered=1, seconds=[left_s])
        return [{**made, "deaths": len(died)}]


def _node_of(run: LiveRun, cluster: Raylets, role: str) -> str:
    """The node on which a role's process says it is."""
    import ray

    pid = run.process_of(role)
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        from ray._private.state import state

        for actor in state.actor_table(None).values():
            if actor.get("Pid") == pid:
                return str(actor["Address"]["NodeID"])
    finally:
        ray.shutdown()
    raise UserError(f"{role}, process {pid}, stands on no node of the cluster")


def head(place: Path, overrides: Mapping[str, Any]) -> list[dict[str, Cell]]:
    """The head is killed, a new cluster started, and the run resumed."""
    since = 0.0
    with raylets() as cluster, running(cluster.address, place, {**ON_WORKERS, **overrides}) as run:
        run.until(lambda: list(run.directory.checkpoints.glob("0*")), 60, "checkpoint")
        since = time.time()
        cluster.kill_head()
        run.process.wait(240)
        ended_s, code = time.time() - since, run.process.returncode
        said = run.metrics()["learnt_frames"]
    with raylets() as cluster:
        again = LiveRun(place, ["resume=last"], {"ray.address": cluster.address})
        try:
            # The run went on after it was saved, until Ray ended it: what it said then is not what it says now.
            again.until(lambda: any(e["what"] == "resumed" for e in again.events), 240, "resumption")
            resumed = time.time()

            def learns() -> bool:
                # Past all that was learnt after it was saved: until then draws wait that were made, and count as made.
                last = again.metrics()
                return last["time"] > resumed and last["learnt_frames"] > said + 20_000

            again.until(learns, 240, "learning")
            back_s = time.time() - since
            finish(again)
            made = row(again, "head, killed", Part([("head", since)]), named=1, recovered=1, seconds=[back_s])
            return [{**made, "ended_s": ended_s, "exit_code": code}]
        finally:
            again.clear()


def store(place: Path, overrides: Mapping[str, Any]) -> list[dict[str, Cell]]:
    """Another job fills the object store."""
    import numpy as np
    import ray

    with raylets() as cluster, running(cluster.address, place, {**ON_WORKERS, **overrides}) as run:
        ray.init(address=cluster.address, log_to_driver=False)
        try:
            since, held = time.time(), []
            for _ in range(15):
                held.append(ray.put(np.ones(10 * 2**20, np.uint8)))
            moves_on(run)
            seconds = time.time() - since
            del held
        finally:
            ray.shutdown()
        finish(run)
        return [row(run, "object store, full", Part([("store", since)]), named=1, recovered=1, seconds=[seconds])]


def network(place: Path, overrides: Mapping[str, Any]) -> list[dict[str, Cell]]:
    """What goes between processes and nodes is late, each by another time."""
    late = ",".join(f"{name}=0:20000" for name in LATE)
    with (
        raylets(system={"testing_asio_delay_us": late}) as cluster,
        running(cluster.address, place, {**ON_WORKERS, **overrides}) as run,
    ):
        since = time.time()
        time.sleep(20.0)
        moves_on(run)
        finish(run)
        made = row(run, "network, slow", Part([("network", since)]), named=1, recovered=1, seconds=[])
        return [made]


def scaled(place: Path, overrides: Mapping[str, Any], up: bool) -> list[dict[str, Cell]]:
    """The autoscaler adds nodes for actors that a fast learner asks for, or removes those that a slow one does not."""
    speed = {"scaling.speed.up_s": 3, "scaling.speed.down_s": 8, "scaling.speed.settle_s": 5}
    # Few environments make an actor slow, many passes over a batch the learner.
    load = {"actors.count": 1, "actors.environments": 4} if up else {"actors.count": 4, "learner.epochs": 40}
    cluster = Elastic(place / "ray", head_cpus=HEAD_CPUS, cpus=1, most=3, idle_s=6.0)
    try:
        bounds = {"scaling.actors.least": 1, "scaling.actors.most": 4}
        with running(cluster.address, place, {**load, **bounds, **speed, **overrides}) as run:
            since, joined = time.time(), "joined" if up else "gone"

            def changed() -> bool:
                return any(e["what"] == joined and e["role"].startswith("node ") for e in run.events)

            run.until(changed, RECOVERY_S, f"a node that has {joined}")
            seconds = time.time() - since
            if up:
                run.until(lambda: run.process_of("env-actor-1"), RECOVERY_S, "an actor that is new")
            moves_on(run)
            finish(run, FRAMES // 4)
            steps = [e["cause"] for e in run.events if e["what"] == "scaled"]
            what = "load, up" if up else "load, down"
            made = row(run, what, Part([("load", since)]), named=len(steps), recovered=1, seconds=[seconds])
            return [{**made, "steps": "; ".join(steps)[:300]}]
    finally:
        cluster.shutdown()


def row(
    run: LiveRun,
    victim: str,
    part: Part,
    named: int = 0,
    recovered: int = 0,
    seconds: Sequence[float] = (),
) -> dict[str, Cell]:
    """What the run says of itself at its end."""
    ledger, last = run.ledger, run.metrics()
    books = ledger["experience"]
    accounted = sum(of["frames"] for of in (books["live"], books["sampled"], *books["dropped"].values()))
    return {
        "victim": victim,
        "kills": len(part.done),
        "named": named,
        "recovered": recovered,
        "seconds_max": max(seconds, default=None),
        "rows_lost": books["accepted"]["frames"] - accounted + books["dropped"].get("lost", {}).get("frames", 0),
        "rows_skipped": max(0, books["sampled"]["frames"] - int(last["learnt_frames"])),
        "rows_learnt_twice": max(0, int(last["learnt_frames"]) - books["sampled"]["frames"]),
        "verdicts_doubled": ledger["verdicts"]["ok"] - distinct_verdicts(run),
        "verdicts": ledger["verdicts"]["ok"],
        "rollouts_lost": ledger["lost_rollouts"],
        "frames": int(last["learnt_frames"]),
        "final_return": last.get("episode_return"),
        "balanced": bool(ledger["balanced"]),
    }


def failed(name: str, error: str) -> dict[str, Cell]:
    """The row of a part that did not come to its end."""
    numbers = ("seconds_max", "rows_lost", "rows_skipped", "rows_learnt_twice", "verdicts_doubled", "final_return")
    return {
        "victim": name,
        "kills": 1,
        "named": 0,
        "recovered": 0,
        **dict.fromkeys(numbers),
        "balanced": False,
        "error": error[:200],
    }


def distinct_verdicts(run: LiveRun) -> int:
    """Questions that have a stored verdict with a value."""
    from rewards.verdict_store import VerdictStore
    from rewards.verdicts import Status

    store_ = VerdictStore(run.directory.verdicts)
    try:
        found = [v for version in store_.versions() for v in store_.verdicts(version.component, version.reward_version)]
        return len({v.subject for v in found if v.status is Status.OK})
    finally:
        store_.close()


def parts(place: Path, overrides: Mapping[str, Any], minutes: float) -> dict[str, Callable[[], list[dict[str, Cell]]]]:
    """By name what can be done."""
    return {
        "undisturbed": lambda: [undisturbed(place / f"seed-{seed}", overrides, seed) for seed in range(3)],
        "nodes": lambda: nodes(place / "nodes", overrides, minutes),
        "killed": lambda: signals(place / "killed", overrides, signal.SIGKILL, "killed"),
        "frozen": lambda: signals(place / "frozen", overrides, signal.SIGSTOP, "frozen"),
        "drain": lambda: drain(place / "drain", overrides),
        "head": lambda: head(place / "head", overrides),
        "store": lambda: store(place / "store", overrides),
        "network": lambda: network(place / "network", overrides),
        "grow": lambda: scaled(place / "grow", overrides, up=True),
        "shrink": lambda: scaled(place / "shrink", overrides, up=False),
    }


def collect(found: Mapping[str, Sequence[Mapping[str, Cell]]], results: Path, command: str) -> Result:
    """Write the table and say whether the claim holds."""
    calm = [float(row_["final_return"] or 0.0) for row_ in found["undisturbed"]]
    rows = [row_ for some in found.values() for row_ in some]
    low, high = min(calm), max(calm)
    hit = [row_ for row_ in rows if not str(row_["victim"]).startswith("nothing")]
    # Those that grow and shrink have another load, and so learn another number of times from a frame.
    alike = [row_ for row_ in hit if not str(row_["victim"]).startswith("load")]
    within = [low - 0.05 <= float(row_["final_return"] or -1.0) <= high + 0.05 for row_ in alike]
    figures: dict[str, Figure] = {"return undisturbed": figure(calm, "return")}
    for key in ("rows_lost", "rows_skipped", "rows_learnt_twice"):
        figures[key.replace("_", " ")] = _count(sum(int(row_[key] or 0) for row_ in rows), "frames")
    figures["verdicts doubled"] = _count(sum(int(row_["verdicts_doubled"] or 0) for row_ in rows), "verdicts")
    figures["kills and other faults"] = _count(sum(int(row_["kills"] or 0) for row_ in hit), "faults")
    figures["returns within the seeds' interval"] = Figure(
        value=sum(within) / len(within), unit="share", low=None, high=None, n=1
    )
    for row_ in hit:
        if row_["seconds_max"] is not None:
            value = float(row_["seconds_max"])
            figures[f"{row_['victim']}, longest recovery"] = Figure(value=value, unit="s", low=None, high=None, n=1)
    whole = all(row_["balanced"] for row_ in rows) and all(row_["recovered"] for row_ in hit)
    wrong = ("rows lost", "rows skipped", "rows learnt twice", "verdicts doubled")
    none = not any(figures[name].value for name in wrong)
    return write_result(
        results / f"{NAME}.json",
        NAME,
        "On several nodes, with a node killed every 30 s for five minutes, each role killed and frozen, a node "
        "drained, the head killed, the object store filled, messages delayed, and nodes added and removed by load, no "
        "stored row is lost, skipped or learnt from twice, no verdict is doubled, and returns end within 0.05 of the "
        "undisturbed seeds'.",
        bool(whole and none and all(within)),
        command,
        figures,
        rows,
    )


def _count(value: int, unit: str) -> Figure:
    return Figure(value=float(value), unit=unit, low=None, high=None, n=1)


def main(arguments: Sequence[str]) -> int:
    """The command; gives the exit code."""
    values: dict[str, Any] = parse(arguments)
    work = Path(values.pop("work", f"runs/{NAME}")).resolve()
    results = Path(values.pop("results", "docs/results"))
    minutes = float(values.pop("minutes", MINUTES))
    wanted = values.pop("parts", None)
    work.mkdir(parents=True, exist_ok=True)
    every = parts(work / time.strftime("%Y%m%d-%H%M%S"), values, minutes)
    if unknown := [name for name in wanted or [] if name not in every]:
        raise UserError(f"parts: got {unknown[0]!r}; expected some of {', '.join(every)}")
    for name in wanted or every:
        began = time.monotonic()
        try:
            found = every[name]()
        except AssertionError as error:  # what a run did not do in time is a result, and no reason not to do the rest
            print(f"{name}: {error}", flush=True)
            found = [failed(name, str(error))]
        (work / f"{name}.json").write_text(json.dumps(found, indent=1))
        print(f"{name}: {time.monotonic() - began:.0f} s", *found, sep="\n  ", flush=True)
    kept = {name: work / f"{name}.json" for name in every}
    if missing := [name for name, path in kept.items() if not path.exists()]:
        print(f"no result yet: {', '.join(missing)} did not run")
        return 0
    words = "".join(f" {one}" for one in arguments if not one.startswith(("parts=", "work=", "results=")))
    command = f"python -m benchmarks.cluster_chaos{words}"
    result = collect({name: json.loads(path.read_text()) for name, path in kept.items()}, results, command)
    print(f"{results / f'{NAME}.json'}: holds {result.holds}")
    return 0 if result.holds else 1


if __name__ == "__main__":
    try:
        with sigterm_interrupts():
            sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped")
