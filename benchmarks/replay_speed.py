"""`replay-speed`: what the replay inserts and samples in a second, beside other replays and beside memcpy, in one run.

    python -m benchmarks.replay_speed
    python -m benchmarks.replay_speed repetitions=5 seconds=1.0 sequences=8192

The records are observations uint8[1659], action int64, reward float32 and done uint8, in sequences of 32 steps; 32 of
them are inserted at a time, and sampled as one batch of contiguous arrays `[32, 32, …]`. In each repetition every
system has a process of its own, one after another, and as many threads as it takes by itself (torch's systems and this
replay copy with all cores, NumPy's with one); a figure is over repetitions, a ratio is of two systems in the same
repetition. A sample by priority comes with its importance weights. What is not alike: the others give arrays of their
own, this replay those that it fills again two samples later; the others keep arrays alone, this replay also who wrote
what and what each sample was made of, and, where it is durable, both on disk. A ring of arrays is no replay: it says
what indexing costs, as memcpy says what copying does, and stands beside the peers, not among them. Where a system is
not installed (`pip install --no-deps torchrl tensordict pyvers cpprb`; Reverb needs TensorFlow) the table says so. With
several writers each has its own replay (a shard), as in a run. Where rows are replaced within a second, hardly any has
to reach the disk; so rows that are all kept are inserted too, until the disk has the last of them, beside what the disk
does with the same bytes in files of the same size.
Further keys: only=[SYSTEM,…], work, results.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.apparatus.training import CHECKOUT
from envs.storage.files import sync_file, write_at
from envs.storage.store import Config as StoreConfig
from envs.storage.syncer import MOST_UNSEALED
from envs.trajectory import ragged
from learners.replay.config import Config
from learners.replay.replay import Replay
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, Figure, Result, figure, write_result

NAME = "replay-speed"
WIDTH, STEPS, BATCH = 1659, 32, 32
SEQUENCE_BYTES = STEPS * (WIDTH + 8 + 4 + 1)
DISTINCT = 1024  # sequences that are inserted again and again
BETA = 0.4  # of the importance weights that come with a sample by priority
DEADLINE_S = 120.0
FSYNC = ("none", "interval", "always")
Arrays = dict[str, NDArray[Any]]


def records() -> Arrays:
    """Sequences to insert, `[DISTINCT, STEPS, …]`."""
    rng = np.random.default_rng(0)
    shape = (DISTINCT, STEPS)
    return {
        "obs": rng.integers(0, 128, (*shape, WIDTH), np.uint8),
        "action": rng.integers(0, 23, shape, np.int64),
        "reward": rng.random(shape, np.float32),
        "done": rng.integers(0, 2, shape, np.uint8),
    }


@dataclass(frozen=True)
class System:
    """A replay under test.

    Attributes:
        insert: puts 32 sequences in.
        sample: gives 32 sequences; None: it is about inserting alone, and begins empty.
        settle: waits until the disk has what was inserted, and is part of the time; None: there is no such thing.
        version: of the library.
        note: what differs from the other systems.
        close: ends it.
        capacity: sequences it was made for, where fewer than all others.
        cool: takes its rows out of the page cache.
    """

    insert: Callable[[], Any]
    sample: Callable[[], Any] | None
    settle: Callable[[], Any] | None = None
    version: str = ""
    note: str = ""
    close: Callable[[], None] = lambda: None
    capacity: int | None = None
    cool: Callable[[], None] | None = None


def in_turn(count: int) -> Callable[[], int]:
    """Counts 0, 1, …, count - 1 and begins again."""
    state = [-1]

    def following() -> int:
        state[0] = (state[0] + 1) % count
        return state[0]

    return following


# Systems --------------------------------------------------------------------------------------------------------------


def memcpy(capacity: int, work: Path) -> System:
    """One block of the size of a batch, from a random place of a large array to the same place each time."""
    batch = BATCH * SEQUENCE_BYTES
    source, target = np.ones(capacity * SEQUENCE_BYTES, np.uint8), np.empty(batch, np.uint8)
    starts = in_turn(997)
    places = np.random.default_rng(0).integers(0, len(source) - batch, 997).tolist()
    block = source[:batch].copy()

    def insert() -> None:
        start = places[starts()]
        source[start : start + batch] = block

    def sample() -> None:
        start = places[starts()]
        target[:] = source[start : start + batch]

    return System(insert, sample, version=np.__version__)


def numpy_ring(capacity: int, work: Path) -> System:
    """A ring of arrays, indexed by an array."""
    data, rng, turn, place = records(), np.random.default_rng(0), in_turn(DISTINCT // BATCH), in_turn(capacity // BATCH)
    ring = {name: np.zeros((capacity, *values.shape[1:]), values.dtype) for name, values in data.items()}

    def insert() -> None:
        source, target = BATCH * turn(), BATCH * place()
        for name, values in data.items():
            ring[name][target : target + BATCH] = values[source : source + BATCH]

    def sample() -> Arrays:
        index = rng.integers(0, capacity, BATCH)
        return {name: values[index] for name, values in ring.items()}

    return System(insert, sample, version=np.__version__)


def cpprb(capacity: int, work: Path, prioritised: bool = False) -> System:
    """Its buffers hold items of any shape: here sequences."""
    import cpprb as library

    data, turn = records(), in_turn(DISTINCT // BATCH)
    data["dones"] = data.pop("done")  # it keeps `done` for itself
    parts = [
        {name: values[first : first + BATCH] for name, values in data.items()} for first in range(0, DISTINCT, BATCH)
    ]
    columns = {name: {"shape": values.shape[1:], "dtype": values.dtype} for name, values in data.items()}
    kind = library.PrioritizedReplayBuffer if prioritised else library.ReplayBuffer
    buffer = kind(capacity, env_dict=columns)

    def insert() -> None:
        buffer.add(**parts[turn()])

    def sample() -> Any:
        return buffer.sample(BATCH, BETA) if prioritised else buffer.sample(BATCH)

    return System(insert, sample, version=metadata.version("cpprb"))


def torchrl(capacity: int, work: Path, prioritised: bool = False) -> System:
    """TensorDict buffers of sequences, in memory."""
    import torch
    from tensordict import TensorDict
    from torchrl.data import LazyTensorStorage, TensorDictPrioritizedReplayBuffer, TensorDictReplayBuffer

    turn = in_turn(DISTINCT // BATCH)
    data = TensorDict({k: torch.from_numpy(v) for k, v in records().items()}, batch_size=[DISTINCT])
    parts = [data[first : first + BATCH] for first in range(0, DISTINCT, BATCH)]
    storage = LazyTensorStorage(capacity)
    if prioritised:
        buffer = TensorDictPrioritizedReplayBuffer(alpha=0.6, beta=BETA, storage=storage, batch_size=BATCH)
    else:
        buffer = TensorDictReplayBuffer(storage=storage, batch_size=BATCH)
    return System(lambda: buffer.extend(parts[turn()]), buffer.sample, version=metadata.version("torchrl"))


def rllib(capacity: int, work: Path) -> System:
    """Its buffer of episodes, which samples sequences; episodes of 320 steps come in fragments of 32."""
    import ray
    from ray.rllib.env.single_agent_episode import SingleAgentEpisode
    from ray.rllib.utils.replay_buffers.episode_replay_buffer import EpisodeReplayBuffer

    data, count, fewer = records(), [0], min(capacity, 1024)
    following = np.roll(data["obs"][:, 0], -1, axis=0)  # a fragment ends with the observation the next one begins with
    buffer = EpisodeReplayBuffer(capacity=fewer * STEPS, batch_size_B=BATCH, batch_length_T=STEPS)

    def fragment() -> Any:
        number, row = count[0], count[0] % DISTINCT
        count[0] += 1
        episode, part = divmod(number, 10)
        return SingleAgentEpisode(
            id_=f"{episode}",
            observations=[*data["obs"][row], following[row]],
            actions=list(data["action"][row]),
            rewards=list(data["reward"][row]),
            infos=[{}] * (STEPS + 1),
            t_started=part * STEPS,
            len_lookback_buffer=0,
            terminated=part == 9,
        )

    def insert() -> None:
        for _ in range(BATCH):
            buffer.add(fragment())

    def sample() -> Any:
        return buffer.sample(batch_size_B=BATCH, batch_length_T=STEPS)

    return System(
        insert,
        sample,
        version=ray.__version__,
        note=f"holds {fewer} sequences; insert makes the episodes",
        capacity=fewer,
    )


def reverb(capacity: int, work: Path) -> System:
    """A server and its dataset client in one process, over gRPC, uncompressed blocks of one sequence."""
    import reverb as library
    import tensorflow as tf

    data, turn = records(), in_turn(DISTINCT // BATCH)
    shapes = {name: tf.TensorSpec((1, *values.shape[1:]), values.dtype) for name, values in data.items()}
    table = library.Table(
        "t",
        library.selectors.Uniform(),
        library.selectors.Fifo(),
        capacity,
        library.rate_limiters.MinSize(1),
        signature=shapes,
    )
    server = library.Server([table], port=None)
    client = library.Client(f"localhost:{server.port}")
    writer = client.trajectory_writer(num_keep_alive_refs=1)

    def insert() -> None:
        first = BATCH * turn()
        for row in range(first, first + BATCH):
            writer.append({name: values[row] for name, values in data.items()})
            writer.create_item("t", 1.0, {name: column[-1:] for name, column in writer.history.items()})
        writer.flush()

    batches: list[Any] = []

    def sample() -> Any:
        if not batches:
            dataset = library.TrajectoryDataset.from_table_signature(f"localhost:{server.port}", "t", 64)
            batches.append(dataset.map(lambda one: one.data).batch(BATCH).prefetch(2).as_numpy_iterator())
        return next(batches[0])

    return System(insert, sample, version=metadata.version("dm-reverb"), note="over gRPC within one process")


SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in (
            ("episode_id", pa.string()),
            ("first_step", pa.int64()),
            ("ended", pa.bool_()),
            ("obs", pa.large_list(pa.list_(pa.uint8(), WIDTH))),
            ("action", pa.large_list(pa.int64())),
            ("reward", pa.large_list(pa.float32())),
            ("done", pa.large_list(pa.uint8())),
        )
    ]
)


def batches() -> list[pa.RecordBatch]:
    """The records as rows of one sequence each, 32 to a batch."""
    found, data = [], records()
    for first in range(0, DISTINCT, BATCH):
        part = {name: values[first : first + BATCH] for name, values in data.items()}
        lists = {name: ragged(values.reshape(-1, *values.shape[2:]), [STEPS] * BATCH) for name, values in part.items()}
        names = [f"e{index}" for index in range(first, first + BATCH)]
        ends = {"episode_id": names, "first_step": [0] * BATCH, "ended": [True] * BATCH}
        columns = [pa.array(ends[f.name], f.type) if f.name in ends else lists[f.name] for f in SCHEMA]
        found.append(pa.record_batch(columns, schema=SCHEMA))
    return found


def ours(
    capacity: int,
    work: Path,
    prioritised: bool = False,
    fsync: str | None = None,
    slices: bool = False,
    actor: int = 0,
) -> System:
    """This replay: in memory, or on disk with an fsync policy; contiguous arrays, or Arrow slices without a copy."""
    config = Config(
        unit="sequence",
        length=STEPS,
        sampler="prioritised" if prioritised else "uniform",
        max_times_sampled=None,
        capacity=capacity,
        rewindable=1,
        store=StoreConfig(fsync=fsync or "none"),
    )
    folder = work / f"ours-{os.getpid()}-{actor}" if fsync else None
    replay = Replay(config, SCHEMA, folder)
    parts, turn, sequence = batches(), in_turn(DISTINCT // BATCH), [0]

    def insert() -> None:
        replay.insert((actor, 0, sequence[0]), parts[turn()], 0)
        sequence[0] += 1

    def sample() -> Any:
        drawn = replay.sample(replay.next_sample, BATCH, 0)
        assert drawn is not None
        weights = drawn.weights(BETA) if prioritised else None
        return replay.sample_rows(drawn) if slices else replay.gather(drawn), weights

    def cool() -> None:
        assert folder is not None
        replay.sync()
        os.sync()
        forget_pages(replay, folder)

    def close() -> None:
        replay.close()
        if folder is not None:
            shutil.rmtree(folder)

    settle = None if folder is None else replay.sync
    return System(
        insert, sample, settle, close=close, cool=cool if fsync == "none" and sys.platform == "linux" else None
    )


def kept(capacity: int, work: Path) -> System:
    """This replay, durable and so large that no row has to go."""
    system = ours(2**20, work, fsync="interval")
    return replace(system, sample=None, cool=None)


def disk(capacity: int, work: Path) -> System:
    """The disk: bytes behind each other in files of the size of a segment, each synced when it is full."""
    block, size = records()["obs"].data.cast("B")[: BATCH * SEQUENCE_BYTES], StoreConfig().segment_mb * 2**20
    folder, worker = work / f"disk-{os.getpid()}", ThreadPoolExecutor(1)
    folder.mkdir()
    state: dict[str, Any] = {"file": None, "end": size, "count": 0, "syncing": deque()}

    def settle(most: int = 0) -> None:
        if not most and state["file"] is not None:
            full()
        while len(state["syncing"]) > most:
            state["syncing"].popleft().result(DEADLINE_S)

    def full() -> None:
        state["syncing"].append(worker.submit(sync_and_close, state["file"]))
        state["file"], state["end"] = None, size

    def insert() -> None:
        if state["end"] + len(block) > size:
            if state["file"] is not None:
                full()
            settle(MOST_UNSEALED)
            state["count"] += 1
            state["file"] = os.open(folder / f"{state['count']}", os.O_RDWR | os.O_CREAT)
            os.ftruncate(state["file"], size)
            state["end"] = 0
        state["end"] = write_at(state["file"], [block], state["end"])

    def close() -> None:
        settle()
        shutil.rmtree(folder)

    return System(insert, None, settle, close=close)


def sync_and_close(descriptor: int) -> None:
    """Wait until the disk has a file, and let go of it."""
    sync_file(descriptor)
    os.close(descriptor)


def forget_pages(replay: Replay, folder: Path) -> None:
    """Unmap and drop every page of a replay's segments, so that the next read comes from the disk."""
    libc = ctypes.CDLL(None, use_errno=True)
    store = replay._store
    assert store is not None
    for segment in {entry.position.segment for entry in store}:
        content = np.frombuffer(store.mapped(segment), np.uint8)
        start = content.ctypes.data // mmap.PAGESIZE * mmap.PAGESIZE
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(content.nbytes), mmap.MADV_DONTNEED)
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def variant(build: Callable[..., System], **settings: Any) -> Callable[[int, Path], System]:
    """A builder with settings."""
    return lambda capacity, work: build(capacity, work, **settings)


SYSTEMS: dict[str, Callable[[int, Path], System]] = {
    "memcpy": memcpy,
    "numpy ring": numpy_ring,
    "guerdon": ours,
    "cpprb": cpprb,
    "guerdon, durable": variant(ours, fsync="interval"),
    "torchrl": torchrl,
    "guerdon, slices": variant(ours, fsync="interval", slices=True),
    "cpprb, prioritised": variant(cpprb, prioritised=True),
    "guerdon, prioritised": variant(ours, prioritised=True),
    "torchrl, prioritised": variant(torchrl, prioritised=True),
    "guerdon, durable, prioritised": variant(ours, fsync="interval", prioritised=True),
    "guerdon, slices, prioritised": variant(ours, fsync="interval", slices=True, prioritised=True),
    "rllib": rllib,
    "guerdon, fsync none": variant(ours, fsync="none"),
    "guerdon, fsync always": variant(ours, fsync="always"),
    "reverb": reverb,
    "disk": disk,
    "guerdon, durable, kept": kept,
}
PEERS = {
    "uniform": ("cpprb", "torchrl", "rllib", "reverb"),
    "prioritised": ("cpprb, prioritised", "torchrl, prioritised"),
}
WRITERS = (1, 2, 4)


# Measuring ------------------------------------------------------------------------------------------------------------


def rate(work: Callable[[], Any], seconds: float) -> float:
    """Calls a second, once it has run for a seventh of the time: threads have begun, rows were looked at once."""
    began = time.perf_counter()
    while time.perf_counter() - began < seconds / 7:
        work()
    began, calls = time.perf_counter(), 0
    while True:
        work()
        calls += 1
        if (elapsed := time.perf_counter() - began) >= seconds:
            return calls / elapsed


def settled_rate(system: System, seconds: float) -> float:
    """Inserts a second of an empty system, until the disk has the last one."""
    assert system.settle is not None
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        system.insert()
        calls += 1
    system.settle()
    return calls / (time.perf_counter() - began)


def allocated(work: Callable[[], Any]) -> int:
    """Bytes that one call takes from the allocators of Python, NumPy and Arrow at its peak; torch has its own."""
    work()
    tracemalloc.start()
    arrow, before = pa.total_allocated_bytes(), tracemalloc.get_traced_memory()[0]
    kept = work()
    peak: int = tracemalloc.get_traced_memory()[1] - before + max(0, pa.total_allocated_bytes() - arrow)
    tracemalloc.stop()
    del kept
    return peak


def measure(name: str, capacity: int, seconds: float, work: Path) -> dict[str, Any]:
    """Fill one system, and see how fast it inserts and samples."""
    try:
        system = SYSTEMS[name](capacity, work)
    except ImportError as error:
        return {"system": name, "note": f"not installed: {error}"}
    try:
        if system.sample is None:
            return {"system": name, "note": system.note, "insert": settled_rate(system, 3 * seconds)}
        for _ in range((system.capacity or capacity) // BATCH):
            system.insert()
        found: dict[str, Any] = {
            "system": name,
            "version": system.version,
            "note": system.note,
            "insert": rate(system.insert, seconds),
            "sample": rate(system.sample, seconds),
        }
        if not name.startswith(("torchrl", "reverb")):
            found["allocated"] = allocated(system.sample)
        if system.cool is not None:
            system.cool()
            began = time.perf_counter()
            for _ in range(20):
                system.sample()
            found["cold"] = 20 / (time.perf_counter() - began)
        return found
    finally:
        system.close()


def write_alone(actor: int, capacity: int, seconds: float, work: Path, ready: Any, rates: Any) -> None:
    """One writer with a shard of its own."""
    system = ours(capacity, work, fsync="interval", actor=actor)
    for _ in range(4):
        system.insert()
    ready.wait(DEADLINE_S)
    rates.put(rate(system.insert, seconds))
    system.close()


def writers(number: int, capacity: int, seconds: float, work: Path) -> float:
    """Inserts a second of several processes together."""
    context = multiprocessing.get_context("spawn")
    ready, rates = context.Barrier(number), context.Queue()
    arguments = (capacity // number, seconds, work, ready, rates)
    processes = [context.Process(target=write_alone, args=(actor, *arguments)) for actor in range(number)]
    for process in processes:
        process.start()
    total: float = sum(rates.get(timeout=DEADLINE_S) for _ in processes)
    for process in processes:
        process.join(DEADLINE_S)
    return total


def in_a_process(name: str, capacity: int, seconds: float, work: Path) -> dict[str, Any]:
    """`measure` in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.replay_speed", f"one={name}", f"work={work}"]
    command += [f"sequences={capacity}", f"seconds={seconds}"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=DEADLINE_S)
    if done.returncode:
        return {"system": name, "note": f"failed: {done.stderr.strip().splitlines()[-1:]}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# Reporting ------------------------------------------------------------------------------------------------------------


def rows(found: Sequence[Mapping[str, Any]], repetition: int) -> list[dict[str, Cell]]:
    """The table of one repetition."""
    batch = BATCH * SEQUENCE_BYTES
    return [
        {
            "repetition": repetition,
            "system": one["system"],
            "version": one.get("version", ""),
            "insert_rows_per_s": one["insert"] * BATCH if "insert" in one else None,
            "insert_gb_per_s": one["insert"] * batch / 1e9 if "insert" in one else None,
            "sample_rows_per_s": one["sample"] * BATCH if "sample" in one else None,
            "sample_steps_per_s": one["sample"] * BATCH * STEPS if "sample" in one else None,
            "sample_gb_per_s": one["sample"] * batch / 1e9 if "sample" in one else None,
            "sample_cold_gb_per_s": one["cold"] * batch / 1e9 if "cold" in one else None,
            "bytes_allocated_per_sample": one.get("allocated"),
            "note": one.get("note", ""),
        }
        for one in found
    ]


def figures(table: Sequence[Mapping[str, Cell]]) -> dict[str, Figure]:
    """Speeds by system, and the ratios of the claim, each over the repetitions."""
    systems = list(dict.fromkeys(str(row["system"]) for row in table))
    repetitions = sorted({int(row["repetition"] or 0) for row in table})
    cells = {(row["system"], row["repetition"]): row for row in table}

    def values(system: str, column: str) -> list[float | None]:
        return [cells.get((system, n), {}).get(column) for n in repetitions]  # type: ignore[misc]

    found: dict[str, Figure] = {}
    for column, unit in (("sample_gb_per_s", "GB/s"), ("insert_gb_per_s", "GB/s"), ("sample_cold_gb_per_s", "GB/s")):
        for system in systems:
            if there := [value for value in values(system, column) if value is not None]:
                what = column.removesuffix("_gb_per_s").replace("_", " ")
                found[f"{what}, {system}"] = figure(there, unit)

    def ratio(name: str, above: str, below: Sequence[str], column: str) -> None:
        each = []
        for n in repetitions:
            over = cells.get((above, n), {}).get(column)
            under = [v for b in below if isinstance(v := cells.get((b, n), {}).get(column), float)]
            if isinstance(over, float) and under:
                each.append(over / max(under))
        if each:
            found[name] = figure(each, "ratio")

    ratio("sample, over the fastest peer", "guerdon", PEERS["uniform"], "sample_gb_per_s")
    ratio("sample, over the fastest peer, durable", "guerdon, durable", PEERS["uniform"], "sample_gb_per_s")
    ratio("sample, over the fastest peer, slices", "guerdon, slices", PEERS["uniform"], "sample_gb_per_s")
    ratio("sample, over the fastest peer, prioritised", "guerdon, prioritised", PEERS["prioritised"], "sample_gb_per_s")
    ratio(
        "sample, over the fastest peer, slices, prioritised",
        "guerdon, slices, prioritised",
        PEERS["prioritised"],
        "sample_gb_per_s",
    )
    ratio("sample, over a ring of arrays", "guerdon", ["numpy ring"], "sample_gb_per_s")
    ratio("sample, over memcpy", "guerdon", ["memcpy"], "sample_gb_per_s")
    ratio("sample, over memcpy, durable", "guerdon, durable", ["memcpy"], "sample_gb_per_s")
    ratio("sample, over memcpy, slices", "guerdon, slices", ["memcpy"], "sample_gb_per_s")
    for policy in FSYNC:
        durable = "guerdon, durable" if policy == "interval" else f"guerdon, fsync {policy}"
        ratio(f"insert, over in memory, fsync {policy}", durable, ["guerdon"], "insert_gb_per_s")
    ratio("insert, disk over in memory", "disk", ["guerdon"], "insert_gb_per_s")
    ratio("insert, kept, over in memory", "guerdon, durable, kept", ["guerdon"], "insert_gb_per_s")
    ratio("insert, kept, over the disk", "guerdon, durable, kept", ["disk"], "insert_gb_per_s")
    return found


CLAIMS = {
    "sample, over the fastest peer": 1.0,
    "sample, over the fastest peer, prioritised": 1.0,
    "sample, over memcpy, slices": 0.5,
    "sample, over memcpy, durable": 0.5,
    "insert, over in memory, fsync interval": 2 / 3,
}
"""What each ratio must be at least."""


def report(table: Sequence[Mapping[str, Cell]], results: Path) -> Result:
    """Write the result."""
    found = figures(table)
    return write_result(
        results / f"{NAME}.json",
        NAME,
        "On sequences of 32 NetHack-sized records the replay samples faster than the fastest other replay measured "
        "beside it, uniform and by priority, at half the speed of memcpy or more when durable, and durable insertion "
        "(fsync each second) is at most a third slower than insertion in memory.",
        all(name in found and found[name].value >= least for name, least in CLAIMS.items()),
        f"python -m benchmarks.{NAME.replace('-', '_')}",
        found,
        table,
    )


def main(arguments: Sequence[str]) -> None:
    values = parse(arguments)
    seconds, capacity = float(values.pop("seconds", 0.7)), int(values.pop("sequences", 8192))
    repetitions, only = int(values.pop("repetitions", 3)), values.pop("only", list(SYSTEMS))
    work, results = Path(values.pop("work", f"runs/{NAME}")), Path(values.pop("results", "docs/results"))
    one = values.pop("one", None)
    if values or not set(only) <= set(SYSTEMS) or capacity % BATCH or (one is not None and one not in SYSTEMS):
        raise UserError(f"got {dict(values)}, systems {only}, sequences {capacity}; expected what the module says")
    work.mkdir(parents=True, exist_ok=True)
    if one is not None:
        print(json.dumps(measure(one, capacity, seconds, work)), flush=True)
        os._exit(0)  # some systems leave threads behind that would wait
    table: list[dict[str, Cell]] = []
    for repetition in range(repetitions):
        found = [in_a_process(name, capacity, seconds, work) for name in only]
        for number in WRITERS if only == list(SYSTEMS) else ():
            speed = writers(number, capacity // 4, seconds, work)
            found.append({"system": f"guerdon, durable, {number} writers", "insert": speed})
        table += rows(found, repetition)
        for row in table[-len(found) :]:
            numbers = {k: round(v, 2) for k, v in row.items() if isinstance(v, float) and "gb" in k}
            print(repetition, row["system"], numbers, row["bytes_allocated_per_sample"], row["note"], flush=True)
    shutil.rmtree(work, ignore_errors=True)
    print(f"{results / f'{NAME}.json'}: holds {report(table, results).holds}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError) as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped before its end, nothing was written")
