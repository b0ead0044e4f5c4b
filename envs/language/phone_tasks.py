"""Templates of tasks on a phone: a text with parameters, what the phone is like before, and what it must be like after.

A task is done when the entries that it names are as they were asked for. What is checked is the phone's state, never
what was said or shown:

    score = share of the entries that are as wanted, if all other entries are as they were; else 0

Source: AndroidWorld, A Dynamic Benchmarking Environment for Autonomous Agents (Rawles et al. 2024). The templates, and
that another entry that was touched makes it 0, are chosen here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from envs.language.phone import DAYS, FOLDERS, NAMES, SETTINGS, TOPICS, Phone, State, Values

Change = tuple[str, str, Values | None]
"""App, entry, and the values that it must have; None where it must not be there."""


class Drawn(NamedTuple):
    """Parameters of a template, and what follows from them.

    Attributes:
        parameters: of its text.
        wanted: entries that must be as said.
        reads: app and entry of what must be looked at to know that.
    """

    parameters: Mapping[str, str]
    wanted: list[Change]
    reads: tuple[tuple[str, str], ...] = ()


class Template(NamedTuple):
    """A kind of task.

    Attributes:
        text: with `{parameters}`.
        draw: draws them for a phone, and prepares it.
    """

    text: str
    draw: Callable[[random.Random, State], Drawn]


def checked(before: State, after: State, wanted: list[Change]) -> float:
    """The score of what somebody did, by the phone's state alone.

    Args:
        before: of the phone that was handed over.
        after: of the one that was given back.
        wanted: at least one change.
    """
    named = {(app, key) for app, key, _ in wanted}
    every = {(app, key) for state in (before, after) for app, entries in state.items() for key in entries}
    if any(before[app].get(key) != after[app].get(key) for app, key in every - named):
        return 0.0
    return sum(after[app].get(key) == values for app, key, values in wanted) / len(wanted)


def solved(state: State, drawn: Drawn) -> list[dict[str, Any]]:
    """Actions that do a task: look up what must be known, then make each change."""
    phone, actions = Phone(state), list[dict[str, Any]]()

    def act(**action: Any) -> None:
        phone.act(action)
        actions.append(action)

    def go(app: str, key: str) -> None:
        if phone.app != app:
            act(do="open", app=app)
        while key in phone.state[app] and key not in phone.shown:
            act(do="more")

    for app, key in drawn.reads:
        go(app, key)
    for app, key, values in drawn.wanted:
        go(app, key)
        act(do="delete", key=key) if values is None else act(do="write", key=key, values=values)
    return [*actions, {"do": "done"}]


def _number(chance: random.Random) -> str:
    return str(chance.randint(100, 999))


def _stranger(chance: random.Random, state: State) -> str:
    return chance.choice([name for name in NAMES if name not in state["contacts"]])


def _add_contact(chance: random.Random, state: State) -> Drawn:
    name, number = _stranger(chance, state), _number(chance)
    return Drawn({"name": name, "number": number}, [("contacts", name, {"number": number})])


def _change_number(chance: random.Random, state: State) -> Drawn:
    name = chance.choice(sorted(state["contacts"]))
    number = str((int(state["contacts"][name]["number"]) + chance.randint(1, 99)) % 1000)
    return Drawn({"name": name, "number": number}, [("contacts", name, {"number": number})])


def _contact_from_note(chance: random.Random, state: State) -> Drawn:
    name, number, title = _stranger(chance, state), _number(chance), chance.choice(TOPICS)
    state["notes"][title] = {"text": f"{name} has the number {number}"}
    return Drawn({"title": title}, [("contacts", name, {"number": number})], (("notes", title),))


def _delete_note(chance: random.Random, state: State) -> Drawn:
    title = chance.choice(sorted(state["notes"]))
    return Drawn({"title": title}, [("notes", title, None)])


def _move_event(chance: random.Random, state: State) -> Drawn:
    title, hour = chance.choice(sorted(state["calendar"])), str(chance.randint(8, 18))
    day = chance.choice([day for day in DAYS if day != state["calendar"][title]["day"]])
    return Drawn({"title": title, "day": day, "hour": hour}, [("calendar", title, {"day": day, "hour": hour})])


def _clear_day(chance: random.Random, state: State) -> Drawn:
    day = chance.choice(DAYS)
    state["calendar"][chance.choice(sorted(state["calendar"]))]["day"] = day
    return Drawn({"day": day}, [("calendar", t, None) for t, e in sorted(state["calendar"].items()) if e["day"] == day])


def _move_files(chance: random.Random, state: State) -> Drawn:
    here, there = chance.sample(FOLDERS, 2)
    state["files"][chance.choice(sorted(state["files"]))]["folder"] = here
    moved = [name for name, entry in sorted(state["files"].items()) if entry["folder"] == here]
    return Drawn({"here": here, "there": there}, [("files", name, {"folder": there}) for name in moved])


def _settings(chance: random.Random, state: State) -> Drawn:
    turned = chance.sample(SETTINGS, chance.randint(1, 3))
    values = {name: "off" if state["settings"][name]["value"] == "on" else "on" for name in turned}
    what = " and ".join(f"{name} {value}" for name, value in values.items())
    return Drawn({"what": what}, [("settings", name, {"value": value}) for name, value in values.items()])


TEMPLATES: Mapping[str, Template] = {
    "add_contact": Template("Add {name} with the number {number} to the contacts.", _add_contact),
    "change_number": Template("Change the number of {name} to {number}.", _change_number),
    "clear_day": Template("Delete all events on {day} from the calendar.", _clear_day),
    "contact_from_note": Template("Add whoever the note {title} is about to the contacts.", _contact_from_note),
    "delete_note": Template("Delete the note {title}.", _delete_note),
    "move_event": Template("Move {title} in the calendar to {day}, hour {hour}.", _move_event),
    "move_files": Template("Move all files of the folder {here} to the folder {there}.", _move_files),
    "settings": Template("In the settings, turn {what}.", _settings),
}
