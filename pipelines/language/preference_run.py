"""Learning the policy from pairs: DPO and its family, in one process; nobody acts, and nobody judges."""

from __future__ import annotations

from contextlib import suppress

import torch

from learners.language.preference_learner import PreferenceLearner
from pipelines.driver.lifecycle import Restored
from pipelines.language.channels import Tensors
from pipelines.language.models import causal_model, tokenizer_of
from pipelines.language.preferences import batches, pairs_of
from pipelines.language.roles import EngineRole, Update
from pipelines.language.run import LanguageRun
from pipelines.language.tasks import task_of


def run_preferences(run: LanguageRun, restored: Restored | None) -> None:
    """Run to the end.

    Args:
        run: the books, restored already where the run is resumed.
        restored: what it goes on from.
    """
    experiment = run.experiment
    assert experiment.preferences is not None
    torch.set_num_threads(experiment.learner_threads)
    pairs = pairs_of(task_of(experiment), "train", experiment.seed)
    policy = causal_model(run.model, experiment.learner_device)
    reference = causal_model(run.model, experiment.learner_device)
    learner = PreferenceLearner(policy, experiment.preferences.policy, reference)
    if restored is not None:
        learner.load_state_dict(restored.roles["learner"]["learner"])
    looking = EngineRole(experiment, run.model, 0, 0)
    lessons = batches(
        pairs, tokenizer_of(run.model), experiment.preferences.batch, experiment.seed, first=run.status.updates
    )

    def save() -> None:
        run.save({"learner": {"learner": dict(learner.state_dict())}}, [])
        with run.mirror.snapshot():
            pass  # there is no experience of its own

    try:
        while not run.done:
            batch = next(lessons)
            run.learnt(Update({"tokens": float(len(batch.token_ids)), **learner.update(batch)}))
            if run.evaluation_due:
                run.looked(looking.succeed(Tensors(learner.version, learner.weights())))
            run.report()
            if run.checkpoint_due:
                save()
        save()
    except Exception:
        with suppress(Exception):  # what was learnt is kept if it can be; the first error is the one to be told
            save()
        raise
