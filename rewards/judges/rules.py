"""`RulesJudge`: a readable rule book for NetHack and MiniHack captions, without any model.

A caption is split into events by the regular expressions of `EVENTS`; `VALUES` says what each event is worth for a
topic, in tiers: -1 harmful or futile, 0 neutral or unknown, 1 helpful, 2 very helpful. A goal in words names one or
more topics (`topics_of`). The judge is deterministic, answers in microseconds, and teaches the built-in language model
(see `rewards/judges/builtin`).
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Sequence

from rewards.judges.judge import Answer, Question, QuestionKind, unanswerable
from rewards.verdicts import Status

# What happened: the name of the event and how the game says it. Captions are canonical: digits are "#", inventory
# letters are gone ("g - a key." is "a key."). Matching ignores case; a caption may hold several events.
EVENTS: dict[str, str] = {
    # the way onwards
    "descended": r"\byou (descend|climb down|go down|dig a hole through|fall (through|down)|plunge)"
    "|you reach dungeon level|dungeon level (increases|rises)|you (enter|have entered) (the|a) (gnomish mines"
    "|new)|a trap ?door opens|there's a trap ?door",
    "ascended": r"\byou (ascend|climb (up|to dungeon)|go (back )?up)|you return to dungeon level"
    "|dungeon level (decreases|falls)",
    "stairs down": r"(staircase|stairs|ladder) down\b|down(ward)? (staircase|stairs)",
    "stairs up": r"(staircase|stairs|ladder) up\b|up(ward)? (staircase|stairs)",
    "way opened": "the door opens|(door|it) (crashes open|shatters to pieces)|you (break through|kick open)"
    "|succeed in (unlocking|picking)|you unlock|cutting away|you find a hidden|the drawbridge (lowers|opens)"
    "|you (dig|cut|chop) (through|your way)|the lava cools|water freezes|you can now cross",
    "bridged": "now you can cross it|(boulder|it) (fills|plugs|settles into)|boulder (sinks|falls) into",
    "boulder moved": r"with great effort you (move|push)|you (push|roll) the boulder\b(?! into)",
    "way key": r"(^|[.!] +|you gain |you (pick up|get) )(a|an|the|#) ([\w# +-]+ )?(key|lock pick|credit card)\b",
    "key seen": r"you see here (a|an|the|#) ([\w# +-]+ )?(key|lock pick|credit card)\b",
    "floating": "(start to|you) float|walking on air|levitat(e|ing)",
    # futile acts
    "blocked": r"it'?s (a wall|solid stone)|there('s| is) an? [\w -]+ in (your|the) way|\bbut in vain"
    r"|why you cannot|cannot pass|can'?t move (there|diagonally)|you are carrying too much to|you stop\b"
    "|is in (the|your) way|there isn'?t enough room|you cannot fit|you are unable to|you move right into"
    "|boulder, but you",
    "door shut": r"door is locked|door (was|is) (stuck|closed)|\bwha+m+\b|you fail to|the door (won'?t|resists)"
    "|this door is (broken|already)|the lock (jams|holds)",
    "refused": "you see no|you don'?t (see|have)|there(?:'s| is) nothing|nothing (to|happens|here)|never ?mind"
    "|unknown command|you (can'?t|cannot) (go|do|reach|see|move|even)|you have nothing|what a strange direction"
    r"|that is a silly|you have a little trouble|you mime|you wave|you kick at empty|\bouch|dumb move"
    r"|you seem unable|you are already|you find nothing|you see an? (altar|sink) .*no\b|not enough energy"
    r"|you don'?t know|there is no one|your pack (is|cannot)|you cannot [\w ]+ that|you have no [\w' -]+ to"
    "|too many|strains? a muscle|thump|off the hinges|solidly fixed",
    # fighting
    "killed": r"\byou (kill|destroy|slay)|\b(is|are) (killed|destroyed)(?! by)|\b(dies|is destroyed)[.!]",
    "grew": "welcome (back )?to experience level|you (gain|reach|rise to) (an? )?experience"
    "|experience level (rises|increases)|you feel more (confident|experienced)|you gain #? ?experience"
    "|your score (rises|increases)",
    "fought": r"\byou (hit|strike|smite|bash|attack|shoot|bite|whip|kick the (?!door|wall))"
    r"|^(\w+ )?death ray hits|really attack|you (destroy|wound|stab)",
    "missed": r"\byou (miss|just miss|swing wildly|attack thin air)|you (harmlessly|wildly) ",
    "struck": r"\b(bites|stings|kicks|butts|hits|touches|claws|scratches|engulfs)( (you|your)\b|[!.])|\b(swings"
    r"|thrusts) (his|her|its) |\bshoots an? |sucks your|you are (hit|struck|almost hit|stung|splashed)"
    r"|you lose (# )?(hit points|health|hp)\b|you (get|are) (zapped|burned|frozen|bitten|hurt|wounded)"
    "|you are badly hurt|your (health|hit points) (drops?|falls?)",
    "fled": r"turns to flee|\byou (calm|tame|escape|evade)|is (asleep|frozen|scared)|falls asleep|runs away"
    "|seems (calmer|more friendly)",
    # gold and things
    "gold": r"\bgold\b(?! ?(ring|dragon|golem|wand))|(?<!falling on )\bcoins?\b|zorkmids?",
    "gold lost": r"(stole|steals|takes|lost?|pay|drop|throw|owe|costs?|lack|lose)\b[^.]*\b(gold|zorkmids?|money)"
    "|you have (no|only).*(gold|money)|your purse feels lighter|you do not have enough",
    "thing": r"(?-i:(^|[.!] +)(an?|#|some)) [\w' -]+?( \([\w #:,'-]+\))*[.]|is now in your pack|you (gain"
    r"|pick up|get|now wield|put on|are now wearing) (an?|the|#|some|your) \w+",
    "thing seen": "you (see|feel) here|there are (several|many|#|a few) (more )?objects|you see (here )?several",
    "thing lost": r"(stole|steals) |you (drop|throw away|lose)\b(?! (#|gold|hit|health|hp))|rusts|corrodes"
    r"|burns up|boils and explodes|your [\w' -]+ tears|has left your pack|cracks and breaks|you no longer have",
    # another game: catch
    "ball caught": "you catch the ball",
    "ball above": "ball is above you",
    # the body
    "ate": r"is delicious|you finish eating|hit the spot|tastes? (great|okay|good|like)|you eat\b"
    r"|feel less hungry|you are (no longer|not) hungry|delicious|this \w+ is (tasty|good)",
    "healed": "you feel (much |a little |completely )?(better|healed|healthy|healthier|stronger|tougher|great)"
    "|your health (rises|improves|recovers)|you (regain|recover) (health|hit)|you feel (wise|agile|charismatic)"
    r"|you feel a mild buzz|your \w+ (rises|improves|recovers)|you (gain|recover) (health|armou?r|power|energy"
    "|strength)",
    "starved": r"you are (beginning to feel )?(hungry|weak|faint|starv)|you (become|faint|stagger)\b"
    "|(?<!not )hungry[.!]|you feel (hungry|weak|deathly sick|sick|feverish|nauseous)|rotten|blecch|vomit|ulch"
    "|poisonous",
    "trapped": r"(into|of) (a|the) pit\b|\bpit here|\b(bear|rust|dart|arrow) trap|land mine|\bweb\b"
    "|there is an? .*trap|kaboom|an? (little )?(dart|arrow|rock|boulder) (shoots|falls|trap)|iron spikes|you (are"
    "|get) (stuck|caught|trapped|paralyzed|blinded|confused)|can(no|')t get out|you (crawl|climb) to the edge"
    "|a trap door.*ceiling|cloud of gas|gush of water|tower of flame|you are enveloped|you stumble|blinded by"
    "|land on a set",
    "drowned": "you fall into the (water|lava)|you sink|you drown|you burn to|you (try to )?crawl (back )?out"
    "|you dissolve",
    "died": r"\byou (die|died|starve|choke|drown|have died|are dead|burn to)\b|\bkilled by|you turn to stone"
    "|do you want your possessions identified|your attributes|goodbye|you are starved|you fall to experience"
    "|you are slimed|rest in peace",
}

# What an event is worth for a topic; events that are not named are neutral.
VALUES: dict[str, dict[int, str]] = {
    "explore": {
        2: "descended, bridged, way opened, way key",
        1: "stairs down, key seen, boulder moved, floating, thing, gold, ate, healed, killed, grew, fled",
        -1: "ascended, blocked, door shut, refused, missed, struck, gold lost, thing lost, starved, trapped, "
        "drowned, died",
    },
    "gold": {
        2: "gold",
        1: "descended, way opened, way key, bridged",
        -1: "gold lost, blocked, door shut, refused, missed, struck, starved, trapped, drowned, died, thing lost",
    },
    "peace": {
        2: "fled, descended",
        1: "bridged, way opened, way key, stairs down, healed, ate",
        -1: "killed, fought, missed, struck, grew, died, blocked, refused, door shut, trapped, drowned, starved",
    },
    "catch": {
        2: "ball caught",
        1: "ball above",
        -1: "missed",
    },
    "combat": {
        2: "grew, killed",
        1: "fought, healed, ate",
        -1: "fled, missed, struck, died, blocked, refused, door shut, trapped, drowned, starved, thing lost",
    },
    "score": {
        2: "descended, grew, gold",
        1: "killed, bridged, way opened, stairs down, way key, thing, ate, healed",
        -1: "ascended, blocked, door shut, refused, missed, struck, gold lost, thing lost, starved, trapped, "
        "drowned, died",
    },
}

# How a goal in words names a topic; tried in this order, and what one pattern takes is gone for the next.
TOPICS: dict[str, str] = {
    "peace": r"(avoid\w*|without|no|not|stay\w*( out)?|flee\w*|refus\w*|never) .{0,24}?(combat|fight\w*|kill\w*"
    r"|monsters?|violence|battles?|danger)|pacifis\w*|peace\w*",
    "catch": r"catch\w*|ball\b",
    "gold": r"gold|coins?|money|treasures?|rich\w*|wealth\w*",
    "combat": r"combat|fight\w*|kill\w*|slay\w*|monsters?|battles?|warrior",
    "explore": r"explor\w*|descen\w*|stair\w*|deep\w*|level|down\w*|door\w*|exit|goal|way|river|keys?\b"
    r"|unlock\w*|oracle|maze",
    "score": r"scor\w*|points?|win\w*|progress\w*|succe\w*|reward\w*",
}

_EVENTS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in EVENTS.items()}
_WORTH = {
    topic: {event: value for value, events in tiers.items() for event in events.split(", ")}
    for topic, tiers in VALUES.items()
}


def topics_of(goal: str) -> tuple[str, ...]:
    """The topics that a goal in words names.

    Raises:
        ValueError: it names none that the rule book knows.
    """
    left, found = goal.lower(), []
    for topic, pattern in TOPICS.items():
        left, hits = re.subn(rf"\b(?:{pattern})", " ", left)
        if hits:
            found.append(topic)
    if not found:
        raise ValueError(
            f"got the goal {goal!r}; the rules know goals about exploring and descending, gold, combat, avoiding "
            "combat, score, and catching the ball: reword it, or use a language-model judge (transformers or openai)"
        )
    return tuple(found)


def events_of(caption: str) -> tuple[str, ...]:
    """The names of the events that a caption tells of, in the order of `EVENTS`."""
    return tuple(name for name, pattern in _EVENTS.items() if pattern.search(caption))


def tier(caption: str, topics: Sequence[str]) -> int:
    """What a caption is worth: see `worth`."""
    return worth(events_of(caption), topics)


def worth(events: Sequence[str], topics: Sequence[str]) -> int:
    """What events are worth together: -1 harmful or futile, 0 neutral or unknown, 1 helpful, 2 very helpful.

    Dying outweighs everything; otherwise the best event counts, and a bad one only where nothing good happened.
    """
    if "died" in events:
        return -1
    if "gold lost" in events:
        events = [event for event in events if event != "gold"]
    values = [_WORTH[topic].get(event, 0) for topic in topics for event in events]
    best = max(values, default=0)
    return best if best > 0 else min(values, default=0)


def prefer(first: int, second: int) -> float:
    """Probability that the first of two tiers is better: 1.0, 0.0, or 0.5 for a tie."""
    return 0.5 + 0.5 * ((first > second) - (first < second))


ANSWERED: tuple[QuestionKind, ...] = ("caption", "pair")


class RulesJudge:
    """A `Judge` by the rule book; hard answers, 0/1 for captions and 0/0.5/1 for pairs."""

    def __init__(self, goal: str = "explore and descend") -> None:
        """Judge for a goal.

        Args:
            goal: in words, such as "explore and descend", "collect gold", "avoid combat".

        Raises:
            ValueError: the rule book knows nothing of this goal.
        """
        self.topics = topics_of(goal)
        book = json.dumps([EVENTS, VALUES, self.topics], sort_keys=True)
        self._fingerprint = "rules-" + hashlib.sha256(book.encode()).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        """Hash of the rule book and the topics."""
        return self._fingerprint

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order."""
        answers = []
        for question in questions:
            if question.kind not in ANSWERED:
                answers.append(unanswerable(question, ANSWERED))
                continue
            start = time.perf_counter()
            tiers = [tier(text, self.topics) for text in question.texts]
            value = prefer(*tiers) if question.kind == "pair" else float(tiers[0] > 0)
            answers.append(Answer(Status.OK, value, latency_s=time.perf_counter() - start))
        return answers

    async def check(self) -> None:
        """Always reachable."""
