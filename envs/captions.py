"""Captions: one line of English for what a step brought about, the same text for the same kind of event.

A judge is asked once per distinct caption, so fewer distinct captions mean fewer questions: `canonicalise` takes out
what varies without meaning (amounts, inventory letters, given names). Captioners implement
`envs.environment.Captioner`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from envs.blstats import Blstat
from envs.environment import Captioner, Signs
from envs.timestep import TimeStep

_NAME = r"[^.,;:!?()\[\]\"]*[^\s.,;:!?()\[\]\"]"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-+\s*More\s*-+"), " "),
    (re.compile(r"[\x00-\x20\x7f-\xa0\s]+"), " "),
    (re.compile(r"Can't open '\w+' file\.|Program in disorder!|\(Saving and reloading may fix this problem\.\)"), " "),
    (re.compile(r'"[^"]*"'), '"..."'),
    (re.compile(r"\?\s*\[[^\[\]]*\](?:\s*\(.\))?"), "?"),
    (re.compile(rf" (?:named|called) {_NAME}"), ""),
    (re.compile(r"(Welcome(?: again)?) to [A-Z][\w'-]*'s "), r"\1 to the "),
    (re.compile(r"(?:(?<=^)|(?<=[.!?] ))(?:[A-Za-z$#*] - )+"), ""),
    (re.compile(r"[+-]?\d+"), "#"),
    (re.compile(r"[+-]?#(?:[-/:,.]?#)+"), "#"),
)


@lru_cache(maxsize=65536)
def canonicalise(message: str) -> str:
    r"""The message without what varies from game to game. Applying it twice changes nothing more.

    Control characters and repeated spaces, trailing `--More--`, inventory letters (`g - a key`), numbers (to `#`),
    quoted text, the choices of a prompt and given names (`named X`, `called X`, shop owners) go; so does the
    complaint about a missing file that MiniHack's stripped data provokes.

    Args:
        message: one NetHack message, or several on one line.

    Returns:
        Its canonical form; empty where nothing is left.
    """
    before, text = None, message
    while text != before:
        before = text
        for pattern, replacement in _RULES:
            text = pattern.sub(replacement, text)
        text = text.strip()
    return text


def storable(text: str) -> str:
    """A caption as it can be stored, sent and asked about: on one line, and without halves of a surrogate pair."""
    if text.isascii() and "\n" not in text:
        return text
    return " ".join(text.encode("utf-8", "replace").decode().split("\n")).strip()


@lru_cache(maxsize=65536)
def caption_id(text: str) -> int:
    """A 63-bit number for a caption, the same on every machine; 0 for the empty caption only."""
    if not text:
        return 0
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 1) or 1


@lru_cache(maxsize=65536)
def _canonical_bytes(raw: bytes) -> str:
    return canonicalise(raw.replace(b"\0", b"").decode("latin-1"))


class NoCaptions:
    """Nothing is ever said: for environments without events that words describe truly."""

    def reset(self, timestep: TimeStep) -> None:
        """Begin an episode."""

    def caption(self, timestep: TimeStep) -> str:
        """The empty caption."""
        return ""

    def signs(self) -> Signs:
        """None."""
        return Signs()


class MessageCaptioner:
    """The game's own message, canonicalised.

    Args:
        key: observation that holds the message as bytes `[256]` (latin-1, zero-padded).
    """

    def __init__(self, key: str = "message") -> None:
        self._key = key

    def reset(self, timestep: TimeStep) -> None:
        """Begin an episode; the welcome is no event."""

    def caption(self, timestep: TimeStep) -> str:
        """The canonical message of this step."""
        message = timestep.observation.get(self._key)
        return _canonical_bytes(message.tobytes()) if message is not None and message.item(0) else ""

    def signs(self) -> Signs:
        """A message."""
        return Signs(speaks=(self._key,))


def _depth(before: int, now: int, hp_max: int) -> str:
    return f"You {'descend' if now > before else 'climb'} to dungeon level {now}."


def _experience_level(before: int, now: int, hp_max: int) -> str:
    return f"You rise to experience level {now}." if now > before else f"You fall to experience level {now}."


def _experience_points(before: int, now: int, hp_max: int) -> str:
    return "You gain experience." if now > before else ""


def _gold(before: int, now: int, hp_max: int) -> str:
    return "You gain gold." if now > before else "You lose gold."


def _hp(before: int, now: int, hp_max: int) -> str:
    if now > before:
        return "You recover health."
    return "You are badly hurt." if 3 * now < hp_max else "You are hurt."


_HUNGER = ("satiated", "not hungry", "hungry", "weak from hunger", "fainting from hunger", "fainted", "starved")


def _hunger(before: int, now: int, hp_max: int) -> str:
    return f"You are {_HUNGER[min(now, len(_HUNGER) - 1)]}."


_SENTENCES: dict[str, tuple[Blstat, Callable[[int, int, int], str]]] = {
    "depth": (Blstat.DEPTH, _depth),
    "level": (Blstat.EXPERIENCE_LEVEL, _experience_level),
    "experience": (Blstat.EXPERIENCE_POINTS, _experience_points),
    "gold": (Blstat.GOLD, _gold),
    "health": (Blstat.HP, _hp),
    "hunger": (Blstat.HUNGER, _hunger),
}
STATUS_CHANGES = (*_SENTENCES, "inventory")
INVENTORY = 55  # letters that NLE shows, used or not


class StatusCaptioner:
    """What changed in NetHack's status line and in the inventory, in plain English.

    Dungeon and experience levels keep their number, because a deeper level is another event; amounts are left out.

    Args:
        watch: which changes are told, in that order; see `STATUS_CHANGES`.

    Raises:
        ValueError: an entry of `watch` is unknown.
    """

    def __init__(self, watch: Sequence[str] = STATUS_CHANGES) -> None:
        if unknown := [name for name in watch if name not in STATUS_CHANGES]:
            raise ValueError(f"got status changes {unknown}; expected some of {list(STATUS_CHANGES)}")
        self._sentences = [_SENTENCES[name] for name in watch if name in _SENTENCES]
        self._indices = [int(index) for index, _ in self._sentences]
        self._inventory = "inventory" in watch
        self._status: list[int] = []
        self._items = b""

    def reset(self, timestep: TimeStep) -> None:
        """Begin an episode: nothing has changed yet."""
        self._status = self._read(timestep)
        self._items = self._read_items(timestep)

    def caption(self, timestep: TimeStep) -> str:
        """All watched changes since the step before, in one line."""
        said = []
        status, items = self._read(timestep), self._read_items(timestep)
        if status != self._status:
            stats = timestep.observation["blstats"]
            hp_max = int(stats[Blstat.HP_MAX])
            if not hp_max:
                return ""  # The game is over: NetHack blanks the status line, and nothing that it shows is a change.
            for (_, sentence), before, now in zip(self._sentences, self._status, status, strict=True):
                if before != now:
                    said.append(sentence(before, now, hp_max))
            self._status = status
        if items != self._items:
            said.append(_inventory_change(self._items, items))
            self._items = items
        return " ".join(filter(None, said)) if said else ""

    def signs(self) -> Signs:
        """A change of what is watched."""
        letters = {"inv_letters": tuple(range(INVENTORY))} if self._inventory else {}
        return Signs(changes={"blstats": tuple(self._indices), **letters})

    def _read(self, timestep: TimeStep) -> list[int]:
        item = getattr(timestep.observation.get("blstats"), "item", None)
        return [] if item is None else [item(index) for index in self._indices]

    def _read_items(self, timestep: TimeStep) -> bytes:
        if not self._inventory:
            return b""
        letters = timestep.observation.get("inv_letters")
        return b"" if letters is None else letters.tobytes().replace(b"\0", b"")


def _inventory_change(before: bytes, now: bytes) -> str:
    gained, lost = set(now) - set(before), set(before) - set(now)
    said = [
        "Something is now in your pack." if gained else "",
        "Something has left your pack." if lost else "",
    ]
    return " ".join(filter(None, said))


def signs_of(captioner: Captioner) -> Signs | None:
    """The signs that a captioner gives by a method `signs` of the class that has its `caption`; None: ask always.

    A subclass that tells something else, and does not say by what signs, is asked at every step.
    """
    teller: Any = captioner
    owners = [next((cls for cls in type(teller).__mro__ if name in vars(cls)), None) for name in ("signs", "caption")]
    found: Signs | None = teller.signs() if owners[0] is owners[1] is not None else None
    return found


def _joint_signs(captioners: Sequence[Captioner]) -> Signs | None:
    """The signs of any of them; None where one does not say its own."""
    speaks: dict[str, None] = {}
    changes: dict[str, set[int]] = {}
    for signs in map(signs_of, captioners):
        if signs is None:
            return None
        speaks |= dict.fromkeys(signs.speaks)
        for key, entries in signs.changes.items():
            changes.setdefault(key, set()).update(entries)
    return Signs(tuple(speaks), {key: tuple(sorted(entries)) for key, entries in changes.items()})


class FirstOf:
    """The first captioner that has something to say.

    Every captioner hears of every step, so that those that compare steps stay right.

    Args:
        captioners: in order of precedence.
    """

    def __init__(self, *captioners: Captioner) -> None:
        self._captioners = captioners

    def reset(self, timestep: TimeStep) -> None:
        """Begin an episode."""
        for captioner in self._captioners:
            captioner.reset(timestep)

    def caption(self, timestep: TimeStep) -> str:
        """The first caption that is not empty."""
        return next(filter(None, [c.caption(timestep) for c in self._captioners]), "")

    def signs(self) -> Signs | None:
        """Those of any captioner."""
        return _joint_signs(self._captioners)


class Joined:
    """All that the captioners have to say, in one line.

    Args:
        captioners: in the order in which they speak.
    """

    def __init__(self, *captioners: Captioner) -> None:
        self._captioners = captioners

    def reset(self, timestep: TimeStep) -> None:
        """Begin an episode."""
        for captioner in self._captioners:
            captioner.reset(timestep)

    def caption(self, timestep: TimeStep) -> str:
        """The captions that are not empty, separated by a space."""
        return " ".join(filter(None, [c.caption(timestep) for c in self._captioners]))

    def signs(self) -> Signs | None:
        """Those of any captioner."""
        return _joint_signs(self._captioners)


def nethack_captioner() -> Captioner:
    """Changes of dungeon level, of which NetHack says nothing; then its message, or else the status line's changes."""
    watch = [name for name in STATUS_CHANGES if name != "depth"]
    return Joined(StatusCaptioner(["depth"]), FirstOf(MessageCaptioner(), StatusCaptioner(watch)))
