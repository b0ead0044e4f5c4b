"""The policy of a run, to be looked at and talked to: `guerdon evaluate RUN`, `guerdon chat RUN`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from actors.engines.chat_tokenizer import ChatTokenizer, Message
from actors.language.conversation import Conversations
from actors.language.generation import GenerationEngine
from pipelines import checkpoint
from pipelines.errors import UserError
from pipelines.evaluate import Figure, table_of
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.kept_models import model_of
from pipelines.language.models import engine_for
from pipelines.language.roles import LearnerRole
from pipelines.language.stored import stored_language
from pipelines.language.success import shown_lines, success_of
from pipelines.language.tasks import task_of
from pipelines.run_directory import RunDirectory


def policy_of(directory: RunDirectory) -> tuple[LanguageExperiment, int, GenerationEngine, ChatTokenizer]:
    """An engine with the newest weights of a run, and after how many updates they were saved.

    Raises:
        UserError: there is no checkpoint, or its model is gone.
    """
    experiment = stored_language(directory)
    if not checkpoint.numbers(directory.checkpoints):
        raise UserError(
            f"{directory.root} has no checkpoint yet: a run writes one every checkpoint.every_s, and at its end"
        )
    updates, tree, _ = checkpoint.load(directory.checkpoints)
    tree["model"] = model_of(directory, tree["model"])
    engine, chats = engine_for(experiment, tree["model"])
    engine.load_weights(weights_in(experiment, tree), 1)
    return experiment, updates, engine, chats


def weights_in(experiment: LanguageExperiment, tree: dict[str, Any]) -> dict[str, Any]:
    """The policy's weights in a checkpoint, under their Hugging Face names."""
    preferences = experiment.preferences
    if preferences is None or preferences.into == "reward_model":
        return LearnerRole(experiment, tree["model"], tree["roles"]["learner"]).learner.weights()
    from learners.language.preference_learner import PreferenceLearner
    from pipelines.language.models import causal_model

    model = causal_model(tree["model"], "cpu")
    learner = PreferenceLearner(model, preferences.policy, None)
    learner.load_state_dict(tree["roles"]["learner"]["learner"])
    return learner.weights()


def evaluate_language(directory: RunDirectory, episodes: int, seed: int, greedy: bool) -> str:
    """Answer prompts of the test split once each, write `evaluation.json`, and show a table.

    Raises:
        UserError: there is no policy, or a number is out of range.
    """
    if episodes < 1 or seed < 0:
        raise UserError(f"got episodes {episodes} and seed {seed}; expected at least 1 episode, and a seed from 0")
    experiment, updates, engine, chats = policy_of(directory)
    began = time.monotonic()
    found = success_of(experiment, task_of(experiment), engine, chats, "test", episodes, greedy, seed)
    figures = {
        "pass@1": Figure(value=found.share, low=found.low, high=found.high),
        "mean reward": Figure(value=found.reward, low=None, high=None),
        "tokens an answer": Figure(value=found.tokens, low=None, high=None),
    }
    directory.write_json(
        directory.root / "evaluation.json",
        {
            "checkpoint_updates": updates,
            "task": experiment.task,
            "episodes": found.known + found.nulls,
            "nulls": found.nulls,
            "seed": seed,
            "greedy": greedy,
            "figures": {name: figure.model_dump() for name, figure in figures.items()},
            "shown": list(found.shown),
        },
    )
    head = (
        f"{directory.root.name}: {experiment.task}, policy after {updates:,} updates, {found.known} prompts of "
        f"the test split "
        f"(seed {seed}, {'greedy' if greedy else 'sampled'}), {time.monotonic() - began:.1f} s"
    )
    lines = [head, table_of(figures), *shown_lines(found), f"written to {directory.root / 'evaluation.json'}"]
    return "\n".join(lines)


def chat(directory: RunDirectory, message: str, system: str, greedy: bool, say: Callable[[str], None] = print) -> None:
    """Talk to a run's policy: one message, or line by line until the input ends.

    Raises:
        UserError: there is no policy to talk to.
    """
    experiment, updates, engine, chats = policy_of(directory)
    talk = Conversations(chats.tokenizer)
    sampling = experiment.sampling.model_copy(update={"temperature": 0.0} if greedy else {}).build()
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    if not message:
        say(f"{directory.root.name}, after {updates:,} updates. An empty line begins anew; end with Ctrl-D.")
    tokens: list[int] = []
    for number, line in enumerate([message] if message else _lines()):
        if not line:
            messages, tokens = messages[: bool(system)], []
            continue
        news: list[Message] = [{"role": "user", "content": line}]
        tokens += talk.continuation(messages, news, tokens[-1]) if tokens else talk.opening([*messages, *news])
        messages += news
        (reply,) = engine.generate([tokens], sampling, [number])
        tokens += reply.token_ids
        text = talk.reply(reply.token_ids)
        messages.append({"role": "assistant", "content": text})
        say(text if reply.finish == "stop" else f"{text} … (cut: {reply.finish})")


def _lines() -> Iterator[str]:
    """What a person types."""
    while True:
        try:
            yield input("> " if sys.stdin.isatty() else "").strip()
        except EOFError:
            return
