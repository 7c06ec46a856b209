"""``demo``: the whole pipeline on a corpus made from Python's standard library; no network, no other data."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.data.corpus import clone_corpus, write_clone_corpus
from lilliput.errors import UserError
from lilliput.evaluate import carbon
from lilliput.files import write_json
from lilliput.grams import Grams
from lilliput.progress import Progress
from lilliput.report import Evidence
from lilliput.report.page import write as write_page
from lilliput.tasks import task_named
from lilliput.teachers import open_teacher
from lilliput.teachers.finetune import FinetuneSettings
from lilliput.teachers.finetune import finetune as train_teacher
from lilliput.verbs.evaluate import Evaluation, measure
from lilliput.verbs.report import evidence_of
from lilliput.verbs.shrink import shrink_model
from lilliput.verbs.shrink.settings import ShrinkSettings
from lilliput.verbs.subjects import open_subject

TEACHER = "scratch:layers=2,hidden=256,heads=4,intermediate=1024,vocabulary=16000"
"""Small enough to train on the spot, large enough to have something to teach."""

GRAMS = Grams(order=1, bits=13, width=128, scale="root")
"""The student's table of n-grams; see docs/research/clone.md."""

MARK = "lilliput-demo.json"
"""Marks a folder that the demo may write into."""


@dataclass(frozen=True)
class DemoSettings:
    """Sizes of the demo; the defaults take four minutes on two cores, and took eleven without bfloat16.

    Attributes:
        train, valid, test: pairs of functions.
        teacher: the encoder to fine-tune.
        teacher_epochs: the teacher's passes over the training pairs.
        student_epochs: the student's passes.
        candidates: number of architectures to try.
        grams: the student's table of n-grams.
        vocabulary: maximum vocabulary size of the student's tokenizer.
        size: byte budget of the artifact.
        latency_ms: latency limit on one thread at ``attended`` tokens.
        max_tokens: maximum input length.
        attended: tokens that the student's layers see.
        seed: random seed.
    """

    train: int = 6000
    valid: int = 600
    test: int = 1200
    teacher: str = TEACHER
    teacher_epochs: int = 2
    student_epochs: int = 8
    candidates: int = 2
    grams: Grams = GRAMS
    vocabulary: int = 2000
    size: int = 3_000_000
    latency_ms: float | None = 1.0
    max_tokens: int = 192
    attended: int = 16
    seed: int = 0


@dataclass(frozen=True)
class DemoResult:
    """What the demo made.

    Attributes:
        out: the folder that holds everything.
        teacher: the teacher's evaluation on held-out functions.
        student: the artifact's evaluation on the same functions.
        seconds: total duration.
    """

    out: Path
    teacher: Evaluation
    student: Evaluation
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        evaluations = {"teacher": self.teacher.as_dict(), "student": self.student.as_dict()}
        return {"out": str(self.out), "seconds": round(self.seconds, 1), **evaluations}


def demo(
    out: str | Path, settings: DemoSettings | None = None, command: str = "", progress: Progress | None = None
) -> DemoResult:
    """Build a clone-detection corpus, fine-tune a teacher, shrink it, and measure both on held-out functions.

    Args:
        out: folder for the data, the teacher, the artifact ``student`` and ``report.html``.
        settings: sizes.
        command: recorded in the results.
        progress: shown while working. If interrupted at any point, the same call resumes.

    Raises:
        UserError: ``out`` exists and was not made by the demo, or cannot be written.
    """
    settings, progress, start = settings or DemoSettings(), progress or Progress(), time.monotonic()
    out = Path(out)
    if out.exists() and not (out / MARK).exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError("already exists and was not made by the demo.", where=out, remedy="Choose another --out.")
    write_json(out / MARK, {"made by": "lilliput demo"})
    task = task_named("clone")
    progress.note("1/5 pairs of functions from Python's standard library")
    corpus = clone_corpus(settings.seed, settings.train, settings.valid, settings.test, progress)
    write_clone_corpus(corpus, out / "data")
    progress.note(f"2/5 fine-tuning a teacher on {len(corpus.train):,} pairs")
    train_teacher(
        settings.teacher,
        task,
        corpus.train,
        corpus.valid,
        out / "teacher",
        settings=FinetuneSettings(
            epochs=settings.teacher_epochs,
            learning_rate=1e-3,
            batch=32,
            max_tokens=settings.max_tokens,
            pooling="wide",
            join="difference",
            seed=settings.seed,
        ),
        progress=progress,
    )
    progress.note("3/5 shrinking it")
    shrink_model(
        open_teacher(out / "teacher", task="clone"),
        task,
        corpus.train,
        corpus.valid,
        out / "student",
        size=settings.size,
        latency_ms=settings.latency_ms,
        settings=ShrinkSettings(
            candidates=settings.candidates,
            epochs=settings.student_epochs,
            learning_rate=2e-3,
            dropout=0.0,
            grams=settings.grams,
            largest_vocabulary=settings.vocabulary,
            max_tokens=settings.max_tokens,
            attended=settings.attended,
            seed=settings.seed,
        ),
        command=command,
        progress=progress,
    )
    progress.note(f"4/5 measuring both on {len(corpus.test):,} held-out pairs")
    evaluations = []
    for name in ("teacher", "student"):
        subject = open_subject(out / name, "clone", threads=1)
        found = measure(
            subject, task, corpus.test, corpus.train, settings.max_tokens, carbon.DEFAULT, command, progress
        )
        write_json(out / f"{name}.evaluation.json", found.as_dict())
        evaluations.append(found)
    progress.note("5/5 writing the report")
    teacher, student = evaluations
    write_page(_evidence(out, evaluations), out / "report.html", "Clone detection, from teacher to student", command)
    return DemoResult(out, teacher, student, time.monotonic() - start)


def _evidence(out: Path, evaluations: Sequence[Evaluation]) -> list[Evidence]:
    teacher, student = (evaluation.as_dict() for evaluation in evaluations)
    return [evidence_of(out / "student", student), Evidence("teacher", teacher)]
