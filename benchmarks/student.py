"""The evidence for a student's defaults: how it pools tokens, and the mix of losses it learns from.

Run: python benchmarks/student.py [--seeds 3] [--teacher-pairs 24000] [--output FILE]
     python benchmarks/student.py --teacher FOLDER --task T --train F --valid F

Each way of teaching is tried with several seeds on one small architecture; figures are on validation data, in floating
point. The default data are clone pairs made from Python's standard library, with a teacher fine-tuned on more pairs
(``--teacher-pairs``) than its students have, so that it knows more than their labels. Alternatively, give your own data
and an existing teacher.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.batching import BatchPlan, TokenIds
from lilliput.bpe import train_tokenizer
from lilliput.data.corpus import clone_corpus
from lilliput.data.dataset import Dataset, concatenate
from lilliput.data.tables import Columns
from lilliput.distill.lesson import Lesson, distill, measures, predict_logits
from lilliput.distill.losses import DistillationMix
from lilliput.distill.student import Student
from lilliput.encoder import PAD_ID, EncoderConfig
from lilliput.evaluate.resources import machine
from lilliput.files import write_json
from lilliput.progress import for_stream
from lilliput.runtime.tokens import CodeTokenizer
from lilliput.search import Architecture
from lilliput.tasks import task_named
from lilliput.teachers import open_teacher
from lilliput.teachers.finetune import FinetuneSettings, finetune
from lilliput.teachers.outputs import teacher_outputs
from lilliput.training import TrainingPlan
from lilliput.verbs.demo import DemoSettings

ARCHITECTURE = Architecture(layers=1, hidden=128, heads=2, intermediate=512, vocabulary=4000)


@dataclass(frozen=True)
class Way:
    """A way to teach a student."""

    pooling: str
    mix: DistillationMix


WAYS = {
    "labels": DistillationMix(soft=0.0, hard=1.0, hidden=0.0),
    "soft logits": DistillationMix(soft=1.0, hard=0.0, hidden=0.0),
    "soft logits, labels": DistillationMix(soft=1.0, hard=0.5, hidden=0.0),
    "soft logits, labels, vectors": DistillationMix(soft=1.0, hard=0.5, hidden=0.5),
}
"""Name -> mix; each is tried with both poolings of :data:`POOLINGS`."""

POOLINGS = ("mean", "wide")


def embedded(folder: Path, teacher_pairs: int, epochs: int, unlabelled: bool) -> tuple[str, Dataset, Dataset, Path]:
    """Create as many labelled pairs as the demo has, validation pairs, and a teacher trained on ``teacher_pairs``.

    The students' pairs are a random subset of the teacher's; with ``unlabelled`` they also get the others, unlabelled.
    """
    settings, task = DemoSettings(), task_named("clone")
    corpus = clone_corpus(settings.seed, teacher_pairs, 2000, settings.test, for_stream())
    how = FinetuneSettings(epochs=epochs, max_tokens=settings.max_tokens, pooling="wide")
    out = folder / "teacher"
    finetune(settings.teacher, task, corpus.train, corpus.valid, out, settings=how, progress=for_stream())
    order = np.random.default_rng(settings.seed).permutation(teacher_pairs)
    train = corpus.train.subset(np.sort(order[: settings.train]))
    if unlabelled:
        others = corpus.train.subset(np.sort(order[settings.train :]))
        train = concatenate(train, dataclasses.replace(others, labels=np.full(len(others), -1)))
    return "clone", train, corpus.valid, out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--max-tokens", type=int, default=192)
    parser.add_argument("--teacher-pairs", type=int, default=DemoSettings().train)
    parser.add_argument("--teacher-epochs", type=int, default=DemoSettings().teacher_epochs)
    parser.add_argument("--pooling", choices=POOLINGS, action="append", help="only this one")
    parser.add_argument(
        "--unlabelled", action="store_true", help="students also get the teacher's other pairs, without labels"
    )
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--task", default="clone")
    parser.add_argument("--train", type=Path)
    parser.add_argument("--valid", type=Path)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "student.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.teacher is None:
            task, train, valid, path = embedded(
                Path(folder), options.teacher_pairs, options.teacher_epochs, options.unlabelled
            )
        else:
            task, path = options.task, options.teacher
            train = task_named(task).read([options.train], Columns(), None, True)
            valid = task_named(task).read([options.valid], Columns(), train.label_names, True)
        teacher = open_teacher(path, task=task)
        outputs = teacher_outputs(teacher, train, Path(folder), for_stream())
        taught = measures(teacher_outputs(teacher, valid, Path(folder), for_stream()).logits, valid.labels)
    tokenizer = CodeTokenizer(train_tokenizer(train.texts, ARCHITECTURE.vocabulary), options.max_tokens)
    on_train, on_valid = (TokenIds(tokenizer.encode(d.texts), PAD_ID, options.max_tokens) for d in (train, valid))
    lesson = Lesson(train, on_train, outputs.logits, outputs.vectors)

    def accuracies(way: Way, seed: int) -> list[float]:
        config = EncoderConfig(ARCHITECTURE, len(train.label_names), train.arity, pooling=way.pooling)
        student = Student(config, 0.0, seed)
        plan = TrainingPlan(options.epochs, options.learning_rate, seed=seed, keep_best="valid_accuracy")
        batches = BatchPlan(examples=32, seed=seed)

        def validate() -> dict[str, float]:
            return measures(predict_logits(student, valid, on_valid), valid.labels)

        history = distill(student, lesson, way.mix, plan, batches, validate=validate, progress=for_stream())
        return [line["valid_accuracy"] for line in history]

    print(f"teacher: {taught['valid_accuracy']:.2%} of {len(valid):,} validation examples\n")
    print(f"{'pooling':8} {'learns from':30} {'accuracy':>9} {'+- sd':>7}  n = {options.seeds} seeds")
    rows: list[dict[str, Any]] = []
    for pooling in options.pooling or POOLINGS:
        for name, mix in WAYS.items():
            if options.unlabelled and mix.soft == 0:  # most pairs have nothing to teach
                continue
            found = [max(accuracies(Way(pooling, mix), seed)) for seed in range(options.seeds)]
            spread = statistics.stdev(found) if len(found) > 1 else float("nan")
            rows.append({"pooling": pooling, "learns from": name, "accuracies": found, "mean": float(np.mean(found))})
            print(f"{pooling:8} {name:30} {np.mean(found):9.2%} {spread:7.2%}", flush=True)
    write_json(
        options.output,
        {
            "command": shlex.join(["python", "benchmarks/student.py", *sys.argv[1:]]),
            "machine": machine(),
            "architecture": ARCHITECTURE.as_dict(),
            "data": {
                "task": task,
                "train": len(train),
                "labelled": int((train.labels >= 0).sum()),
                "valid": len(valid),
                "sources": list(train.sources),
            },
            "teacher": {"accuracy": taught["valid_accuracy"], "name": teacher.name},
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
