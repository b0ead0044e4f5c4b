"""`json_extraction`: put what a text says of a person into a JSON object with given keys.

Ada Moss, 31, is a baker in Lund. … Give name and city of Ada Moss.    →    {"name": "Ada Moss", "city": "Lund"}
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from envs.language.splits import ENDLESS, TEST_SHARE, Drawn, identify
from envs.language.task import Prompt, Split, TextTask, Weighted, user

FIRST = ("Ada", "Bo", "Cleo", "Dara", "Emil", "Fay", "Gus", "Hana", "Ivo", "June", "Kit", "Lena", "Milo", "Nora")
LAST = ("Moss", "Reed", "Holt", "Lind", "Vega", "Kerr", "Dahl", "Ruiz", "Sato", "Wolf", "Bell", "Cruz")
JOBS = ("baker", "pilot", "nurse", "potter", "lawyer", "farmer", "tailor", "welder")
CITIES = ("Lund", "Porto", "Graz", "Bergen", "Utrecht", "Leeds", "Nantes", "Siena")
PETS = ("cat", "dog", "parrot", "hamster", "tortoise", "rabbit")
COLOURS = ("red", "green", "blue", "black", "white", "yellow")

SENTENCES = {
    "age": ("{name} is {age} years old.", "{name} turned {age} this year.", "At {age}, {name} is in good health."),
    "job": ("{name} works as a {job}.", "By trade {name} is a {job}.", "{name} has long been a {job}."),
    "city": ("{name} lives in {city}.", "{city} is where {name} lives.", "{name} moved to {city}."),
    "pet": ("{name} has a {pet}.", "A {pet} belongs to {name}.", "{name} looks after a {pet}."),
    "colour": ("{name} drives a {colour} car.", "The {colour} car is that of {name}."),
    "children": ("{name} has {children} children.", "{children} children call {name} their parent."),
}


class Config(BaseModel):
    """How hard the texts are.

    Attributes:
        fields: facts that are asked for at most, beside the name.
        fewest_fields: at least.
        people: that a text speaks of; one of them is asked about.
        mixed: whether sentences about them stand in any order, rather than person by person.
        size: prompts of each split.
        test_share: of all texts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: int = Field(3, ge=1, le=len(SENTENCES))
    fewest_fields: int = Field(1, ge=1)
    people: int = Field(2, ge=1, le=20)
    mixed: bool = False
    size: int = Field(ENDLESS, ge=1)
    test_share: float = Field(TEST_SHARE, gt=0, lt=1)


def share_of_fields(completion: str, record: Mapping[str, Any]) -> float:
    """Share of fields that are right among those that are wanted or given; 0 where the reply is no JSON object.

    Args:
        completion: JSON, alone or in the only code fence.
        record: the wanted fields.
    """
    text = completion.strip()
    fences = text.split("```")
    if len(fences) == 3:
        text = fences[1].removeprefix("json")
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        return 0.0
    if not isinstance(given, dict):
        return 0.0
    right = sum(k in given and type(given[k]) is type(v) and given[k] == v for k, v in record.items())
    return float(right / len(given.keys() | record.keys()))


class JsonExtraction(TextTask):
    """Texts about people, and questions about one of them.

    Example:
        >>> task = JsonExtraction(Config(people=3, mixed=True))
        >>> json.loads(task.gold(task.load("train", seed=0)[0])[0])["name"] in NAMES
        True
    """

    name = "json_extraction"
    rewards: Mapping[str, Weighted] = {"fields": Weighted(1.0, share_of_fields)}

    def __init__(self, config: Config | None = None) -> None:
        """Ready at once."""
        self.config = config or Config()

    def load(self, split: Split, seed: int) -> Sequence[Prompt]:
        """Texts without end."""
        return Drawn(self._draw, split, seed, self.config.size, self.config.test_share)

    def gold(self, prompt: Prompt) -> tuple[str, ...]:
        """The record as JSON, on one line."""
        return (json.dumps(prompt.columns["record"]),)

    def _draw(self, chance: random.Random) -> Prompt:
        config = self.config
        people = [_person(chance, name) for name in chance.sample(NAMES, config.people)]
        said = [[chance.choice(SENTENCES[key]).format(**person) for key in SENTENCES] for person in people]
        for sentences in said:
            chance.shuffle(sentences)
        sentences = [sentence for own in said for sentence in own]
        if config.mixed:
            chance.shuffle(sentences)
        person = chance.choice(people)
        count = chance.randint(min(config.fewest_fields, config.fields), config.fields)
        keys = ["name", *chance.sample(list(SENTENCES), count)]
        asked = f"Reply with a JSON object about {person['name']} with the keys {', '.join(keys)}."
        text = " ".join(sentences) + "\n" + asked
        return Prompt(identify(self.name, text), (user(text),), {"record": {key: person[key] for key in keys}})


NAMES = tuple(f"{first} {last}" for first in FIRST for last in LAST)


def _person(chance: random.Random, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "age": chance.randint(18, 90),
        "job": chance.choice(JOBS),
        "city": chance.choice(CITIES),
        "pet": chance.choice(PETS),
        "colour": chance.choice(COLOURS),
        "children": chance.randint(2, 9),
    }
