"""``lilliput evaluate`` for summaries and for completion on a repository: options and output."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lilliput import progress
from lilliput.cli.output import print_facts, print_json, print_table, with_interval
from lilliput.errors import UserError, refuse_unused

Repo = Annotated[Path | None, typer.Option("--repo", help="Folder with source files, for task repository.")]
SummaryColumn = Annotated[str | None, typer.Option("--summary-column", help="Column that holds the summary.")]
Language = Annotated[
    str | None,
    typer.Option(
        "--language", help="Language of the functions to summarize, or of the repository files to measure on."
    ),
]
Beams = Annotated[int, typer.Option("--beams", min=1, help="Beam width for summaries.")]
NEW_TOKENS = 64


def summaries(given: dict[str, Any], command: str) -> None:
    """Measure summarization with the given options and print the result."""
    from lilliput.verbs.evaluate import SummarizationSettings, evaluate_summarization

    named = (given["code_column"], given["summary_column"])
    if (None in named) and any(named):
        raise UserError(
            "the code and summary columns must be named together.",
            where="--summary-column",
            remedy="Name both, or neither.",
        )
    undrawn = bool(given["seed"]) and given["limit"] is None
    refuse_unused({"--seed": (undrawn, "goes with --limit: without it all functions are used and nothing is sampled")})
    settings = SummarizationSettings(
        language=given["language"], examples=given["limit"], beams=given["beams"], **_common(given)
    )
    found = evaluate_summarization(
        given["model"],
        given["data"],
        columns=named if all(named) else None,
        settings=settings,
        threads=given["threads"],
        out=given["out"],
        command=command,
        progress=progress.for_stream(),
    )
    (print_json if given["json"] else show_summaries)(found.as_dict())


def repository(given: dict[str, Any], command: str) -> None:
    """Measure completion on a repository with the given options and print the result."""
    from lilliput.verbs.evaluate import RepositorySettings, evaluate_repository

    languages = None if given["language"] is None else (given["language"],)
    limits = {} if given["limit"] is None else {"places": given["limit"], "pieces": given["limit"]}
    found = evaluate_repository(
        given["model"],
        given["repo"],
        settings=RepositorySettings(languages=languages, **limits, **_common(given)),
        threads=given["threads"],
        out=given["out"],
        command=command,
        progress=progress.for_stream(),
    )
    (print_json if given["json"] else show_repository)(found.as_dict())


def _common(given: Mapping[str, Any]) -> dict[str, Any]:
    new_tokens = NEW_TOKENS if given["max_new_tokens"] is None else given["max_new_tokens"]
    return {"seed": given["seed"], "batch": given["batch"], "max_new_tokens": new_tokens}


def _cell(estimate: Mapping[str, Any], percent: bool = True) -> str:
    return with_interval(estimate["value"], (estimate["low"], estimate["high"]), percent)


def _perplexity(found: Mapping[str, Any]) -> str:
    if found["perplexity"] is not None:
        return _cell(found["perplexity"], percent=False)
    value = found["perplexity_value"]
    return "overflow" if value is None else f"{value:.3f}, without an interval"


def show_summaries(result: Mapping[str, Any]) -> None:
    """Print the scores of the summaries beside those of the baselines."""
    rows = []
    for name, scores in [(result["name"], result), *result["baselines"].items()]:
        cells = [scores[measure] for measure in ("bleu4", "rouge_l", "chrf")]
        rows.append([name, *(f"{cell['value']:.1f} [{cell['low']:.1f}, {cell['high']:.1f}]" for cell in cells)])
    print_table([f"n = {result['n']:,}", "BLEU-4", "ROUGE-L", "chrF"], rows)
    print_facts({"truncated": f"{result['truncated']:,} functions"})


def show_repository(result: Mapping[str, Any]) -> None:
    """Print the figures on a repository beside those of the baselines."""
    found, lines = result["next_token"], result["lines"]
    facts = {"model": str(result["name"])}
    if found is not None:
        facts["perplexity"] = _perplexity(found)
        rows = {
            "next token": (found["every"], found["copied"]),
            "next token of code": (found["code"], found["copied_code"]),
        }
        for title, (model, copied) in rows.items():
            if model is not None:
                facts[title] = f"{_cell(model['top1'])}, top 5 {_cell(model['top5'])}; copied {_cell(copied['top1'])}"
    for name, scores in {"completed": lines["model"], **lines["baselines"]}.items():
        facts[f"lines, {name}"] = f"exact {_cell(scores['exact'])}, similarity {_cell(scores['similarity'])}"
    facts["measured on"] = f"{lines['places']:,} lines of {lines['files']:,} files"
    print_facts(facts)
