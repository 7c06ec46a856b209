"""Small studies of a tiny real model, with an executor without processes."""

import math
from dataclasses import replace

from lilliput import api
from lilliput.study.executors import Failed, problem_of
from lilliput.study.grid import grid_of
from lilliput.study.jobs import Measures
from tests.verbs.tiny_checkpoints import LLAMA

KIND, OPTIONS = LLAMA
LEAN = Measures(perplexity_pieces=3, piece_tokens=48, speed_rounds=0, threads=1)
TIMED = replace(LEAN, speed_rounds=6)
GRID = {"weights": ["fp32", "int4"], "activations": ["none"]}
TIMES = ("seconds", "quantize_s", "speed", "machine", "key")


class InThisProcess:
    """An executor without processes, as a user might write one."""

    concurrent = 1

    def __init__(self, jobs=math.inf):
        self.left, self.labels_run = jobs, []

    def map(self, function, jobs):
        for place, job in enumerate(jobs):
            if self.left <= 0:
                raise KeyboardInterrupt
            self.left -= 1
            self.labels_run.append(job.point.label)
            try:
                yield place, function(job)
            except Exception as error:
                yield place, Failed(problem_of(error))

    def close(self):
        raise AssertionError("the study was given it, and does not close it")


def study(model, out, axes=GRID, **how):
    how = {"measures": LEAN, "executor": InThisProcess(), **how}
    return api.study(model, out, grid=grid_of(axes, "mine", "a test"), **how)
