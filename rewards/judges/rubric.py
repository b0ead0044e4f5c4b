"""`Rubric`: how something is judged, as a readable file; and the table of all kinds of judgement.

A rubric file (YAML or Markdown, see rewards/judges/rubric_source.py) has an id, a version and a kind; the kind says
which further settings there are. A new kind is one file in rewards/judges/kinds and one line in `KINDS`.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from rewards.judges import untrusted
from rewards.judges.chat_model import ChatModel
from rewards.judges.deliberation import TEXT_NAMES, Decide, Deliberation
from rewards.judges.judge import Judge, QuestionKind
from rewards.judges.kinds.tool import Tool
from rewards.judges.rubric_source import RubricError, Source, read

KINDS: dict[str, str] = {
    "binary": "rewards.judges.kinds.scale:Binary",
    "graded": "rewards.judges.kinds.scale:Graded",
    "categorical": "rewards.judges.kinds.scale:Categorical",
    "pairwise": "rewards.judges.kinds.pairwise:Pairwise",
    "adaptive": "rewards.judges.kinds.adaptive:Adaptive",
    "rubric": "rewards.judges.kinds.weighted:Weighted",
    "checklist": "rewards.judges.kinds.checklist:Checklist",
    "listwise": "rewards.judges.kinds.listwise:Listwise",
    "tournament": "rewards.judges.kinds.tournament:Tournament",
    "jury": "rewards.judges.kinds.jury:Jury",
    "mixture": "rewards.judges.kinds.mixture:Mixture",
    "critique": "rewards.judges.kinds.critique:Critique",
    "branch_rethink": "rewards.judges.kinds.branch_rethink:BranchRethink",
    "reasoned": "rewards.judges.kinds.reasoned:Reasoned",
    "tool_use": "rewards.judges.kinds.tool_use:ToolUse",
}

Part = TypeVar("Part")

MAX_DEPTH = 8
"""Rubrics that name rubrics that name rubrics …"""


@dataclass(frozen=True)
class Parts:
    """What judges are made of, handed in by whoever builds one.

    Attributes:
        model: the language model that is asked; None where only ready judges are used.
        models: further ones by name, for the members of juries.
        judges: ready judges by name: verifiers, reward models, rules.
        tools: by name, for judges that use them.
        folder: where the file names in a rubric are looked up.
        depth: how many rubrics named one another on the way here.
    """

    model: ChatModel | None = None
    models: Mapping[str, ChatModel] = field(default_factory=dict)
    judges: Mapping[str, Judge] = field(default_factory=dict)
    tools: Mapping[str, Tool] = field(default_factory=dict)
    folder: Path = Path()
    depth: int = 0


class Member(BaseModel):
    """Another judge, by its rubric or by its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rubric: str | None = None
    """A rubric file; its path begins at the folder of the file that names it."""
    judge: str | None = None
    """The name of a judge that is handed in ready-made."""
    model: str | None = None
    """With `rubric`: the name of the model that is asked; None: the same one."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Member:
        if (self.rubric is None) == (self.judge is None) or (self.model and self.judge):
            raise ValueError("expected either `rubric` (a file, perhaps with a `model`) or `judge` (a name)")
        return self

    def build(self, parts: Parts) -> Judge:
        """The judge that is meant.

        Raises:
            ValueError: there is no judge or model of that name, or rubrics name one another in a circle.
            FileNotFoundError: there is no such rubric.
        """
        if self.judge is not None:
            return _named(parts.judges, self.judge, "judge")
        model = parts.model if self.model is None else _named(parts.models, self.model, "model")
        return judge_from_file(parts.folder / str(self.rubric), replace(parts, model=model, depth=parts.depth + 1))


class Rubric(BaseModel):
    """What all kinds have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80)
    version: str = Field(min_length=1, max_length=40)
    kind: str
    instruction: str = ""
    """Who judges what: the first thing that the model reads."""
    principles: tuple[str, ...] = ()
    """General qualities that the judgement is to weigh."""
    needs: tuple[str, ...] = ()
    """Names of the context that is shown: ("prompt",), or ("prompt", "reference") for judging by a reference."""
    template: str | None = None
    """How context and texts are laid out, with a placeholder for each; None: one under the other."""

    answers: ClassVar[tuple[QuestionKind, ...]] = ("response", "trajectory", "caption")

    @field_validator("version", mode="before")
    @classmethod
    def _number_or_text(cls, version: object) -> object:
        return str(version) if isinstance(version, int | float) and not isinstance(version, bool) else version

    @field_validator("principles", "needs")
    @classmethod
    def _not_empty(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        if not all(text.strip() for text in texts) or len(set(texts)) < len(texts):
            raise ValueError(f"got {list(texts)}; expected texts that are not empty, each once")
        return texts

    @model_validator(mode="after")
    def _known_placeholders(self) -> Rubric:
        names = {TEXT_NAMES[kind] for kind in self.answers}
        if taken := sorted({"text", *names} & set(self.needs)):
            raise ValueError(f"got {taken} among `needs`; these names stand for what is judged: rename the context")
        if self.template is not None:
            untrusted.check_template(self.template, {*names, *self.needs}, self.needs)
            if not names & set(untrusted.placeholders(self.template)):
                raise ValueError(f"got a template without what is judged; expected one of {sorted(names)} in braces")
        return self

    @property
    def asked(self) -> tuple[QuestionKind, ...]:
        """Kinds of question that can be answered: a template fits those whose texts it has a place for."""
        if self.template is None:
            return self.answers
        places = untrusted.placeholders(self.template)
        return tuple(kind for kind in self.answers if TEXT_NAMES[kind] in places)

    def build(self, parts: Parts) -> Judge:
        """A judge by this rubric.

        Raises:
            ValueError: a part that it needs was not handed in.
        """
        raise NotImplementedError

    def guide(self) -> str:
        """The fixed beginning of every prompt; kinds add to it."""
        principles = [f"- {text}" for text in self.principles]
        return "\n".join(
            [self.instruction.strip(), *(["Weigh by these principles:", *principles] if principles else [])]
        )

    def deliberation(self, parts: Parts, decide: Decide, guide: str, also: Sequence[str] = ()) -> Deliberation:
        """A judge that asks the model in the way of `decide`.

        Args:
            parts: of which the model is asked.
            decide: the conversation about one question.
            guide: the fixed beginning of every prompt.
            also: what else determines the answers.

        Raises:
            ValueError: no model was handed in.
        """
        if parts.model is None:
            raise ValueError(f"rubric {self.id!r} asks a language model; got none: choose one (judge.model=…)")
        return Deliberation(
            decide,
            parts.model,
            guide=guide.strip(),
            identity=[self.model_dump_json(), *also],
            answers=self.asked,
            needs=self.needs,
            template=self.template,
        )

    def compose(self, *fingerprints: str) -> str:
        """The fingerprint of a judge by this rubric that is made of others."""
        code = inspect.getsource(sys.modules[type(self).__module__])
        parts = [self.model_dump_json(), code, *fingerprints]
        return f"{self.kind}-" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def load(path: Path | str) -> Rubric:
    """The rubric in a file.

    Raises:
        FileNotFoundError: there is no such file.
        RubricError: what stands there is no rubric; the message names file and line.
    """
    source = read(Path(path).expanduser())
    kind = source.data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise source.error(("kind",), f"got the kind {kind!r}; expected one of {', '.join(KINDS)}")
    try:
        return rubric_class(kind).model_validate(source.data)
    except ValidationError as error:
        raise _explained(source, error) from None


def content(path: Path | str, depth: int = 0) -> str:
    """All that a rubric file says, and the files that it names: what a reward's version depends on.

    Raises:
        FileNotFoundError: there is no such file.
        RubricError: what stands there is no rubric, or rubrics name one another in a circle.
    """
    path = Path(path).expanduser()
    if depth > MAX_DEPTH:
        raise RubricError(f"{path}:1: more than {MAX_DEPTH} rubrics name one another; expected no circle")
    rubric = load(path)
    values = [getattr(rubric, name) for name in type(rubric).model_fields]
    members = [one for value in values for one in (value if isinstance(value, tuple) else (value,))]
    named = [one.rubric for one in members if isinstance(one, Member) and one.rubric is not None]
    return "\n".join([rubric.model_dump_json(), *(content(path.parent / name, depth + 1) for name in named)])


def rubric_class(kind: str) -> type[Rubric]:
    """The class of a kind; its file is read when it is needed."""
    module, _, name = KINDS[kind].partition(":")
    found: type[Rubric] = getattr(import_module(module), name)
    return found


def judge_from_file(path: Path | str, parts: Parts) -> Judge:
    """A judge by the rubric in a file.

    Raises:
        FileNotFoundError: there is no such file.
        RubricError: the rubric cannot be used.
        ValueError: a part that it needs was not handed in.
    """
    path = Path(path).expanduser()
    if parts.depth > MAX_DEPTH:
        raise RubricError(f"{path}:1: more than {MAX_DEPTH} rubrics name one another; expected no circle")
    return load(path).build(replace(parts, folder=path.parent))


def _named(found: Mapping[str, Part], name: str, what: str) -> Part:
    if name not in found:
        raise ValueError(f"got the {what} {name!r}; expected one of {sorted(found)}: hand it in, or mend the name")
    return found[name]


def _explained(source: Source, error: ValidationError) -> RubricError:
    """All that is wrong, each with its line, the first one first."""
    problems = []
    places = [tuple(problem["loc"]) for problem in error.errors()]
    for problem, place in zip(error.errors(), places, strict=True):
        if any(other != place and other[: len(place)] == place for other in places):
            continue  # it is wrong because of what stands inside it
        name = ".".join(map(str, place)) or "the rubric"
        got = "" if problem["type"] == "missing" else f", got {str(problem['input'])[:80]!r}"
        unknown = problem["type"] == "extra_forbidden"
        said = "no such setting; mend the name or take it out" if unknown else problem["msg"]
        problems.append((source.line(place), f"{name}: {said}" + ("" if unknown else got)))
    problems.sort()
    (line, first), rest = problems[0], [f"line {line}: {text}" for line, text in problems[1:]]
    return RubricError("; ".join([f"{source.path}:{line}: {first}", *rest]))
