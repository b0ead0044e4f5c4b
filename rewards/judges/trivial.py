"""A filter for answers that say nothing, and yet are taken for good ones.

Zhao et al. 2025, "One token to fool LLM-as-a-judge" (arXiv 2507.08794): a colon, a space, "Thought process:" or "Let's
solve this problem step by step." alone are judged correct up to 80 or 90 % of the time by judges of every size, and a
policy that finds this collapses to them. Neither chains of thought nor votes cure it. What says nothing can be told
without a model, so it never gets to one: it is the policy's fault, and has no value.

The filter reads form, not meaning: signs without words, the question again, words that only announce ("Here is my
solution:"), and one sentence that promises an answer ("To solve this problem, we first need to …"), which is the shape
of the openers that the authors cut out of solutions. A number, an equation or a further sentence is left to the judge.
"""

from __future__ import annotations

import re
import unicodedata

from rewards.judges.untrusted import clean, fold

FILLERS = """
a the my our your is are as be to of for and so in on it its this that these below above following now here here's
i i'll i'm we we'll we're me us let's lets let will would can could shall should must need have going want
okay ok sure certainly absolutely alright well hmm please first firstly then next all begin start go
think thinking thought thoughts thoughtful process procedure reason reasoning reasoned analysis analyse analyze
explain explanation response respond answer answers answering solution solutions solve solving solved conclusion
output result final complete full detailed careful carefully systematic systematically logical logically
step steps step-by-step by problem question task see look consider approach work through give provide write show
about what know find examine understand break down up together given
"""
"""English words that only announce. An answer of nothing else is no answer, unless it is the right one."""

OPENERS = """
解答, 答案, 解析, 解, 答, 思考过程, 让我们一步一步思考
让我们一步一步地思考, 让我们一步一步解决这个问题, 让我们逐步思考
かいせつ, 解説, 回答, 解決, 思考プロセス, 考え方, ステップバイステップで考えましょう, 段階的に考えましょう
풀이, 해설, 정답, 답변, 생각 과정
respuesta, solución, razonamiento, proceso de pensamiento, pensemos paso a paso
vamos a resolver este problema paso a paso
réponse, raisonnement, réfléchissons étape par étape, résolvons ce problème étape par étape
lösung, antwort, gedankengang, denkprozess, denken wir schritt für schritt, lösen wir dieses problem schritt für schritt
resposta, solução, raciocínio, vamos resolver este problema passo a passo, risposta, soluzione, ragionamento
решение, ответ, ход мыслей, давайте решим пошагово, rozwiązanie, odpowiedź, çözüm, cevap, الحل, الجواب, उत्तर, समाधान
"""
"""The same in other languages."""

ANNOUNCEMENT = (
    r"((first|okay|ok|sure|alright|so|well)\W+)?"
    r"(let's|let us|lets|to|in order to|(we|i)('ll|'m| will| am| are| need| have| must| should| can| first)*)"
    r"[^.!?\n=\d]{0,60}"
    r"\b(solve|solving|think|work|break|analy[sz]e|approach|tackle|figure|begin|start|proceed|address|examine|go)\b"
    r"[^.!?\n=\d]{0,100}"
    r"\b(problem|question|task|this|it|step|steps|carefully|together|systematically)\b"
    r"[^.!?\n=\d]{0,100}\W*"
)
"""One folded sentence without a number that promises an answer."""

_ANNOUNCEMENT = re.compile(ANNOUNCEMENT)
_FILLERS = frozenset(FILLERS.split())
_OPENER = re.compile("|".join(sorted(map(fold, re.split(r"[,\n]\s*", OPENERS.strip())), key=len, reverse=True)))
_STEP = re.compile(r"\bstep (\d+|one|i)\b")
_WORD = re.compile(r"[\w'-]+")
_LONGEST_OPENER = 400
_SIGNS_THAT_SAY_NOTHING = frozenset("`^~|=+$<>")


def why_trivial(answer: str, question: str = "", reference: str = "") -> str:
    """Why an answer says nothing; empty where it may say something.

    Args:
        answer: what is to be judged.
        question: what was asked: repeating it is no answer.
        reference: the right answer, if known; an answer that is equal to it is never trivial, whatever it looks like.
    """
    text = _plain(answer)
    if reference and text == _plain(reference):
        return ""
    if not text:
        return "the answer is empty"
    if all(unicodedata.category(c)[0] in "PZ" or c in _SIGNS_THAT_SAY_NOTHING for c in text):
        return f"the answer has no word, number or symbol: {text[:20]!r}"
    if question and text.strip(" .?!:") == _plain(question).strip(" .?!:"):
        return "the answer repeats the question"
    if len(text) <= _LONGEST_OPENER and (_all_filler(text) or _ANNOUNCEMENT.fullmatch(text)):
        return f"the answer only announces one: {text[:60]!r}"
    return ""


def _all_filler(text: str) -> bool:
    """Whether a plain text has words, and all of them only announce."""
    rest = _STEP.sub("step", _OPENER.sub(" ", text))
    words = [word.strip("-'_") for word in _WORD.findall(rest)]
    return (rest != text or any(words)) and all(word in _FILLERS or not word for word in words)


def _plain(text: str) -> str:
    return " ".join(fold(clean(text, max_chars=len(text)).text).replace("’", "'").split())
