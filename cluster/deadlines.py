"""A call that knows no deadline is given one: it is made in a thread, which is left behind where it hangs."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """What a call gives or raises; the call sees the context of the caller.

    Raises:
        TimeoutError: it has not ended after so many seconds. It may still end, unheard.
    """
    answer: list[Answer] = []
    failure: list[BaseException] = []
    context = contextvars.copy_context()

    def ask() -> None:
        try:
            answer.append(context.run(call))
        except BaseException as error:  # it is raised where it is waited for
            failure.append(error)

    thread = threading.Thread(target=ask, name="within", daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not answer:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    return answer[0]
