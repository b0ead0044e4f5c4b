from hypothesis import given
from hypothesis import strategies as st

from pipelines.driver.draws import Draws


def test_the_share_in_which_most_waits_is_drawn_from_and_numbers_count_by_share():
    draws = Draws([5, 0])
    taken = []
    for waiting in ([1, 0], [0, 2], [3, 1], [0, 0]):
        share = draws.next_share(waiting)
        if share is not None:
            taken.append((share, draws.number(share)))
            draws.drawn(share)
            assert draws.learnt()
    assert taken == [(0, 5), (1, 0), (0, 6)]
    assert draws.save() == [7, 1]


def test_a_run_that_goes_on_takes_what_came_after_its_checkpoint_in_turns():
    draws, taken = Draws([3, 8]), []
    draws.expect_again([3, 1])
    while draws.pending:
        share = draws.next_share([0, 0])
        taken.append((share, draws.number(share)))
        draws.drawn(share)
        assert draws.learnt(), "the books of the checkpoint know of none of them"
    assert taken == [(0, 3), (1, 8), (0, 4), (0, 5)]


def test_what_a_learner_learnt_that_died_before_its_answer_was_read_does_not_count():
    draws = Draws([4])
    draws.drawn(0)
    draws.back_to_frontier()  # the death was noticed by another call, while the answer was on its way
    assert not draws.learnt()
    assert draws.number(0) == 4 and draws.ahead == 0, "the learner that begins again is given the first draw again"
    draws.drawn(0)
    assert draws.learnt()
    assert draws.save() == [5]


EVENTS = ["draw 0", "draw 1", "learn", "learner dies", "learner dies, its answer comes late", "does not arrive", "save"]


@given(st.lists(st.sampled_from(EVENTS), max_size=60))
def test_a_learner_skips_nothing_and_takes_nothing_twice_whenever_it_dies(events):
    """A learner that appends what it learns, is given two draws at most, and forgets what it has not saved."""
    draws, learnt, saved, counted = Draws([0, 0]), [], [], 0
    order, given = [], []  # of the first time each was drawn; what it has not learnt from yet

    def learn():
        nonlocal counted
        learnt.append(given.pop(0))
        counted += draws.learnt()

    def draw(waiting):
        share = draws.next_share(waiting)
        item = (share, draws.number(share))
        assert draws.again == (item in order)
        if item not in order:
            order.append(item)
        draws.drawn(share)
        given.append(item)

    for event in events:
        if event == "save":
            while given:
                learn()
            saved = list(learnt)
            frontier = draws.save()
            assert frontier == [sum(s == share for s, _ in saved) for share in (0, 1)]
        elif event.startswith("learner dies"):
            learnt, given = list(saved), []
            draws.back_to_frontier()
            if event.endswith("late"):
                assert not draws.learnt()
        elif event == "does not arrive":
            if given:
                given.pop()
                draws.given_up()
        elif event == "learn":
            if given:
                learn()
        elif len(given) < 2:
            draw([0, 1] if event == "draw 1" else [1, 0])
        assert draws.ahead == len(given)
    while draws.pending:
        while given:
            learn()
        if draws.pending:
            draw([0, 0])
    assert learnt == order, "in the order in which they were drawn first"
    assert counted == len(order), "the books count each once"
