"""`lm-speed`: Guerdon's local GRPO beside TRL's GRPOTrainer: the same model, prompts, groups, lengths and updates.

    python -m benchmarks.lm_speed
    python -m benchmarks.lm_speed seconds=60 rounds=3

Both train one tiny model on one thread: 4 prompts times 8 answers of up to 32 tokens an update, no reference model, one
gradient step an update, a reward that counts a letter. Of Guerdon it is the whole local runner, with replay and
verdicts on disk. It leaves out answers whose advantage is 0, which move no weight; a second run of each round learns
from all of them, as TRL does. Rounds are interleaved, each in a process of its own, and the first updates are left out.
TRL is a library of this benchmark only: `pip install trl==1.16`.
Other keys: threads, work, results.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.apparatus.pace import under_way
from envs.language.task import Prompt, Split, TextTask, Weighted, user
from learners.language.learner import Config as LearnerConfig
from pipelines.errors import UserError
from pipelines.language.experiment import EnginesConfig, LanguageExperiment, SamplingConfig
from pipelines.language.tiny_model import Config as TinyConfig
from pipelines.language.tiny_model import build_model, build_tokenizer
from pipelines.language.train import train
from pipelines.overrides import parse
from pipelines.results import Cell, figure, write_result
from pipelines.tracking import Config as TrackingConfig

NAME = "lm-speed"
KEYS: Mapping[str, Any] = {
    "seconds": 60.0,
    "rounds": 3,
    "threads": 1,
    "work": "runs/lm-speed",
    "results": "docs/results",
}
PROMPTS, GROUP, LENGTH, WARM = 4, 8, 32, 5


def letters(completion: str) -> float:
    """How often the letter e occurs."""
    return float(completion.count("e"))


def model_of(work: Path) -> str:
    """An untrained tiny model in Hugging Face format, the same for both."""
    import torch

    where = work / "model"
    if not where.is_dir():
        config = TinyConfig(hidden=128, layers=2, context=128)
        tokenizer = build_tokenizer([f"{i} + {i + 1} = " for i in range(1000)], config)
        torch.manual_seed(0)
        build_model(tokenizer, config).save_pretrained(where)
        tokenizer.save_pretrained(where)
    return str(where)


class Counting(TextTask):
    """Prompts like those of a first sum; there is no right answer, only letters to be counted."""

    name = "counting"
    rewards: Mapping[str, Weighted] = {"letters": Weighted(1.0, letters)}

    def load(self, split: Split, seed: int) -> list[Prompt]:
        """A thousand of them."""
        numbers = range(1000) if split == "train" else range(1000, 1100)
        return [Prompt(f"sum-{i}", (user(f"{i} + {i + 1} = "),)) for i in numbers]

    def gold(self, prompt: Prompt) -> tuple[str, ...]:
        """Nobody knows any."""
        return ()


def guerdon(model: str, seconds: float, threads: int, skip_idle: bool = True) -> dict[str, float]:
    """Updates and tokens a second of the whole local runner, replay and verdicts on disk included."""
    experiment = LanguageExperiment(
        task="benchmarks.lm_speed:Counting",
        model=model,
        updates=10**9,
        minutes=(seconds + 5) / 60,
        prompts=PROMPTS,
        group_size=GROUP,
        max_staleness=0,
        learner=LearnerConfig(learning_rate=1e-4),
        learner_threads=threads,
        skip_idle=skip_idle,
        engines=EnginesConfig(threads=threads),
        sampling=SamplingConfig(max_tokens=LENGTH),
        tracking=TrackingConfig(enabled=False),
        report_every_s=1.0,
    )
    with tempfile.TemporaryDirectory() as runs:
        directory = train(experiment, Path(runs), say=lambda text: None)
        first, last = under_way(directory, WARM)
    taken = last["elapsed_s"] - first["elapsed_s"]
    return {
        "updates/s": (last["updates"] - first["updates"]) / taken,
        "tokens/s": (last["frames"] - first["frames"]) / taken,
    }


def trl(model: str, seconds: float, threads: int) -> dict[str, float]:
    """The same of TRL's trainer."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer  # type: ignore[attr-defined]

    seen = {"updates": 0, "tokens": 0, "began": 0.0, "ended": 0.0}

    def count(prompts: Any, completions: Any, completion_ids: Any, **rest: Any) -> list[float]:
        seen["tokens"] += sum(map(len, completion_ids))
        return [letters(one if isinstance(one, str) else one[-1]["content"]) for one in completions]

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
            seen["updates"] += 1
            if seen["updates"] == WARM:
                seen.update(began=time.perf_counter(), tokens=0)
            elif seen["updates"] > WARM and time.perf_counter() - seen["began"] > seconds:
                seen["ended"] = time.perf_counter()
                control.should_training_stop = True
            return control

    asked = [[{"role": "user", "content": f"{i} + {i + 1} = "}] for i in range(1000)]
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(model),
        reward_funcs=count,
        args=GRPOConfig(
            output_dir=tempfile.mkdtemp(),
            per_device_train_batch_size=PROMPTS * GROUP,
            num_generations=GROUP,
            max_completion_length=LENGTH,
            beta=0.0,
            num_iterations=1,
            use_cpu=True,
            bf16=False,
            fp16=False,
            learning_rate=1e-4,
            logging_steps=10**6,
            save_strategy="no",
            report_to=[],
            max_steps=10**6,
            disable_tqdm=True,
            gradient_checkpointing=False,
            temperature=1.0,
        ),
        train_dataset=Dataset.from_dict({"prompt": asked}),
        processing_class=AutoTokenizer.from_pretrained(model),
        callbacks=[Clock()],
    )
    trainer.train()
    taken = seen["ended"] - seen["began"]
    return {"updates/s": (seen["updates"] - WARM) / taken, "tokens/s": seen["tokens"] / taken}


def whole(model: str, seconds: float, threads: int) -> dict[str, float]:
    """The same of Guerdon, where answers without advantage are computed too."""
    return guerdon(model, seconds, threads, skip_idle=False)


MEASURES = {"guerdon": guerdon, "guerdon, all answers": whole, "trl": trl}


def once(who: str, model: str, values: Mapping[str, Any]) -> dict[str, float]:
    """One round of one of them, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.lm_speed",
        "only",
        who,
        model,
        str(values["seconds"]),
        str(values["threads"]),
    ]
    limit_s = 10 * float(values["seconds"]) + 300
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    if done.returncode:
        raise UserError(f"{who} failed: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Measure, and write the result."""
    if sys.argv[1:2] == ["only"]:
        import torch

        who, model, seconds, threads = sys.argv[2:6]
        torch.set_num_threads(int(threads))
        print(json.dumps(MEASURES[who](model, float(seconds), int(threads))))
        return
    values = {**KEYS, **parse(sys.argv[1:])}
    if unknown := sorted(set(values) - set(KEYS)):
        raise SystemExit(f"got {', '.join(unknown)}; expected keys {', '.join(KEYS)}")
    model = model_of(Path(values["work"]))
    rows: list[dict[str, Cell]] = []
    for number in range(values["rounds"]):
        for who in MEASURES:
            rows.append({"round": number, "who": who, **once(who, model, values)})
            print(rows[-1], flush=True)

    def of(who: str, unit: str) -> list[float]:
        return [float(row[unit]) for row in rows if row["who"] == who]  # type: ignore[arg-type]

    def over_trl(who: str, unit: str) -> list[float]:
        return [ours / theirs for ours, theirs in zip(of(who, unit), of("trl", unit), strict=True)]

    alike = "guerdon, all answers"
    write_result(
        Path(values["results"]) / f"{NAME}.json",
        NAME,
        "Guerdon's GRPO makes at least 1.5 times the updates a second of TRL's GRPOTrainer, on the same tiny model and "
        "CPU, learning from every answer as TRL does.",
        min(over_trl(alike, "updates/s")) >= 1.5,
        "python -m benchmarks.lm_speed",
        {
            "updates/s over TRL's, all answers": figure(over_trl(alike, "updates/s"), "ratio"),
            "updates/s over TRL's": figure(over_trl("guerdon", "updates/s"), "ratio"),
            "generated tokens/s over TRL's, all answers": figure(over_trl(alike, "tokens/s"), "ratio"),
            "generated tokens/s over TRL's": figure(over_trl("guerdon", "tokens/s"), "ratio"),
            "updates/s": figure(of("guerdon", "updates/s"), "updates/s"),
            "generated tokens/s": figure(of("guerdon", "tokens/s"), "tokens/s"),
            "TRL's updates/s": figure(of("trl", "updates/s"), "updates/s"),
            "TRL's generated tokens/s": figure(of("trl", "tokens/s"), "tokens/s"),
        },
        rows,
    )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"lm-speed: {error}")
    except KeyboardInterrupt:
        sys.exit("lm-speed: interrupted; nothing is written")
