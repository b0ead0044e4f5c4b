"""`reward-server-load`: annotations/s and lag of the reward server, against the model itself and against HTTP.

    python -m benchmarks.reward_server_load
    python -m benchmarks.reward_server_load askers=[1,64] rounds=5 seconds=5

All judge with the same model in one thread. Askers wait for each answer before they ask again. Compared are: the judge
called in this process with as many questions in a batch as there are askers (the ceiling), or one at a time (serial);
an HTTP server in the shape of OpenRLHF's remote reward (benchmarks/apparatus/http_reward_server.py), asked one question
at a time by each asker, or in batches; and ours, an `Annotator` in front of one Ray Serve replica, with some share of
questions repeated. Of all models the builtin one is the cheapest: what stands around it weighs most. Two larger ones,
of random weights, are measured at `at` askers: of 3 million parameters, and of 19, which is still little for a judge.

The rounds alternate all of these. About twelve minutes on two cores. Other keys: repeated, at, price (of a million
tokens), work, results.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.apparatus.asking import Load, Questions, load
from benchmarks.apparatus.http_reward_server import GOAL
from benchmarks.apparatus.training import CHECKOUT, sigterm_interrupts
from cluster.serving import Config as ServingConfig
from cluster.serving import Service, ServiceOverloaded, serving
from cluster.session import Config as RayConfig
from cluster.session import ray_session
from pipelines.errors import UserError
from pipelines.judging.judges import build_judge
from pipelines.judging.served_judge import caller, served_judge
from pipelines.judging.settings import TransformersJudge
from pipelines.overrides import parse
from pipelines.results import Cell, Figure, Result, figure, write_result
from rewards.annotation.annotator import Annotator
from rewards.annotation.books import Books
from rewards.annotation.ledger import AnnotationLedger
from rewards.annotation.ledger import Config as AnnotationConfig
from rewards.judges.builtin.build import ensure_model
from rewards.judges.judge import Judge, Question
from rewards.prices import Prices

NAME = "reward-server-load"
ASKERS, REPEATED, AT, ROUNDS, SECONDS, WARM_UP_S = (1, 8, 64, 512), (0.0, 0.5, 0.95), 64, 3, 2.5, 0.5
LARGER = {"larger": (256, 4), "largest": (512, 6)}  # hidden size and layers
PRICE = 1.0
HTTP_BATCH = 32
OF_CEILING, OF_SERIAL = 0.9, 10.0  # what is aimed at, at `AT` askers
QUEUEING = AnnotationConfig(
    order="oldest", batch_size=256, max_in_flight=2, partial_in_flight=1, queue_capacity=100_000
)


def larger_model(work: Path, hidden: int, layers: int) -> Path:
    """The builtin judge's architecture and tokenizer, larger and with random weights: its answers mean nothing."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    small, place = ensure_model(), work / f"larger-{hidden}x{layers}"
    if not (place / "tokenizer.json").exists():
        config = AutoConfig.from_pretrained(small)
        for name, value in (
            ("hidden_size", hidden),
            ("intermediate_size", 4 * hidden),
            ("num_hidden_layers", layers),
            ("layer_types", ["full_attention"] * layers),
        ):
            setattr(config, name, value)
        AutoModelForCausalLM.from_config(config).save_pretrained(place)
        AutoTokenizer.from_pretrained(small).save_pretrained(place)
    return place


@contextmanager
def http_server(model: Path) -> Iterator[str]:
    """The peer in a process of its own, as long as the block; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.apparatus.http_reward_server", str(port), str(model)]
    process = subprocess.Popen(command, cwd=CHECKOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{url}/ready", timeout=1).read()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise UserError(f"the HTTP reward server did not start (exit code {process.poll()})") from None
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(30)


@asynccontextmanager
async def over_http(url: str) -> AsyncIterator[Any]:
    """How the peer is asked: a request for each, connections kept."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=180)) as session:

        async def ask(questions: Sequence[Question]) -> object:
            body = {"query": [question.texts[0] for question in questions]}
            async with session.post(f"{url}/get_reward", json=body) as response:
                return (await response.json())["rewards"]

        yield ask


async def through_annotator(
    service: Service, price: float, questions: Questions, askers: int, seconds: float
) -> tuple[Load, Books]:
    """Ours, with a ledger of its own."""
    ledger = AnnotationLedger(QUEUEING, "load", "v1", time.monotonic, Prices(million_tokens=price))

    async def ask(questions: Sequence[Question]) -> object:
        return [(await annotator.ask(question)).value for question in questions]

    async with Annotator(ledger, caller(service), busy=(ServiceOverloaded,)) as annotator:
        found = await load(ask, questions, askers, seconds, WARM_UP_S)
    books = ledger.ledger()
    if not books.balanced or books.failures:
        raise UserError(f"the ledger does not balance, or the judge failed: {books}")
    return found, books


class Sides:
    """Everything that is compared, for one model."""

    def __init__(self, name: str, judge: Judge, service: Service, url: str, price: float) -> None:
        self.name, self.judge = name, judge
        self._service, self._url, self._price = service, url, price

    async def measure(self, way: str, askers: int, repeated: float, seed: int, seconds: float) -> dict[str, Any]:
        """One row."""
        questions = Questions(repeated, seed)
        extra: dict[str, Cell] = {"tokens_per_1000": None, "cost_per_1000": None, "hit_rate": None}
        if way == "ours":
            found, books = await through_annotator(self._service, self._price, questions, askers, seconds)
            answered = books.ok + books.duplicates
            extra["tokens_per_1000"] = 1000 * books.tokens / answered
            extra["cost_per_1000"] = 1000 * books.cost / answered
            extra["hit_rate"] = books.duplicates / answered
        elif way.startswith("http"):
            each = HTTP_BATCH if way == "http, batches" else 1  # the callers' own batches, as its trainer sends them
            async with over_http(self._url) as ask:
                found = await load(ask, questions, max(1, askers // each), seconds, WARM_UP_S, each)
        else:  # in this process: one caller, and a batch of as many as there are askers
            found = await load(self.judge.judge, questions, 1, seconds, WARM_UP_S, each=askers)
        return {
            **{"model": self.name, "way": way, "askers": askers, "repeated": repeated, "round": seed},
            **{"annotations_per_s": found.per_s, "p50_s": found.p50_s, "p99_s": found.p99_s, **extra},
        }


def plan(model: str, askers: Sequence[int], repeated: Sequence[float], at: int) -> list[tuple[str, int, float]]:
    """What one round measures of a model: (way, askers, repeated). Those that are compared stand side by side."""
    batches = [("http, batches", at, 0.0)]
    if model in LARGER:
        return [("in process", 1, 0.0), ("in process", at, 0.0), ("ours", at, 0.0), ("http", at, 0.0), *batches]
    steps: list[tuple[str, int, float]] = []
    for count in askers:
        steps += [("in process", count, 0.0), ("ours", count, 0.0), ("http", count, 0.0)]
        steps += [("ours", count, share) for share in repeated if share]
    return steps + batches


def overheads(took: Mapping[str, Sequence[tuple[float, float]]], at: int) -> dict[str, Figure]:
    """What stands around a judge, as time a question, and from which judge on it is small enough.

    If it took the same around any judge, one that takes g a question would come to g / (g + overhead) of its ceiling,
    and to the share that is aimed at from g = overhead · share / (1 - share) on. The larger models say whether it does.

    Args:
        took: µs a question in process and served, of each model in each round.
        at: askers.
    """
    figures = {}
    for model, rounds in took.items():
        figures[f"judge's time a question, {model}, {at} askers"] = figure([own for own, _ in rounds], "µs")
        figures[f"overhead a question, {model}, {at} askers"] = figure([ours - own for own, ours in rounds], "µs")
    around = [ours - own for own, ours in took["builtin"]]
    needed = [max(0.0, one) * OF_CEILING / (1 - OF_CEILING) for one in around]
    figures[f"judge's time a question from which on {OF_CEILING:.0%} is expected, {at} askers"] = figure(needed, "µs")
    for model in LARGER:
        expected = [own / (own + one) for one, (own, _) in zip(around, took[model], strict=True)]
        figures[f"of the ceiling, {model}, {at} askers, expected from builtin"] = figure(expected, "ratio")
    return figures


def report(rows: Sequence[Mapping[str, Any]], at: int, command: str, results: Path) -> Result:
    """Write the result; ratios are of neighbours in one round."""
    rate: dict[tuple[Any, ...], dict[int, float]] = defaultdict(dict)
    for row in rows:
        rate[row["model"], row["way"], row["askers"], row["repeated"]][row["round"]] = row["annotations_per_s"]

    def ratio(above: tuple[Any, ...], below: tuple[Any, ...]) -> Figure:
        return figure([rate[above][seed] / rate[below][seed] for seed in sorted(rate[above])], "ratio")

    figures: dict[str, Figure] = {}
    for model, way, askers, repeated in sorted(rate):
        ours = (model, way, askers, repeated)
        if way != "ours":
            continue
        what = f"{model}, {askers} askers, {repeated:.0%} repeated"
        figures[f"of the ceiling, {what}"] = ratio(ours, (model, "in process", askers, 0.0))
        figures[f"over serial, {what}"] = ratio(ours, (model, "in process", 1, 0.0))
        figures[f"over HTTP, {what}"] = ratio(ours, (model, "http", askers, 0.0))
    figures |= overheads(
        {
            model: [
                (1e6 / rate[model, "in process", at, 0.0][seed], 1e6 / found)
                for seed, found in sorted(rate[model, "ours", at, 0.0].items())
            ]
            for model in ("builtin", *LARGER)
        },
        at,
    )
    for share in sorted({row["repeated"] for row in rows}):
        found = [row["cost_per_1000"] for row in rows if row["way"] == "ours" and row["repeated"] == share]
        figures[f"cost of 1,000 annotations, {share:.0%} repeated"] = figure(found, "currency")
    where = f"{at} askers, 0% repeated"
    of_ceiling = [figures[f"of the ceiling, {model}, {where}"].value for model in ("builtin", *LARGER)]
    over_serial = figures[f"over serial, builtin, {where}"].value
    return write_result(
        results / f"{NAME}.json",
        NAME,
        f"With {at} askers and no question repeated, one replica of the reward server gives at least {OF_CEILING:.0%} "
        f"of the annotations/s of the same model called in process with batches of {at}, with the builtin judge and "
        f"with two larger ones, and with the builtin one at least {OF_SERIAL:g} times those of a serial judge.",
        min(of_ceiling) >= OF_CEILING and over_serial >= OF_SERIAL,
        command,
        figures,
        rows,
    )


async def measure(
    sides: Sides, steps: Sequence[tuple[str, int, float]], rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Every step of every round."""
    rows = []
    for seed in range(rounds):
        for way, askers, repeated in steps:
            row = await sides.measure(way, askers, repeated, seed, seconds)
            rows.append(row)
            print(
                f"{seed} {sides.name:8} {way:13} {askers:4} askers, {repeated:4.0%} repeated: "
                f"{row['annotations_per_s']:8,.0f}/s, p50 {1e3 * row['p50_s']:.1f} ms, p99 {1e3 * row['p99_s']:.1f} ms",
                flush=True,
            )
    return rows


def main(arguments: Sequence[str]) -> int:
    """The command; gives the exit code."""
    values: dict[str, Any] = parse(arguments)
    askers, repeated = values.pop("askers", ASKERS), values.pop("repeated", REPEATED)
    at, rounds = int(values.pop("at", AT)), int(values.pop("rounds", ROUNDS))
    seconds, price = float(values.pop("seconds", SECONDS)), float(values.pop("price", PRICE))
    work, results = Path(values.pop("work", f"runs/{NAME}")).resolve(), Path(values.pop("results", "docs/results"))
    if values or 1 not in askers or at not in askers or 0.0 not in repeated:
        raise UserError(
            f"got {sorted(values)} and at={at}, askers={askers}, repeated={repeated}; expected the keys that the file "
            "names, 1 and `at` among the askers, and 0.0 among the shares repeated"
        )
    models = {"builtin": ensure_model()} | {name: larger_model(work, *size) for name, size in LARGER.items()}
    settings, rows = ServingConfig(), []
    with ray_session(RayConfig(object_store_mb=100), 4):
        for name, model in models.items():
            config = TransformersJudge(model=str(model), device="cpu")
            judge = build_judge(config, GOAL, threads=1)
            factory = partial(served_judge, config, GOAL, 1, settings.batch_tokens)
            with serving("judge", factory, "ask", settings) as service, http_server(model) as url:
                sides = Sides(name, judge, service, url, price)
                rows += asyncio.run(measure(sides, plan(name, askers, repeated, at), rounds, seconds))
    words = "".join(f" {argument}" for argument in arguments)
    result = report(rows, at, f"python -m benchmarks.{NAME.replace('-', '_')}{words}", results)
    for key, found in result.figures.items():
        print(f"{key}: {found.value:.3g} {found.unit}")
    print(f"{results / f'{NAME}.json'}: holds {result.holds}")
    return 0 if result.holds else 1


if __name__ == "__main__":
    try:
        with sigterm_interrupts():
            sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped before its end, nothing was written")
