"""Raw stepping with random actions: the ceiling. Processes side by side, each with its worlds in turn."""

import multiprocessing
import time

from small_net import Clock, arguments, make_world


def step(world, envs, seconds, start, counts):
    worlds = [make_world(world) for _ in range(envs)]
    for one in worlds:
        one.reset()
    actions = [worlds[0].action_space.sample() for _ in range(4093)]
    start.wait()
    began, frames = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for one in worlds:
            _, _, over, cut, _ = one.step(actions[frames % len(actions)])
            frames += 1
            if over or cut:
                one.reset()
    counts.put(frames / (time.perf_counter() - began))


if __name__ == "__main__":
    asked = arguments()
    start, counts = multiprocessing.Barrier(asked.workers), multiprocessing.Queue()
    each = max(1, asked.envs // asked.workers)
    found = [
        multiprocessing.Process(target=step, args=(asked.world, each, asked.seconds, start, counts))
        for _ in range(asked.workers)
    ]
    for process in found:
        process.start()
    clock = Clock(asked)
    clock.frames_per_s = sum(counts.get() for _ in found)
    for process in found:
        process.join()
    clock.tell(None, workers=asked.workers, envs=each)
