"""What the built-in judge reads: captions made of templates and NetHack's vocabulary, labelled by the rule book.

Templates are grouped by what they tell of, only so that all groups are drawn equally often: every label comes from
`rewards.judges.rules`, none from here. Captions are canonical (see envs/captions.py): digits are "#", inventory letters
are gone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from rewards.judges.judge import QuestionKind
from rewards.judges.rules import prefer, tier, topics_of

VOCABULARY: dict[str, str] = {
    "monster": """
        newt, jackal, sewer rat, grid bug, gecko, goblin, kobold, large kobold, kobold zombie, gnome, gnome lord,
        gnome king, dwarf, dwarf lord, hill orc, Mordor orc, Uruk-hai, orc shaman, giant rat, giant ant, soldier
        ant, fire ant, killer bee, acid blob, floating eye, lichen, green mold, yellow mold, brown mold, red mold,
        homunculus, imp, jaguar, fox, coyote, jackalwere, werejackal, wererat, rock piercer, iguana, baby crocodile,
        giant beetle, centipede, cave spider, giant spider, giant bat, vampire bat, bat, gas spore, hobbit, bugbear,
        human zombie, gnome zombie, ghoul, gnome mummy, kobold mummy, leprechaun, water nymph, wood nymph, pony,
        horse, kitten, housecat, little dog, dog, large dog, wolf, winter wolf cub, rotting corpse, snake, water
        moccasin, cobra, pit viper, leocrotta, quasit, dingo, lynx, panther, tiger, ape, owlbear, yeti, cockatrice,
        chickatrice, unicorn, quivering blob, blue jelly, spotted jelly, ochre jelly, gray ooze, brown pudding,
        violet fungus, lurker above, trapper, mimic, small mimic, giant eel, shark, piranha, jellyfish, crocodile,
        minotaur, ogre, ogre lord, troll, rock troll, hill giant, stone giant, dragon, baby red dragon, red dragon,
        soldier, sergeant, watchman, shopkeeper, priest, guard, wizard, warrior, archeologist, invisible stalker,
        manes, lemure, demon, succubus, incubus, vampire, lich, ghost, shade, zruty, couatl, steam vortex, dust
        vortex, energy vortex, ice vortex, fog cloud, yellow light, black light, golem, paper golem, straw golem,
        rope golem, gold golem, leather golem, gargoyle, rust monster, disenchanter, purple worm, long worm, baby
        long worm, werewolf, elf, Woodland-elf, Grey-elf, nurse, doppelganger, chameleon, monkey, rothe, mumak,
        wraith, barrow wight, tengu, gremlin, dwarf king, mind flayer, bear, raven, scorpion, it""",
    "item": """
        apple, orange, pear, melon, banana, carrot, food ration, cram ration, tripe ration, egg, fortune cookie,
        candy bar, lump of royal jelly, clove of garlic, sprig of wolfsbane, lembas wafer, cream pie, meatball,
        pancake, newt corpse, jackal corpse, lichen corpse, gnome corpse, dagger, elven dagger, orcish dagger,
        knife, short sword, long sword, two-handed sword, katana, scimitar, axe, battle-axe, pick-axe, mace, morning
        star, flail, club, war hammer, quarterstaff, spear, javelin, trident, lance, halberd, bow, elven bow, arrow,
        crossbow, crossbow bolt, dart, shuriken, boomerang, sling, flint stone, rock, helmet, dwarvish iron helm,
        orcish helm, leather armor, ring mail, scale mail, chain mail, plate mail, elven mithril-coat, robe, cloak,
        leather cloak, small shield, large shield, leather gloves, low boots, high boots, iron shoes, fedora, shirt,
        pair of boots, ring, gold ring, wooden ring, opal ring, jade ring, amulet, circular amulet, oval amulet,
        wand, oak wand, iron wand, glass wand, wand of cold, wand of fire, wand of death, wand of digging, wand of
        sleep, wand of striking, potion, clear potion, ruby potion, potion of water, potion of levitation, murky
        potion, scroll, unlabeled scroll, scroll labeled READ ME, scroll labeled FOOBIE BLETCH, scroll of
        teleportation, spellbook, plain spellbook, red spellbook, diamond, gray stone, white gem, worthless piece of
        glass, touchstone, luckstone, sack, bag, large box, chest, ice box, candle, oil lamp, lamp, brass lantern,
        tin, tinning kit, can opener, tin opener, bugle, horn, wooden flute, leash, saddle, towel, blindfold,
        mirror, crystal ball, stethoscope, expensive camera, figurine, magic marker, magic whistle, tin whistle,
        bell, statue, horn, iron chain""",
    "key": """key, skeleton key, lock pick, credit card""",
    "quality": """
        cursed, uncursed, blessed, rusty, very rusty, ++#, -#, corroded, burnt, fireproof, partly eaten, poisoned,
        greased, small, red, crude, broad, runed""",
    "note": """
        weapon in hand, being worn, wielded, in quiver, alternate weapon; not wielded, on left hand, lit, # in
        total, for sale, # zorkmids, unpaid, # zorkmids""",
    "body": """head, arm, leg, foot, hand, face, neck, body""",
    "way": """
        wall, tree, statue, iron bars, fountain, sink, altar, grave, throne, door, doorway, corridor, drawbridge,
        ladder""",
    "beam": """
        bolt of cold, bolt of fire, death ray, sleep ray, magic missile, bolt of lightning, blast of frost""",
    "role": """
        Archeologist, Barbarian, Caveman, Healer, Knight, Monk, Priest, Rogue, Ranger, Samurai, Tourist, Valkyrie,
        Wizard""",
    "race": """human, elven, dwarvish, gnomish, orcish""",
    "law": """lawful, neutral, chaotic""",
    "name": """
        Agent, Asidonhopo, Izchak, Akalapi, Lugh, Anhur, Thoth, Tyr, Odin, Mitra, Elbereth, Hachi, Sirius, Idefix""",
    "verb": """
        eat, wear, wield, read, quaff, zap, throw, drop, put on, take off, use or apply, write with, dip, invoke,
        rub""",
    "bites": """
        bites, stings, touches you, claws you, kicks, butts, scratches you, engulfs you, hits, sucks your blood,
        swings its club, swings his axe, swings her dagger, thrusts his spear, thrusts her knife, shoots an arrow,
        bites you, hits you, touches your head""",
    "status": """
        health, strength, dexterity, constitution, intelligence, wisdom, charisma, energy, armor, power, points""",
}

TEMPLATES: dict[str, str] = {
    "descended": """
        You descend the stairs. | You descend. | You descend to dungeon level #. | You climb down the ladder. | You
        fall through a trap door! | You fall through... | A trap door opens up under you! | There's a trap door
        here. | You dig a hole through the floor. | You dig a hole through the floor... you fall through. | You fall
        through a hole! | You reach dungeon level #. | You go down the stairs. | You enter the Gnomish Mines. | You
        fall down a hole! | You plunge through the hole. | Dungeon level increases. | You reach dungeon level # for
        the first time. | You fall through the trap door. | You descend to dungeon level #. | You descend to dungeon
        level #. There is a staircase up here. | You descend to dungeon level #. {a_item}.""",
    "ascended": """
        You ascend the stairs. | You climb up the stairs. | You ascend. | You return to dungeon level #. | You go up
        the stairs. | You climb up the ladder. | You go back up. | Dungeon level decreases. | You climb to dungeon
        level #.""",
    "stairs down": """
        There is a staircase down here. | There is a ladder down here. | There is a staircase down here. You see
        here {a_item}. | There are stairs down here. | You see a staircase down. | staircase down""",
    "stairs up": """
        There is a staircase up here. | There is a ladder up here. | There is a staircase up here. You see here
        {a_item}. | You see a staircase up. | staircase up""",
    "way opened": """
        The door opens. | As you kick the door, it crashes open! | As you kick the door, it shatters to pieces! |
        The door crashes open! | You succeed in unlocking the door. | You succeed in picking the lock. | The key:
        "..." You succeed in unlocking the door. The door opens. | The door resists! The door opens. | You unlock
        the door. | You find a hidden door. | You find a hidden passage. | You break through the door. | You break
        through a secret door! | You dig through the wall. | You kick open a secret door! | Crash! You kick open a
        secret passage! | The lava cools and solidifies. | The drawbridge lowers. | You cut through the web. | You
        dig through the rock. | You succeed in unlocking the box. | You succeed in unlocking the chest. | You
        succeed in cutting away some rock. | The water freezes.""",
    "bridged": """
        You push the boulder into the water. Now you can cross it! | The boulder fills a pit. | The boulder sinks
        into the water. | The boulder fills the pit. | The boulder plugs a hole. | You push the boulder into the
        moat. Now you can cross it! | The boulder falls into the water. | You push the boulder into the lava. Now
        you can cross it! | There is a large splash as the boulder falls into the water. | The boulder settles into
        the pit.""",
    "boulder moved": """
        With great effort you move the boulder. | With great effort you push the boulder. | You push the boulder. |
        You roll the boulder. | With great effort you move the boulder""",
    "way key": """
        a {key}. | {a_quality} {key}. | You gain a {key}. | a {key} named key of {name}. | You pick up a {key}. |
        You get a {key}. | an uncursed {key}. | an uncursed {key} named key of {name}.""",
    "key seen": """
        You see here a {key}. | There is a staircase up here. You see here a {key}. | You see here {a_quality}
        {key}. | There is a doorway here. You see here a {key}.""",
    "ball": """
        The ball is above you. | You catch the ball. | The ball is to your left. | The ball is to your right. | You
        miss the ball.""",
    "floating": """
        You start to float in the air! | You float up, out of the pit. | You are levitating. | Up, up, and awaaaay!
        You're walking on air! | You are levitating over the lava. | You float gently to the ground.""",
    "blocked": """
        It's a wall. | It's solid stone. | It's a wall | There is a wall in the way. | There is an obstacle in the
        way. | You try to move the boulder but in vain. | You try to move the boulder, but in vain. | Perhaps that's
        why you cannot move past it. | You cannot pass through the {way}. | You stop. {Name} is in the way. | You
        stop. Your {monster} is in the way. | You stop. {Name} can't move there. | You can't move diagonally out of
        an intact doorway. | You can't move diagonally into an intact doorway. | You are carrying too much to get
        through. | There's a {monster} in the way. | You move right into the {monster}. | You stop. There is a
        boulder in your way. | There isn't enough room. | The {monster} is in your way. | There is a boulder in your
        way. | You try to move the boulder, but in vain. However, you can squeeze your way past it.""",
    "door shut": """
        This door is locked. | This door is locked. Unlock it? | The door was stuck. | The door is stuck. | WHAMM! |
        WHAMM!! | WHAMMM!!! | The door is closed. | This door is broken. | This door is already open. | This door is
        already closed. | You fail to pick the lock. | The door won't open. | The lock jams. | You fail to open the
        door. | As you kick the door, WHAMM!! | The door resists. | The lock holds.""",
    "refused": """
        You see no objects here. | You see no {monster} there. | You see no door there. | You see no way there. |
        You don't have anything to {verb}. | You don't have any {item} to {verb}. | There is nothing here to pick
        up. | There is nothing here to eat. | Nothing happens. | Never mind. | Unknown command '#'. | Unknown
        command. | You can't go down here. | You can't go up here. | You cannot reach the floor. | You have nothing
        to {verb}. | What a strange direction! | That is a silly thing to {verb}. | You have a little trouble
        lifting {a_item}. | You kick at empty space. | The stairs are solidly fixed to the floor. | It won't come
        off the hinges. | Ouch! That hurts! | Dumb move! You strain a muscle. | You seem unable to do that. | You
        are already wearing {a_item}. | You find nothing. | You don't know any spells right now. | You don't know
        how to do that. | There is no one here to talk to. | You have no {item} to {verb}. | You cannot {verb} that!
        | There is nothing to loot here. | Your pack cannot hold any more items. | You have too many items. | Thump!
        | You mime wielding something. | You cannot see a thing. | You have nothing to do. | You wave your arms. |
        Ouch! You bump into the {way}. | You don't see anything here to {verb}. | You cannot even see the {way}. |
        You don't have enough energy to cast that spell. | Nothing here.""",
    "killed": """
        You kill the {monster}! | You kill {monster}! | You destroy the {monster}! | You kill the poor {monster}! |
        The {monster} is killed! | The {monster} dies. | The {monster} is destroyed! | You kill the invisible
        {monster}! | You slay the {monster}! | {Name} kills the {monster}. The {monster} is killed. | The {beam}
        hits the {monster}. You kill the {monster}! | You kill it! | The {monster} dies! | You hit the {monster}.
        You kill the {monster}!""",
    "grew": """
        Welcome to experience level #. | Welcome to experience level #! | You gain an experience level. | Experience
        level rises. | You reach experience level #. | You feel more confident in your fighting skills. | You feel
        more confident in your weapon skills. | You feel more experienced. | You gain experience. | Your score
        rises. | You rise to experience level #. | You gain # experience.""",
    "fought": """
        You hit the {monster}. | You hit it. | You strike the {monster}! | You smite the {monster}! | You bash the
        {monster}. | You attack the {monster}. | Really attack the {monster}? | Really attack {Name}? | You bite the
        {monster}. | You hit the {monster} with your {item}! | You begin bashing monsters with your {item}. You hit
        the {monster}. | You kick the {monster}. | You hit the {monster}. The {monster} is hurt. | You stab the
        {monster}!""",
    "missed": """
        You miss the {monster}. | You miss it. | You just miss the {monster}. | You swing wildly and miss! | You
        attack thin air. | You miss the {monster}. The {monster} misses! | You harmlessly attack thin air. | You
        wildly miss.""",
    "struck": """
        The {monster} {bites}! | The {monster} {bites}. | It {bites}! | The {monster} {bites}! The {monster}
        {bites}! | You are hit by {a_item}! | You are almost hit by {a_item}. | You lose health. | You lose #
        health. | You get zapped! | Your health drops. | You are hurt. | The {monster} swings {her} {item}. The
        {monster} hits! | The {monster} thrusts {her} {item}. | You are splashed by the {monster}'s acid! | The
        {monster} just misses! The {monster} {bites}! | You lose hit points. | The {monster} shoots # arrows. You
        are hit by an arrow. | You are bitten. | You lose hp. | You are badly hurt. | You are badly hurt. You are
        hungry.""",
    "fled": """
        The {monster} turns to flee. | You calm the {monster}. | The {monster} is asleep. | The {monster} runs away.
        | You tame the {monster}. | The {monster} seems calmer. | You escape {a_item}. | The {monster} falls asleep.
        | You evade the {monster}. | The {monster} is frozen. | The {monster} seems more friendly. | You escape a
        bear trap. | The {monster} is scared.""",
    "gold": """
        # gold pieces. | a gold piece. | # gold pieces ({note}). | You see here # gold pieces. | You gain gold. |
        You gain # gold. | You find # gold pieces. | There is gold here. | You see here a gold piece. | You hear
        someone counting coins. | # gold pieces # in total. | You get # gold pieces. | You gain # zorkmids. | You
        sell {a_item} for # gold pieces.""",
    "gold lost": """
        The {monster} steals your gold! | The {monster} stole # gold pieces. | Your purse feels lighter. | You lose
        gold. | You drop # gold pieces. | You pay # gold pieces to {Name}. | You have no gold. | You owe {Name} #
        zorkmids. | You lack gold. | You throw # gold pieces. | You lost # gold pieces. | You do not have enough
        gold.""",
    "thing": """
        {a_item}. | {a_item}. | {a_item} ({note}). | {a_quality} {item}. | {a_quality} {item} ({note}). | # {item}s.
        | # {quality} {item}s. | some {item}s. | You gain {a_item}. | You pick up {a_item}. | You get {a_item}. |
        You now wield {a_item}. | You are now wearing {a_item}. | You put on {a_item}. | You gain an item. | You now
        wield the {item}. | Something is now in your pack. | Something is now in your pack. You gain gold. | an
        {item} named {name}.""",
    "thing seen": """
        You see here {a_item}. | You see here {a_quality} {item}. | You see here # {item}s. | You see here several
        {item}s. | There are several objects here. | There are many objects here. | You feel here {a_item}. | You
        see here the {item}. | There are # objects here. | You see here a statue of a {monster}. | There is a
        doorway here. You see here {a_item}. | There are several more objects here. | You see here a {monster}
        corpse. | You see here {a_item} ({note}).""",
    "thing lost": """
        The {monster} stole {a_item}. | You drop {a_item}. | The {monster} steals {a_item}! | You lose {a_item}. |
        Your {item} rusts. | Your {item} corrodes! | Your {item} burns up! | Your {item} boils and explodes! | Your
        {item} tears. | You throw away {a_item}. | You no longer have {a_item}. | Your {item} cracks and breaks. |
        The {monster} stole your {item}! | Something has left your pack.""",
    "ate": """
        This {item} is delicious. | This {item} is delicious! | You finish eating the {item}. | That food really hit
        the spot! | This {item} tastes great! | You eat the {item}. | You are no longer hungry. | You feel less
        hungry. | You are not hungry. | Delicious! Must be {item}! | It tastes okay. | This {monster} corpse tastes
        good. | It tastes like {item}.""",
    "healed": """
        You feel better. | You feel much better. | You feel healed. | You feel a little better. | You feel
        completely healed. | Your health rises. | Your health improves. | You feel stronger. | You feel healthy. |
        You recover health. | You feel agile. | You feel wise! | You regain health. | You feel a mild buzz. | Your
        {status} rises. | You gain {status}.""",
    "starved": """
        You are beginning to feel hungry. | You are beginning to feel weak. | You are hungry. | You are weak. | You
        faint from lack of food. | You feel hungry. | You feel weak. | You feel deathly sick. | Blecch! Rotten food!
        | You vomit. | You stagger. | You feel feverish. | You are fainting. | Ulch - that meat was tainted! | Ecch
        - that must have been poisonous! You feel weak. | You become hungry. | Hungry. | You are starving. | You
        feel sick. | You are weak from hunger. | You are fainting from hunger.""",
    "trapped": """
        You fall into a pit! | You land on a set of sharp iron spikes! | A bear trap closes on your {body}! | You
        are caught in a bear trap. | You stumble into a spider web! | A trap door in the ceiling opens, and a rock
        falls on your {body}! | An arrow shoots out at you! | A little dart shoots out at you! | You cannot get out.
        | You crawl to the edge of the pit. | A cloud of gas puts you to sleep! | A gush of water hits your {body}!
        | A tower of flame erupts from the floor! | You are enveloped in a cloud of gas! | You are blinded by a
        flash of light! | You are confused. | You are stuck to the {monster}. | There is a pit here. | There is a
        {item} trap here. | There is an arrow trap here. | There is a spider web here. | You are trapped in the web.
        | KABOOM! You triggered a land mine. | You can't get out. | You stumble. | There is a bear trap here.""",
    "drowned": """
        You fall into the water! You sink like a rock. | You fall into the water! | You try to crawl out of the
        water. | You fall into the lava! | You burn to a crisp. | You sink into the lava. | You crawl out. | You
        drown. | You dissolve in the lava. | You try to crawl out of the water. Pheew! That was close.""",
    "died": """
        You die. | You die... | You starve. | You were killed by a {monster}. | Killed by a {monster}. | You turn to
        stone. | Do you want your possessions identified? | Do you want to see your attributes? | Goodbye {Name} the
        {role}... | You choke over your food. | You have died. | You are starved. | You fall to experience level #.
        | You are slimed. | You drown. You die. | The {monster} {bites}! You die... | The {monster} {bites}! You
        die.""",
    "unimportant": """
        You hear the splashing of a naiad. | You hear bubbling water. | You hear water falling on coins. | You hear
        the footsteps of a guard on patrol. | You hear a door open. | You hear some noises in the distance. | You
        hear a distant squeak. | You hear crashing rock. | You hear a low buzzing. | You hear some noises. | You
        hear the howling of the wind. | Hello {Name}, welcome to NetHack! You are a {law} {race} {role}. | You swap
        places with your {monster}. | You swap places with {Name}. | There is a doorway here. | There is an open
        door here. | There is a broken door here. | There is a fountain here. | There is a grave here. | There is an
        altar to {name} ({law}) here. | There is a sink here. | The door closes. | In what direction? | What do you
        want to {verb}? # or ?* | What do you want to {verb}? | Do you want to {verb} it? | The {monster} misses! |
        The {monster} misses. | The {monster} just misses! | {Name} misses the {monster}. | {Name} drops {a_item}. |
        {Name} picks up {a_item}. | {Name} eats {a_item}. | {Name} bites the {way}. | Unlock it with your {key}? |
        There is a {way} here. | Something is written here in the dust. You read: "{name}". | You read: "ad
        aerarium". | You disturb the engraving. | You finish your dressing maneuver. | You are now in a corridor. |
        However, you can squeeze into a small crevice. | The {beam} bounces! | The {beam} misses the {monster}. | It
        begins to rain. | You wait. | You search. | You engrave in the floor with the wand. | You feel a wrenching
        sensation. | You feel a strange vibration. | Your {monster} looks around. | Be careful! New moon tonight. |
        You are lucky! Full moon tonight. | Is this correct? | Pick up what? | Call {a_item}: | You turn the page. |
        The {monster} picks up {a_item}. | The {monster} wields {a_item}! | The {monster} drinks a potion. | The
        {monster} reads a scroll. | You have {a_item} in your pack. | Welcome to {name}'s shop! Will you please
        leave your {item} outside? | Your {status} changes. | The {monster} looks at you. | Do you want to add to
        the current engraving? | You write in the dust with your fingertip. | You are wielding {a_item}. | The
        {monster} appears. | You feel at peace. | Time passes. | The {way} is here. | The {item} glows. | {Item} |
        {monster} | {way} | Your {body} tingles. | You hear {a_item} | A {monster}. | The {monster} jumps. | You see
        {a_item} far away. | You see a {monster}. | You remember a {way}. | Some {item}s roll past. | You now have
        an {item}. | Saving game. | Restoring. | A mysterious force surrounds the {way}. | You have a peculiar
        feeling. | It is dark. | The room is lit. | You are on a {way}. | The {item} is heavy. | What is it? | Where
        do you want to go?""",
}

GOALS: dict[str, str] = {
    "explore": """
        explore and descend | explore the dungeon and descend | descend as deep as possible | find the stairs down |
        explore | descend the stairs | reach the next level | explore the dungeon | go deeper | find the exit | get
        down | open doors and explore | reach the goal | find the way down | find the key, unlock the door and reach
        the stairs down | explore and reach the stairs down | push boulders into the water to cross the river and
        reach the stairs down | descend and find the Oracle | find the stairs and descend | open the door and reach
        the stairs | reach the staircase down""",
    "gold": """
        collect gold | gather gold | become rich | find gold coins | collect as much gold as possible | get money |
        collect treasure | pick up gold pieces | gather wealth | find treasure""",
    "peace": """
        avoid combat | avoid fighting | avoid monsters | stay out of fights | do not kill | be peaceful | be a
        pacifist | live without violence | never fight | survive without combat | avoid danger""",
    "combat": """
        fight monsters | kill monsters | combat | slay monsters | be a warrior | seek combat | defeat monsters in
        battle | fight and kill""",
    "score": """
        score | maximise the score | score points | win the game | make progress | get a high score | win | maximize
        score | succeed""",
    "catch": """
        catch the ball | get under the ball and catch it | move under the ball | do not miss the ball""",
    "several": """
        collect gold and descend | explore without fighting | explore and collect gold | kill monsters and descend |
        collect gold and avoid combat | fight monsters and collect gold""",
}


@dataclass(frozen=True)
class Example:
    """A question with the rule book's answer."""

    goal: str
    kind: QuestionKind
    texts: tuple[str, ...]
    answer: str


_WORDS = {name: [" ".join(word.split()) for word in words.split(",")] for name, words in VOCABULARY.items()}
_SENTENCES = {name: [" ".join(s.split()) for s in re.split(r"\s\|\s", text)] for name, text in TEMPLATES.items()}
_SLOT = re.compile(r"\{(\w+)\}")
ALL_GOALS = [" ".join(goal.split()) for goals in GOALS.values() for goal in goals.split("|")]


class Corpus:
    """An endless, seeded stream of captions and labelled questions."""

    def __init__(self, seed: int, goals: tuple[str, ...] | None = None) -> None:
        """Begin a stream.

        Args:
            seed: the same seed gives the same stream.
            goals: goals to ask about; by default all that are known.
        """
        self._rng = random.Random(seed)
        self._goals = {goal: topics_of(goal) for goal in (goals or ALL_GOALS)}
        self._groups = list(_SENTENCES)

    def caption(self) -> str:
        """A caption of one to seven sentences, mostly one."""
        count = self._rng.choices((1, 2, 3, 5, 7), (72, 18, 5, 3, 2))[0]
        return " ".join(self._sentence() for _ in range(count))

    def captions(self, count: int) -> list[str]:
        """That many captions; some may be equal."""
        return [self.caption() for _ in range(count)]

    def goal(self) -> str:
        """A goal in words."""
        return self._rng.choice(list(self._goals))

    def example(self, goal: str, kind: QuestionKind) -> Example:
        """A question of this kind about fresh captions."""
        texts = tuple(self.captions(2 if kind == "pair" else 1))
        return self.label(goal, kind, texts)

    def label(self, goal: str, kind: QuestionKind, texts: tuple[str, ...]) -> Example:
        """The rule book's answer to a question, in the words of `rewards.judges.prompts.CHOICES`."""
        tiers = [tier(text, self._goals[goal]) for text in texts]
        if kind == "pair":
            return Example(goal, kind, texts, {1.0: "first", 0.0: "second", 0.5: "same"}[prefer(*tiers)])
        return Example(goal, kind, texts, "yes" if tiers[0] > 0 else "no")

    def _sentence(self) -> str:
        template = self._rng.choice(_SENTENCES[self._rng.choice(self._groups)])
        return _SLOT.sub(lambda slot: self._fill(slot[1]), template)

    def _fill(self, slot: str) -> str:
        if slot.startswith("a_"):
            word = self._rng.choice(_WORDS[slot[2:]])
            return ("an " if word[0] in "aeiou" else "a ") + word
        if slot == "her":
            return self._rng.choice(("his", "her", "its"))
        word = self._rng.choice(_WORDS[slot.lower()])
        return word[0].upper() + word[1:] if slot[0].isupper() else word


def all_words() -> Iterator[str]:
    """Every template and vocabulary entry, for a tokenizer to be built from."""
    for sentences in _SENTENCES.values():
        yield from sentences
    for words in _WORDS.values():
        yield from words
    yield from ALL_GOALS
