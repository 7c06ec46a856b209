"""``lilliput shrink``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lilliput import progress
from lilliput.cli import options
from lilliput.cli.output import command_line, print_facts, print_json
from lilliput.data.tables import Columns
from lilliput.units import parse_bytes, parse_milliseconds


def shrink(
    teacher: Annotated[str, typer.Argument(help="Fine-tuned model: a folder, a released model.bin, or a hub id.")],
    task: options.Task,
    train: options.Train,
    valid: options.Valid,
    out: options.Out,
    size: Annotated[str, typer.Option("--size", help="Size budget for the whole artifact.")] = "3MB",
    latency: Annotated[
        str, typer.Option("--latency", help="Latency limit for one input on one thread, or 'none'.")
    ] = "3ms",
    unlabelled: Annotated[
        list[Path] | None,
        typer.Option("--unlabelled", help="File of more examples, for the teacher to label. Repeatable."),
    ] = None,
    precision: Annotated[str, typer.Option("--precision", help="Weight format: int8, int4 or fp32.")] = "int8",
    objective: Annotated[
        str, typer.Option("--objective", help="How to rank architectures: parameters, fitness or gflops.")
    ] = "parameters",
    candidates: Annotated[
        int, typer.Option("--candidates", min=1, help="Architectures to try in short trainings.")
    ] = 5,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Epochs of the final training.")] = 10,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="Peak learning rate.")] = 5e-4,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature", help="Softens the teacher's probabilities; setting it turns their use on. Default: 2."
        ),
    ] = None,
    soft: Annotated[
        float | None,
        typer.Option(
            "--soft",
            help="Loss weight of the teacher's probabilities. Default: 1 if labels are missing, or with --temperature, "
            "--hidden or --hard 0; otherwise 0.",
        ),
    ] = None,
    hard: Annotated[
        float | None,
        typer.Option(
            "--hard", help="Loss weight of the labels. Default: 0.5 with the teacher's probabilities, otherwise 1."
        ),
    ] = None,
    hidden: Annotated[
        float | None,
        typer.Option(
            "--hidden", help="Loss weight of the teacher's vectors. Default: 0.5 with its probabilities, otherwise 0."
        ),
    ] = None,
    grams: Annotated[
        str | None,
        typer.Option("--grams", help="Add a table of n-grams to the layers: order=2,bits=16,width=16,scale=mean."),
    ] = None,
    grams_dropout: Annotated[
        float | None,
        typer.Option("--grams-dropout", help="Share of n-grams dropped in training. Default: --dropout."),
    ] = None,
    linear: Annotated[
        str | None,
        typer.Option(
            "--linear",
            help="Add a linear model of n-grams to the network, or use it alone with --attended 0: order=2,bits=18.",
        ),
    ] = None,
    dropout: Annotated[float, typer.Option("--dropout", help="Dropout probability in training.")] = 0.1,
    data_flow: Annotated[
        int,
        typer.Option(
            "--data-flow",
            min=0,
            max=256,
            help="Maximum number of data-flow nodes read besides the tokens; they add latency.",
        ),
    ] = 0,
    quantization: Annotated[
        str,
        typer.Option(
            "--quantization", help="Quantization method: auto, calibration or aware (quantization-aware fine-tuning)."
        ),
    ] = "auto",
    aware_epochs: Annotated[
        int, typer.Option("--aware-epochs", min=1, help="Epochs of quantization-aware fine-tuning, if any.")
    ] = 1,
    robust: Annotated[
        bool,
        typer.Option(
            "--robust", help="Train on every function twice: as it is, and rewritten with the same semantics."
        ),
    ] = False,
    language: Annotated[
        str | None,
        typer.Option(
            "--language",
            help="Language of the functions, for --robust and --data-flow: c, java or python. Default: detected.",
        ),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=16, max=8192, help="Maximum input length in tokens.")
    ] = 400,
    attended: Annotated[
        int,
        typer.Option(
            "--attended", min=0, max=512, help="Tokens that the layers see, 16 or more; 0: no layers, only n-grams."
        ),
    ] = 512,
    pooling: Annotated[
        str | None,
        typer.Option(
            "--pooling", help="Pooling of token vectors: first, mean or wide. Default: mean; for pairs, wide."
        ),
    ] = None,
    vector: Annotated[
        int,
        typer.Option(
            "--vector",
            min=0,
            max=1024,
            help="Store a function's vector as this many 8-bit numbers; 0: the pooled float vector.",
        ),
    ] = 0,
    tokenizer: options.Tokenizer = None,
    code_column: options.CodeColumn = None,
    second_column: options.SecondColumn = None,
    label_column: options.LabelColumn = None,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Shrink TEACHER, a classifier of code, to about 3 MB.

    Trains a small tokenizer, searches for architectures within the budget, picks one by short trainings, trains it on
    the labels (and on TEACHER's outputs if some labels are missing), quantizes it, and writes the artifact. If
    interrupted, run the same command again to resume.
    """
    from lilliput.extras import require

    require("torch")
    from lilliput.distill.linear import Linear
    from lilliput.grams import Grams
    from lilliput.verbs.shrink import ShrinkSettings
    from lilliput.verbs.shrink import shrink as run

    weights = {"temperature": temperature, "soft": soft, "hard": hard, "hidden": hidden}
    result = run(
        teacher,
        task,
        train,
        valid,
        out,
        size=parse_bytes(size),
        latency_ms=None if latency == "none" else parse_milliseconds(latency),
        unlabelled=unlabelled or (),
        columns=Columns(code_column, second_column, label_column),
        tokenizer=tokenizer,
        settings=ShrinkSettings(
            precision=precision,
            objective=objective,
            candidates=candidates,
            epochs=epochs,
            learning_rate=learning_rate,
            quantization=quantization,
            aware_epochs=aware_epochs,
            max_tokens=max_tokens,
            attended=attended,
            pooling=pooling,
            vector=vector,
            robust=float(robust),
            grams=None if grams is None else Grams.parsed(grams),
            grams_dropout=grams_dropout,
            linear=None if linear is None else Linear.parsed(linear),
            dropout=dropout,
            data_flow=data_flow,
            language=language,
            mix={name: value for name, value in weights.items() if value is not None} or None,
            seed=seed,
        ),
        command=command_line(),
        progress=progress.for_stream(),
    )
    if json:
        print_json(result.as_dict())
        return
    print_facts(
        {
            "artifact": f"{result.path} ({result.bytes.total:,} bytes)",
            "architecture": f"{result.architecture}, {result.precision}",
            "accuracy (validation)": f"{result.valid_accuracy:.2%}; {result.float_accuracy:.2%} before quantization",
            "teacher (validation)": f"{result.teacher_accuracy:.2%}",
            "quantization": result.quantization,
        }
    )
