"""Names of the entries of NetHack's status line, as NLE lays them out in `blstats`."""

from __future__ import annotations

from enum import IntEnum

BLSTATS_SIZE = 27


class Blstat(IntEnum):
    """Index into `blstats` [27]."""

    X = 0
    Y = 1
    STRENGTH_25 = 2
    STRENGTH_125 = 3
    DEXTERITY = 4
    CONSTITUTION = 5
    INTELLIGENCE = 6
    WISDOM = 7
    CHARISMA = 8
    SCORE = 9
    HP = 10
    HP_MAX = 11
    DEPTH = 12
    GOLD = 13
    ENERGY = 14
    ENERGY_MAX = 15
    ARMOR_CLASS = 16
    HIT_DICE = 17
    EXPERIENCE_LEVEL = 18
    EXPERIENCE_POINTS = 19
    TIME = 20
    HUNGER = 21
    CAPACITY = 22
    DUNGEON = 23
    DUNGEON_LEVEL = 24
    CONDITION = 25
    ALIGNMENT = 26
