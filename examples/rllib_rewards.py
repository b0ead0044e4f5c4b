"""An algorithm of RLlib on Guerdon's rewards: a script of one's own, without a recipe.

python examples/rllib_rewards.py [FRAMES] [TASK] [RUNS]
"""

import sys
from pathlib import Path

from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from cluster.session import ray_session
from pipelines.display import LineDisplay
from pipelines.driver.lifecycle import write_config
from pipelines.environment.run import Run
from pipelines.overrides import apply
from pipelines.recipes.table import find_recipe
from pipelines.rllib.connector import attach
from pipelines.rllib.environment import CaptionedEnv
from pipelines.rllib.keeper import keeping
from pipelines.rllib.module import GuerdonModule
from pipelines.run_directory import RunDirectory


def main(frames: int = 100_000, task: str = "minihack-keyroom-s5", runs: str = "runs") -> dict:
    """Train, and give the accounts of the run."""
    values = {"task": task, "judge": "rules", "reward": "retrieval", "frames": max(frames, 2048)}
    experiment = apply(find_recipe("rllib-ppo"), values)
    directory = RunDirectory.create(Path(runs), "my-rllib")
    write_config(experiment, directory)
    run = Run(experiment, directory, LineDisplay(frames), "rules")
    env = {"task": task, "task_options": experiment.task_options}
    sample = CaptionedEnv(env)
    model = {"spec": sample.spec_of_task.to_json(), "policy": experiment.policy.model_dump(), "seed": 0}
    sample.close()
    with ray_session(experiment.ray, needed_cpus=4), keeping(run) as keeper:
        config = PPOConfig().environment(CaptionedEnv, env_config=env)
        config.env_runners(num_env_runners=1, num_envs_per_env_runner=4)
        config.training(train_batch_size_per_learner=512, minibatch_size=256, num_epochs=2, lr=7e-4)
        config.rl_module(rl_module_spec=RLModuleSpec(module_class=GuerdonModule, model_config=model))
        algorithm = attach(config, experiment.reward, keeper.desk).build_algo()
        while run.status.learnt_frames < frames:
            result = algorithm.train()
            print(result["env_runners"].get("num_env_steps_sampled_lifetime"), "steps", flush=True)
        algorithm.stop()
    run.report(force=True)
    run.close()
    directory.unlock()
    return run.accounts()


if __name__ == "__main__":
    chosen = sys.argv[1:]
    print(main(*[int(word) for word in chosen[:1]], *chosen[1:]))
