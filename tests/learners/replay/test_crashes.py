"""A replay that dies goes on as if the last call had been made, or had not; a learner skips and repeats nothing.

A crash is an exception thrown in the middle of a call, before or after a piece of work on the disk, and the object is
left as it is. What the disk has at that moment is copied, and opened by another replay, as after `kill -9`.
"""

import os
import shutil
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from envs.storage.store import Config as StoreConfig
from envs.storage.writers import Ack
from learners.replay.config import Config
from learners.replay.replay import Replay

SETTINGS = [
    {"unit": "fragment"},
    {"unit": "fragment", "capacity": 3},
    {"unit": "fragment", "sampler": "uniform", "max_times_sampled": 2, "capacity": 6},
    {"unit": "row", "sampler": "prioritised", "max_times_sampled": None, "capacity": 7, "remover": "lowest_priority"},
    {"unit": "row", "sampler": "lifo", "capacity_rows": 9},
    {"unit": "sequence", "length": 4, "stride": 2, "sampler": "uniform", "max_times_sampled": None, "capacity": 12},
    {"unit": "sequence", "length": 5, "capacity_rows": 8},
    {"unit": "group", "group_size": 3, "capacity_rows": 8, "rewindable": 2},
]


class Crash(Exception):
    """The process is gone."""


def crash_after(replay, steps):
    """Let `replay` die after so many steps on the disk; each piece of work has one before it and one after it."""
    left = [steps]

    def step():
        if left[0] == 0:
            raise Crash
        left[0] -= 1

    def dying(work):
        def call(*arguments, **named):
            step()
            result = work(*arguments, **named)
            step()
            return result

        return call

    for owner, names in ((replay._store, ("append", "drop")), (replay._journal, ("write", "sync", "begin_anew"))):
        for name in names:
            setattr(owner, name, dying(getattr(owner, name)))


def settled(replay):
    """Not in the middle of a step that the store takes in the background: tests/envs/storage does that."""
    replay._store._syncer.finish()
    replay._store._syncer.settle()


def view(replay):
    """All that a replay has promised, but for what it counts of this process and of refused inserts."""
    state = replay._state
    items = state.items.used()
    facts = ("id", "times", "pins", "held", "priority")
    ledger = replay.ledger()
    return {
        "items": sorted(zip(*(state.items[name][items].tolist() for name in facts), strict=True)),
        "rows": sorted(state.rows["number"][state.rows.used()].tolist()),
        "samples": {number: given.ids.tolist() for number, given in state.samples.items()},
        "frontier": (replay.released, replay.next_sample),
        "writers": state.writers.rows(),
        "books": (ledger.accepted, ledger.live, ledger.held, ledger.consumed, ledger.dropped, ledger.sampled_rows),
    }


class Crashing(RuleBasedStateMachine):
    """A learner and some actors at a replay, all of which die now and then."""

    folder = build = schema = None  # set by the test

    @initialize(which=st.sampled_from(SETTINGS))
    def begin(self, which):
        self.config = Config(**which, store=StoreConfig(fsync="none", segment_mb=1))
        self.folder = Crashing.folder / str(len(list(Crashing.folder.iterdir())))
        self.folder.mkdir()
        self.life = 0
        self.replay = self.open("0")
        self.sequence = Counter()
        self.first_step = Counter()
        self.rows = {}  # what was accepted: the actions of each row, by row_id, in order of arrival
        self.inserted = 0
        self.number = 0  # the sample that the learner asks for next
        self.checkpoint = 0
        self.learnt = {}  # row ids by sample number
        for _ in range(3):
            self.put(0, [(0, 4, True), (1, 3, True), (2, 5, False)], 99, 0)

    def open(self, name):
        return Replay(self.config, Crashing.schema, self.folder / name)

    def copy(self, source, name):
        shutil.copytree(self.folder / source, self.folder / name)
        return name

    def call(self, work, steps):
        """Make a call that dies after so many steps, or does not die; gives what it returned, None where it died.

        The replay that goes on is always another one, opened from what the disk had.
        """
        name = str(self.life)
        self.replay.close()
        self.life += 1
        died, twin, after = (self.copy(name, f"{self.life}{suffix}") for suffix in ("-died", "-twin", "-before"))
        with_all, before = self.open(twin), self.open(after)
        legal, result = [view(before)], work(with_all)
        before.close()
        legal.append(view(with_all))
        with_all.close()
        dying = self.open(died)
        crash_after(dying, steps)
        try:
            work(dying)
        except Crash:
            result = None
        settled(dying)
        self.copy(died, str(self.life))
        dying._journal._file, journal = -1, dying._journal._file  # it writes nothing more
        dying.close()
        assert journal >= 0
        self.replay = self.open(str(self.life))
        assert view(self.replay) in legal
        for gone in (name, died, twin, after):
            shutil.rmtree(self.folder / gone)
        return result

    @rule(
        actor=st.integers(0, 1),
        shape=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6), st.booleans()), min_size=1, max_size=3),
        steps=st.integers(0, 7),
        version=st.integers(0, 3),
    )
    def insert(self, actor, shape, steps, version):
        self.put(actor, shape, steps, version)

    def put(self, actor, shape, steps, version):
        key = (actor, 0, self.sequence[actor])
        parts = []
        for environment, length, ended in shape:
            if any(part[0] == environment for part in parts):
                continue
            parts.append((environment, self.first_step[actor, environment], length, ended, environment))
        rows = Crashing.build(key, *parts)

        def work(replay):
            return replay.insert(key, rows, version)

        answer = self.call(work, steps)
        if answer is None:  # the actor has no answer: it asks again
            answer = self.replay.insert(key, rows, version)
        assert answer in (Ack.STORED, Ack.DUPLICATE)
        assert self.replay.insert(key, rows, version) is Ack.DUPLICATE
        self.sequence[actor] += 1
        self.inserted += 1
        for ident, actions in zip(rows["row_id"].to_pylist(), rows["action"].to_pylist(), strict=True):
            self.rows[ident] = actions
        for environment, first, length, ended, _ in parts:
            self.first_step[actor, environment] = 0 if ended else first + length
        assert self.replay.ledger().accepted.fragments == self.inserted

    @rule(size=st.integers(1, 3), steps=st.integers(0, 5))
    def learn(self, size, steps):
        number, before = self.number, self.replay.next_sample

        def work(replay):
            return replay.sample(number, size, 0)

        there = not self.replay.why_not(size, 0) or number < before
        self.call(work, steps)
        sample = self.replay.sample(number, size, 0)
        assert (sample is not None) == there
        if sample is None:
            return
        names = [ident for rows in self.replay.sample_rows(sample) for ident in rows["row_id"].to_pylist()]
        for rows in self.replay.sample_rows(sample):
            for ident, actions in zip(rows["row_id"].to_pylist(), rows["action"].to_pylist(), strict=True):
                assert self.rows[ident] == actions
        assert sample.lost == 0
        assert self.learnt.setdefault(number, (sample.ids.tolist(), names)) == (sample.ids.tolist(), names)
        self.number = number + 1

    @rule(steps=st.integers(0, 7))
    def save(self, steps):
        """The learner's checkpoint is written, and then the replay is told."""
        self.checkpoint = self.number
        self.call(lambda replay: replay.release(self.checkpoint), steps)

    @rule()
    def learner_dies(self):
        self.number = max(self.checkpoint, self.replay.released)  # `rewindable` may have released more
        assert self.replay.rewind(self.number) == self.replay.next_sample - self.number

    @rule(value=st.sampled_from([0.5, 2.0, 5.0]), steps=st.integers(0, 3), pick=st.integers(0, 99))
    def verdict(self, value, steps, pick):
        if self.rows:
            ident = list(self.rows)[pick % len(self.rows)]
            self.call(lambda replay: replay.update_priorities([ident], [value]), steps)

    @rule(bytes_=st.integers(1, 40))
    def machine_dies(self, bytes_):
        """The last frame was cut short on its way to the disk: one decision that nobody had been told is not there."""
        self.replay.close()
        (journal,) = (self.folder / str(self.life) / "decisions").iterdir()
        with open(journal, "ab") as file:
            file.write(b"\x07" * bytes_)
        self.replay = self.open(str(self.life))

    @invariant()
    def the_books_hold(self):
        if hasattr(self, "replay"):
            self.replay.check()
            assert self.replay.ledger().balanced

    def teardown(self):
        if not hasattr(self, "replay"):
            return
        self.replay.close()
        # What the learner has learnt from, each number once: in the order of arrival, nothing twice.
        if self.config.sampler == "fifo" and self.config.unit == "fragment":
            learnt = [name for number in sorted(self.learnt) for name in self.learnt[number][1]]
            assert [name for name in self.rows if name in set(learnt)] == learnt
        if self.config.max_times_sampled is not None:
            times = Counter(ident for ids, _ in self.learnt.values() for ident in ids)
            assert max(times.values(), default=0) <= self.config.max_times_sampled
        shutil.rmtree(self.folder)


def explore(tmp_path, build, schema, monkeypatch, **how):
    for call in ("fsync", "fdatasync"):  # what a process leaves is what it gave to the system, synced or not
        monkeypatch.setattr(os, call, lambda descriptor: None)
    Crashing.folder, Crashing.build, Crashing.schema = tmp_path, staticmethod(build), schema
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(Crashing, settings=settings(deadline=None, suppress_health_check=checks, **how))


@pytest.mark.slow
def test_a_crash_anywhere_leaves_one_of_two_states_and_the_frontier_holds(tmp_path, build, schema, monkeypatch):
    explore(tmp_path, build, schema, monkeypatch, max_examples=16, stateful_step_count=12)


@pytest.mark.slow
def test_many_crashes_anywhere_leave_one_of_two_states(tmp_path, build, schema, monkeypatch):
    monkeypatch.setattr("learners.replay.journal.BEGIN_ANEW", 1500)
    explore(tmp_path, build, schema, monkeypatch, max_examples=24, stateful_step_count=18)
