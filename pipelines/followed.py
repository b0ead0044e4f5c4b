"""`Followed`: the metrics of a run that goes on, each line read once, however long it goes on."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pipelines.errors import UserError

Line = dict[str, float]


class Followed:
    """A file of JSON lines that grows, from its beginning on."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet; the file need not be there."""
        self._path, self._read = path, 0
        self._waiting = deque[Line]()
        self._last: Line | None = None

    def new(self) -> list[Line]:
        """What was written since the last call; a line that is not whole yet is left for a later one.

        A line that a killed process has left unfinished, with another behind it, is passed over.
        """
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        found = []
        for line in whole.splitlines():
            with suppress(json.JSONDecodeError):
                found.append(json.loads(line))
        return found

    def until(
        self, wanted: Callable[[Line | None, Line], bool], within_s: float, look_s: float, alive: Callable[[], None]
    ) -> Line:
        """The next line that is wanted, once it is there; those before it are passed over.

        Args:
            wanted: of the line before (None at the first), and a line.
            within_s: how long it is waited for.
            look_s: how often the file is looked at.
            alive: raises where nothing will come any more.

        Raises:
            UserError: it did not come.
        """
        deadline = time.monotonic() + within_s
        while True:
            self._waiting.extend(self.new())
            while self._waiting:
                before, self._last = self._last, self._waiting.popleft()
                if wanted(before, self._last):
                    return self._last
            if time.monotonic() > deadline:
                raise UserError(f"what is waited for did not come within {within_s:.0f} s; see {self._path.parent}")
            alive()
            time.sleep(look_s)
