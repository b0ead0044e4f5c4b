"""A phone in memory: apps with entries, a screen of text, and actions that change its state.

    > {"do": "open", "app": "contacts"}
    contacts, page 1 of 2
    - Ann: number 512

Only what stands on the screen can be changed or deleted, so that long lists take more actions.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

Values = dict[str, str]
State = dict[str, dict[str, Values]]
"""Fields of each entry of each app, by their names."""
FIELDS: Mapping[str, tuple[str, ...]] = {
    "calendar": ("day", "hour"),
    "contacts": ("number",),
    "files": ("folder",),
    "notes": ("text",),
    "settings": ("value",),
}
FIXED = ("settings",)
"""Apps whose entries are neither added nor deleted."""
PAGE = 4
"""Entries on a screen."""
LONGEST = 1000
"""Characters of an action."""
NAMES = ("Ann", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ivo", "June", "Kim", "Lea", "Max", "Nora", "Otto")
TOPICS = ("bread", "choir", "garden", "ideas", "lecture", "lunch", "meeting", "rent", "songs", "swim", "train", "visit")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
FOLDERS = ("downloads", "music", "papers", "photos")
SETTINGS = ("airplane mode", "bluetooth", "dark mode", "location", "mobile data", "wifi")
HELP = (
    'One action a reply, as JSON: {"do": "open", "app": "…"}, {"do": "more"} for the next page, '
    '{"do": "write", "key": "…", "values": {…}}, {"do": "delete", "key": "…"}, {"do": "done"}. '
    "Apps and what their entries have: " + "; ".join(f"{app}: {', '.join(fields)}" for app, fields in FIELDS.items())
)


class BadAction(ValueError):
    """An action that cannot be done; the message is for whoever wanted it."""


def random_state(chance: random.Random, fewest: int = 3, most: int = 9) -> State:
    """A phone as somebody uses it, with so many entries of each app."""

    def some(of: Sequence[str]) -> list[str]:
        return chance.sample(of, chance.randint(fewest, min(most, len(of))))

    return {
        "calendar": {t: {"day": chance.choice(DAYS), "hour": str(chance.randint(8, 18))} for t in some(TOPICS)},
        "contacts": {name: {"number": str(chance.randint(100, 999))} for name in some(NAMES)},
        "files": {f"{topic}.pdf": {"folder": chance.choice(FOLDERS)} for topic in some(TOPICS)},
        "notes": {topic: {"text": f"remember {chance.choice(TOPICS)}"} for topic in some(TOPICS)},
        "settings": {name: {"value": chance.choice(("on", "off"))} for name in SETTINGS},
    }


def digest(state: State) -> str:
    """The same for the same state, in every process."""
    return hashlib.blake2b(json.dumps(state, sort_keys=True).encode(), digest_size=8).hexdigest()


class Phone:
    """A phone in somebody's hand.

    Attributes:
        state: of its apps.
        app: that is open; empty at first.
    """

    def __init__(self, state: State) -> None:
        """A phone with a copy of a state, and nothing open."""
        self.state, self.app, self._page = deepcopy(state), "", 0

    @property
    def shown(self) -> list[str]:
        """Names of the entries on the screen."""
        keys = sorted(self.state[self.app]) if self.app else []
        return keys[PAGE * self._page : PAGE * (self._page + 1)]

    @property
    def screen(self) -> str:
        """What is to be seen, as text."""
        if not self.app:
            return f"home. Apps: {', '.join(FIELDS)}"
        entries = self.state[self.app]
        lines = [
            f"- {k}: {', '.join(f'{field} {entries[k][field]}' for field in FIELDS[self.app])}" for k in self.shown
        ]
        return "\n".join([f"{self.app}, page {self._page + 1} of {self._pages}", *lines])

    def act(self, action: Mapping[str, Any]) -> str:
        """Do one action, and show what is then to be seen.

        Raises:
            BadAction: it cannot be done; nothing has changed.
        """
        do, key = action.get("do"), action.get("key")
        if do == "open" and isinstance(action.get("app"), str) and action["app"] in FIELDS:
            self.app, self._page = action["app"], 0
        elif do == "more" and self.app:
            self._page = (self._page + 1) % self._pages
        elif do == "write" and self.app and isinstance(key, str) and key:
            self._write(key, action.get("values"))
        elif do == "delete" and self.app and isinstance(key, str):
            self._delete(key)
        else:
            raise BadAction(f"cannot do {json.dumps(dict(action))[:80]} here")
        return self.screen

    @property
    def _pages(self) -> int:
        return max(math.ceil(len(self.state[self.app]) / PAGE), 1)

    def _write(self, key: str, values: object) -> None:
        entries, fields = self.state[self.app], FIELDS[self.app]
        new = key not in entries
        if new and self.app in FIXED:
            raise BadAction(f"nothing can be added to {self.app}")
        if not new:
            self._must_show(key)
        known = {name: v for name, v in values.items() if isinstance(v, str)} if isinstance(values, dict) else {}
        if known != values or not set(known) <= set(fields) or (new and len(known) < len(fields)):
            raise BadAction(f"expected values of {', '.join(fields)} as text")
        entries[key] = {**entries.get(key, {}), **known}

    def _delete(self, key: str) -> None:
        if self.app in FIXED:
            raise BadAction(f"nothing can be deleted from {self.app}")
        self._must_show(key)
        del self.state[self.app][key]
        self._page = min(self._page, self._pages - 1)

    def _must_show(self, key: str) -> None:
        if key not in self.shown:
            raise BadAction(f"{key[:40]!r} is not on the screen")


def action_of(reply: str) -> Mapping[str, Any]:
    """The action that a reply means.

    Raises:
        BadAction: it cannot be read.
    """
    try:
        found = json.loads(reply) if len(reply) <= LONGEST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadAction('cannot read the action; expected one as {"do": "open", "app": "contacts"}')
    return found
