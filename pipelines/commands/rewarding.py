"""Commands about rewards: `reannotate`, `switch`, `canaries`, `attack`, `serve-rewards`, `methods`."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.commands.arguments import Settings, known, run_and_values
from pipelines.errors import UserError

app = typer.Typer()
TARGET = "builtin, rules, a URL, a model's directory, package.module:function, or a run"


@app.command()
def reannotate(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Judge a run's stored experience anew, beside what was said before, and compare; goes on where it was stopped.

    Keys: reward=judge (or model, or a function, my_lab.rewards:exact_match), judge.KEY=…, settings.KEY=…,
    budget.requests=, budget.tokens=, budget.money=, seconds=, against=VERSION, again=false, runs=DIRECTORY.
    """
    from pipelines.stored.reannotate import reannotate as run_reannotate

    directory, values = run_and_values(run, settings)
    print(*run_reannotate(directory, values).lines(), sep="\n")


@app.command()
def switch(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Let a running learner go on with another reward version, one that `guerdon reannotate` has made.

    Keys: reward=VERSION, least=0.9 (share of the stored experience that it must have judged), runs=DIRECTORY.
    """
    from pipelines.stored.switch import request_switch

    directory, values = run_and_values(run, settings, ("reward",))
    asked = request_switch(directory, **known(values, reward="", least=0.9))
    print(
        f"asked for reward version {asked.reward_version}, which has judged {asked.share_judged:.1%} of what is stored"
    )


@app.command()
def canaries(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Show how a run's judges did on rows with known verdicts, and who is in quarantine.

    Keys: lift=JUDGE (believe a judge again, named by the first letters of its fingerprint), runs=DIRECTORY.
    """
    from pipelines.judging.quarantine import canary_lines, lift_quarantine

    directory, values = run_and_values(run, settings, ("lift",))
    if name := known(values, lift="")["lift"]:
        entry = lift_quarantine(directory, name)
        print(f"judge {entry.judge} is believed again, with a clean slate")
    else:
        print(*canary_lines(directory), sep="\n")


@app.command()
def attack(target: Annotated[str, typer.Argument(help=TARGET)], settings: Settings = None) -> None:
    """Try to fool a judge or reward model, defences off and on, with 95 % intervals.

    Keys: samples=50, attacks=[NAME,…], seed=0, to=FILE, goal=, rubric=, model=, device=, threads=, runs=.
    """
    from pipelines.overrides import parse
    from pipelines.trust.attack import attack as run_attack

    print(run_attack(target, parse(settings or [])))


@app.command(name="serve-rewards")
def serve_rewards(target: Annotated[str, typer.Argument(help=TARGET)], settings: Settings = None) -> None:
    """Serve a reward over HTTP until Ctrl-C; docs/serve-rewards.md says how it is asked.

    Keys: host=127.0.0.1, port=8200, token_file=FILE, tls_cert=FILE, tls_key=FILE, plaintext=false, canaries=FILE,
    guard=true, trace=false, deadline_s=60, drain_s=20, max_items=1024, max_body_bytes=8388608, max_in_flight=64,
    max_connections=256, goal=, rubric=, model=, device=, threads=, runs=.
    """
    from pipelines.overrides import parse
    from pipelines.service.serve_rewards import serve

    serve(target, parse(settings or []))


@app.command()
def methods(
    words: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]... | show N", help="words, or one row")] = None,
) -> None:
    """List the methods from papers on reward design, those that have some words, or show one with its evidence."""
    from pipelines.methods import card, listing, read_index, search

    index, words = read_index(), words or []
    if words[:1] != ["show"]:
        typer.echo(listing(search(index, " ".join(words))) or "no method has these words")
        return
    chosen = [method for method in index if words[1:] == [str(method.n)]]
    if not chosen:
        raise UserError(f"got {' '.join(words)}; expected `show` and a number from 1 to {index[-1].n}")
    typer.echo(card(chosen[0]))
