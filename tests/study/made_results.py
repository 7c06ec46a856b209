"""Synthetic results of jobs: only their figures matter."""

from lilliput.study.jobs import JobResult
from lilliput.study.point import point


def estimate(value, spread=0.1, n=8):
    return {"value": value, "low": value - spread, "high": value + spread, "n": n}


def result(name, size, pieces=None, solved=None, speed=None, concurrent=1, **chosen):
    """The result of the point with these choices; ``name`` is its key."""
    passed = None
    if solved is not None:
        outcomes = {f"T/{row}": bool(flag) for row, flag in enumerate(solved)}
        passed = {**estimate(sum(solved) / len(solved)), "outcomes": outcomes, "lost": 0}
    timed = None
    if speed is not None:
        timed = {"decode_tokens_per_s": estimate(speed), "prefill_tokens_per_s": estimate(speed), "threads": 1}
        timed |= {"concurrent": concurrent, "method": "made up"}
    perplexity = None
    if pieces is not None:
        perplexity = {**estimate(2.718281828459045 ** (sum(pieces) / len(pieces))), "nll": sum(pieces) / len(pieces)}
        perplexity["pieces"] = list(pieces)
    return JobResult(
        key=name,
        point=point(**chosen),
        bytes={"total": size, "weights": size - 10},
        parameters=100,
        bits_per_weight=8.0,
        quantize_s=1.0,
        seconds=2.0,
        speed=timed,
        perplexity=perplexity,
        passed=passed,
    )
