from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rewards.annotation.queue import Owed, Queue
from rewards.judges.judge import Question


def owed(name: object, uncertainty: float = 0.0) -> Owed:
    return Owed(Question(str(name), "caption", (f"caption {name}",)), 0, 0.0, uncertainty=uncertainty)


def names(taken: list[Owed]) -> list[str]:
    return [one.question.subject for one in taken]


def test_the_most_uncertain_goes_first_and_the_newest_among_equals() -> None:
    queue = Queue("uncertain", 10, 10)
    for name, uncertainty in (("a", 0.1), ("b", 0.9), ("c", 0.5), ("d", 0.5)):
        queue.put(owed(name, uncertainty))
    assert names(queue.take(4)) == ["b", "d", "c", "a"]


def test_a_full_queue_sheds_the_least_urgent_whichever_that_is() -> None:
    for order, waiting, shed in (("newest", "cb", "a"), ("oldest", "ab", "c"), ("uncertain", "bc", "a")):
        queue = Queue(order, 2, 10)
        stayed = [queue.put(owed(name, {"a": 0.1, "b": 0.9, "c": 0.5}[name])) for name in "abc"]
        assert stayed == [True, True, order != "oldest"]
        assert [one.question.subject for one in queue.shelved()] == [shed]
        assert names(queue.take(9)) == list(waiting)


def test_what_was_taken_and_not_sent_goes_back_to_its_place() -> None:
    for order in ("newest", "oldest"):
        queue = Queue(order, 3, 10)
        for name in "abc":
            queue.put(owed(name))
        first = queue.take(2)
        for one in first:
            queue.put_back(one)
        assert names(queue.take(3))[:2] == names(first)


def test_what_waits_is_ready_when_its_time_has_come_and_then_counts_as_new() -> None:
    queue = Queue("newest", 10, 10)
    assert queue.wakes_at is None
    queue.postpone(owed("early"), until=5.0)
    queue.put(owed("late"))
    assert queue.wakes_at == 5.0
    queue.wake(4.9)
    assert names(queue.take(9)) == ["late"] and queue.pending == 1
    queue.put(owed("later"))
    queue.wake(5.0)
    assert names(queue.take(9)) == ["early", "later"]


def test_the_shed_come_back_in_the_order_of_the_queue_and_too_many_are_forgotten() -> None:
    for order, expected in (("newest", ["c", "b"]), ("oldest", ["b", "c"])):
        queue = Queue(order, 10, 2)
        for name in "abc":
            queue.shelve(owed(name))
        assert (queue.shed, queue.forgotten) == (3, 1)
        queue.backfill(5)
        assert names(queue.take(9)) == expected and queue.shed == 1


@given(
    st.lists(st.tuples(st.sampled_from("ptbws"), st.floats(0, 1)), max_size=60),
    st.sampled_from(["newest", "oldest", "uncertain"]),
)
def test_nothing_is_lost_and_nothing_is_there_twice(operations: list[tuple[str, float]], order: str) -> None:
    queue, put, out = Queue(order, 3, 4), 0, 0
    for number, (operation, x) in enumerate(operations):
        if operation == "p":
            queue.put(owed(number, x))
            put += 1
        elif operation == "t":
            out += len(queue.take(2))
        elif operation == "b":
            queue.backfill(1)
        elif operation == "w":
            queue.postpone(owed(number), until=float(number) + 3)
            put += 1
        else:
            queue.wake(float(number))
        everyone = [one.question.subject for one in (*queue, *queue.shelved())]
        assert len(everyone) == len(set(everyone)) == put - out - queue.forgotten
