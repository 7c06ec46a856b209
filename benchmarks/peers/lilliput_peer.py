"""lilliput: an artifact."""

import sys

import numpy as np
from protocol import THREADS, serve

from lilliput.runtime.loading import load

model = load(sys.argv[1], threads=THREADS)
session = model.session
ORDER = np.zeros(1, np.int32)


def start(ids):
    return int(session.start([np.array(ids)]).argmax())


def step(token):
    return int(session.step(np.array([token]), ORDER).argmax())


serve(start, step, model.manifest.vocabulary)
