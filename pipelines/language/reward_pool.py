"""`RewardPool`: rewards in processes of their own, a few at a time; what hangs is killed with its process.

Groups that wait for the same reward are asked about together, up to a limit: a call costs about the same whatever it
carries. A call that takes much longer than such calls do may hang: its groups are asked about once more, each alone,
by a process that is hired for that, and the first answer counts. So what hangs holds up itself and nothing else. A call
that fails as a whole is made again in the same way: what one group breaks is no fault of the others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from cluster.events import RoleFailing, RoleLost
from cluster.supervision import Supervised
from pipelines.driver.loops import end
from pipelines.language.reward_parts import Columns
from rewards.judges.judge import Answer
from rewards.verdicts import Status

TOGETHER = 16  # groups in one call
HIRED = 4  # processes beside the first ones, while some of them may hang
LATE_S = 1.0  # no call is suspected sooner
LATE_TIMES = 4.0  # nor before it has taken so many times what the slowest group of its reward took
LATE_SHARE = 0.25  # of the deadline: when the first call of a reward is suspected, of which no time is known
STARTS = 3  # tries to start a process
LOOK_S = 0.5  # how often it is asked whether there is room for it


class _Asked(NamedTuple):
    name: str
    columns: Columns
    future: asyncio.Future[list[Answer]]
    alone: bool

    @property
    def answers(self) -> int:
        return len(next(iter(self.columns.values())))


class RewardPool:
    """Sends what is asked to whichever worker is free."""

    def __init__(self, count: int, hire: Callable[[int], Supervised], batched: Collection[str] = ()) -> None:
        """Nobody works yet.

        Args:
            count: processes, as long as none hangs.
            hire: makes the worker of a number, which hosts a `RewardHost`; its deadline is that of one call.
            batched: names of rewards that are given all answers of a call at once, and fail for all of them.
        """
        self.wanted = count  # processes; may be set to another number, but not from or to none
        self._hire, self._elastic, self._batched = hire, count > 0, frozenset(batched)
        self._workers: dict[int, Supervised] = {}
        self._lanes: dict[int, asyncio.Task[None]] = {}
        self._suspects = 0  # calls that may hang: as many processes are hired beside the first ones, up to a limit
        self._busy = 0  # groups that are being answered
        self._waiting: deque[_Asked] = deque()
        self._slowest_s: dict[str, float] = {}
        self._news = asyncio.Event()

    def start(self) -> None:
        """Start the processes; needs a running loop."""
        self._staff()

    @property
    def asked(self) -> int:
        """Groups that wait for an answer or are being answered."""
        return len(self._waiting) + self._busy

    @property
    def answering(self) -> int:
        """Processes that have begun to answer."""
        return sum(not worker.fresh for number, worker in self._workers.items() if number < self.wanted)

    async def stop(self) -> None:
        """End the processes, whatever they are at."""
        await end([*self._lanes.values()])
        for worker in self._workers.values():
            worker.stop()

    def check(self) -> None:
        """Raise what ended a worker for good, if anything did.

        Raises:
            RoleFailing: its process cannot be started.
        """
        for lane in self._lanes.values():
            if lane.done():
                lane.result()

    async def ask(self, name: str, columns: Columns) -> list[Answer]:
        """What a reward says of N answers. Its deadline begins when a process takes it up.

        Raises:
            TimeoutError: the process that computed it died, or was killed because it hung.
        """
        asked = _Asked(name, columns, asyncio.get_running_loop().create_future(), False)
        self._staff()
        self._put([asked])
        return await asked.future

    def _staff(self) -> None:
        """Have as many processes as are wanted; those that are too many end by themselves when they are idle."""
        for number in range(self.wanted + min(self._suspects, HIRED) if self._elastic else 0):
            lane = self._lanes.get(number)
            if lane is None or (lane.done() and lane.exception() is None):  # what ended it for good is for `check`
                worker = self._workers[number] = self._workers.get(number) or self._hire(number)
                worker.start()
                self._lanes[number] = asyncio.create_task(self._work(worker, number))

    def _put(self, asked: Sequence[_Asked]) -> None:
        self._waiting.extend(asked)
        self._news.set()

    async def _work(self, worker: Supervised, number: int) -> None:
        epoch = -1
        while True:
            if number >= self.wanted + min(self._suspects, HIRED):
                worker.stop()
                worker.epoch += 1
                return
            if worker.epoch != epoch:
                if worker.room is not None and not worker.room.reservation.placed:
                    await asyncio.sleep(LOOK_S)  # nobody waits for it: the others work
                    continue
                await _ready(worker)
                epoch = worker.epoch
            if not (batch := self._next()):
                self._news.clear()
                await self._news.wait()
                continue
            call = asyncio.create_task(self._answered(worker, batch))
            self._busy += len(batch)
            try:
                done, _ = await asyncio.wait([call], timeout=self._patience_s(worker, batch))
                if not done:
                    self._suspect(batch)
                    try:
                        await call
                    finally:
                        self._suspects -= 1
                        self._news.set()  # those that are too many hear of it
            finally:
                self._busy -= len(batch)
                call.cancel()

    async def _answered(self, worker: Supervised, batch: list[_Asked]) -> None:
        """Ask a worker, and hand out what it says to whoever has no answer yet."""
        name, began = batch[0].name, asyncio.get_running_loop().time()
        columns = {
            key: [v for one in batch for v in one.columns.get(key, [None] * one.answers)] for key in _keys(batch)
        }
        try:
            answers = await worker.call("answer", name, columns)
        except (TimeoutError, asyncio.TimeoutError) as error:  # alone, each would wait as long: whom it asks is away
            _settle(batch, error)
            return
        except Exception as error:  # what the reward raised, or the death of its process
            if len(batch) == 1:
                _settle(batch, TimeoutError(str(error)) if isinstance(error, RoleLost) else error)
            else:
                self._ask_alone(batch)
            return
        whole = name in self._batched and all(one.status is Status.JUDGE_FAULT for one in answers)
        if whole and len(batch) > 1:
            self._ask_alone(batch)
            return
        each_s = (asyncio.get_running_loop().time() - began) / len(batch)
        self._slowest_s[name] = max(each_s, self._slowest_s.get(name, 0.0))
        for one in batch:
            own, answers = answers[: one.answers], answers[one.answers :]
            if not one.future.done():
                one.future.set_result(own)

    def _ask_alone(self, batch: Sequence[_Asked]) -> None:
        """Which group of a call it was that failed it, is found out alone; others have nothing to do with it."""
        self._put([one._replace(alone=True) for one in batch if not one.alone])

    def _patience_s(self, worker: Supervised, batch: Sequence[_Asked]) -> float:
        slowest_s = self._slowest_s.get(batch[0].name)
        usual_s = LATE_SHARE * worker.deadline_s if slowest_s is None else LATE_TIMES * slowest_s * len(batch)
        return max(LATE_S, usual_s)

    def _suspect(self, batch: list[_Asked]) -> None:
        """A call may hang: somebody else takes its place, and each of its groups is asked about alone."""
        if len(batch) > 1:
            batch[:] = [one._replace(alone=True) for one in batch]
            self._put(batch)
        self._suspects += 1
        self._staff()

    def _next(self) -> list[_Asked]:
        """Groups that can be asked about in one call."""
        while self._waiting and self._waiting[0].future.done():
            self._waiting.popleft()
        if not self._waiting:
            return []
        batch = [self._waiting.popleft()]
        while self._waiting and not batch[0].alone and len(batch) < TOGETHER:
            if self._waiting[0].alone or self._waiting[0].name != batch[0].name:
                break
            batch.append(self._waiting.popleft())
        return batch


async def _ready(worker: Supervised) -> None:
    """Wait until a process is there and has loaded what it needs: that is not the time of any answer."""
    for _ in range(STARTS):
        try:
            await worker.call("ready")
            return
        except RoleLost as error:
            cause = error
    raise RoleFailing(f"{cause}; it was tried {STARTS} times: look at the rewards and the judge")


def _keys(batch: Sequence[_Asked]) -> dict[str, None]:
    return dict.fromkeys(key for one in batch for key in one.columns)


def _settle(batch: Sequence[_Asked], error: Exception) -> None:
    for one in batch:
        if not one.future.done():
            one.future.set_exception(error)
