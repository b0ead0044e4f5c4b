"""The shares of a replay, with roles that die."""

import asyncio

import pytest

from cluster.events import RoleLost
from pipelines.driver.shares import INSERTS, Shares
from pipelines.replay_shard import Standing


class Share:
    """A share that dies at the calls with these numbers, and counts what it stored."""

    def __init__(self, dies=(), released=0):
        self.dies, self.calls, self.stored, self.released = set(dies), [], [], released

    async def call(self, method, *args, returns=1):
        self.calls.append((method, *args))
        if len(self.calls) - 1 in self.dies:
            raise RoleLost("killed")
        if method == "insert":
            self.stored.append(args[0])
            return "ack", Standing(len(self.stored), 0, 0, 4)
        return (max(args[0], self.released), 2) if method == "rewind" else method


@pytest.fixture
def dropped():
    return []


def test_rows_go_to_the_share_of_their_actor_and_again_where_it_died(dropped):
    roles, again = [Share(), Share(dies={0, 1})], []

    async def began_again(index):
        again.append(index)

    shares = Shares(roles, None, dropped.append, began_again)
    assert asyncio.run(shares.insert(3, "rollout", None)) == (1, "ack", Standing(1, 0, 0, 4))
    assert again == [1, 1] and roles[1].stored == ["rollout"] and not roles[0].calls


def test_a_share_that_leaves_its_node_is_told_again_what_it_did_not_store(dropped):
    roles, story = [Share(), Share()], []

    async def began_again(index):
        story.append(f"{index} is told")

    for index, role in enumerate(roles):
        role.name = f"replay-{index}"
        role.move = lambda cause, to, index=index: story.append(f"{index} moves to {to}")
    groups = Shares(roles, None, dropped.append, began_again).groups()
    assert [(group.name, group.roles) for group in groups] == [("replay-0", roles[:1]), ("replay-1", roles[1:])]
    asyncio.run(groups[1].move("room"))
    assert story == ["1 moves to room", "1 is told"]


def test_rows_that_cannot_be_stored_are_given_up(dropped):
    roles = [Share(dies=range(100))]
    assert asyncio.run(Shares(roles, None, dropped.append).insert(0, "rollout", None)) is None
    assert len(roles[0].calls) == INSERTS


def test_what_has_been_dropped_is_told_as_it_grows_and_not_what_was_dropped_before(dropped):
    shares = Shares([Share(), Share()], None, dropped.append)
    shares.stands(0, Standing(5, 40, 0, 2), opening=True)
    shares.stands(0, Standing(6, 43, 0, 3))
    shares.stands(1, Standing(1, 1, 0, 7))
    shares.stands(0, Standing(6, 0, 0, 3))  # it began again, and counts anew
    assert dropped == [3, 1, 0] and (shares.waiting, shares.dropped, shares.next_epoch) == (7, 1, 8)
    assert (shares.next(6), shares.next(7)) == (0, None)


def test_a_run_goes_on_at_its_frontier_and_frees_what_came_before_it(dropped):
    roles = [Share(), Share(dies={0})]
    shares = Shares(roles, (10, 20), dropped.append)
    assert asyncio.run(shares.rewind()) == 0
    assert shares.draws.pending == 4 and shares.next(1) == 0, "two of each, in turns"
    for _ in range(3):
        shares.draws.drawn(shares.next(1))
        shares.draws.learnt()
    assert shares.draws.save() == [12, 21]
    asyncio.run(shares.release())
    assert roles[0].calls[-1] == ("release", 12) and roles[1].calls[-1] == ("release", 21)


def test_what_was_released_since_an_older_checkpoint_is_passed_over_and_said(dropped):
    shares = Shares([Share(released=13), Share()], (10, 20), dropped.append)
    assert asyncio.run(shares.rewind()) == 3
    assert shares.draws.frontier == [13, 20] and shares.draws.pending == 4 and shares.draws.number(0) == 13


def test_closing_goes_on_past_one_that_dies_of_it(dropped):
    roles = [Share(dies={0}), Share()]
    asyncio.run(Shares(roles, None, dropped.append).close())
    assert [share.calls for share in roles] == [[("close",)], [("close",)]]
