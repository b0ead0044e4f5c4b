"""Whether a judge says next to nothing: then the reward is NULL almost everywhere, and little is learnt from it."""

from __future__ import annotations

from rewards.annotation.books import Books
from rewards.verdicts import Status

MUTE_AFTER = 5  # questions without a value, where none has one
QUIET_AFTER = 20  # questions, of which less than half have a value
OF_THE_JUDGE = (Status.JUDGE_FAULT, Status.TIMEOUT, Status.UNPARSEABLE)


def silence(books: Books, ended: bool = False) -> str | None:
    """What people are told of a judge that has a value for none or for less than half of its questions; None otherwise.

    Args:
        books: of the ledger. Questions that are still to be tried again do not count, nor those that were not sent.
        ended: whether nothing more will come; then one question is enough.
    """
    without = sum(books.failures.get(status.value, 0) for status in OF_THE_JUDGE)
    judged = books.ok + without
    mute = not books.ok and without >= (1 if ended else MUTE_AFTER)
    if not mute and (judged < QUIET_AFTER or 2 * books.ok >= judged):
        return None
    causes = [(tries, cause) for cause, tries in books.causes.items() if cause.partition(":")[0] in OF_THE_JUDGE]
    why = f" ({max(causes)[1]})" if causes else ""
    known = "none" if mute else f"{books.ok:,}"
    return (
        f"the judge has a value for {known} of the {judged:,} questions that it was asked{why}: what it has no value "
        "for has no reward; look at judge.* and at what it is asked, or take another judge"
    )
