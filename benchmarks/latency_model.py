"""Check the latency model against measurements of 12 architectures that it was not calibrated on.

Run: python benchmarks/latency_model.py

Calibrates a new model for this machine (the search would use a saved one), measures each of the 12 (400 tokens, one
thread, int8), and prints measured and predicted milliseconds.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from pathlib import Path

from lilliput.evaluate.resources import machine
from lilliput.files import write_json
from lilliput.progress import for_stream
from lilliput.search import VALIDATION_DESIGN, measure_all
from lilliput.search.latency import error
from lilliput.verbs import latency


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "latency_model.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = latency.latency_model("int8", 1, for_stream(), Path(folder))
    found = error(model, measure_all(latency.measurer("int8", 1), VALIDATION_DESIGN, for_stream()))
    rows = []
    for row in found.rows:
        measured = row.measurement
        print(f"{measured.architecture!s:72} {measured.milliseconds:6.2f} ms {row.predicted:6.2f} {row.percent:5.1f} %")
        architecture = measured.architecture.as_dict()
        rows.append({"architecture": architecture, "ms": measured.milliseconds, "predicted": row.predicted})
    print(f"absolute error: median {found.median_percent:.1f} %, worst {found.worst_percent:.1f} %, n = {len(rows)}")
    write_json(
        options.output,
        {
            "command": shlex.join(["python", "benchmarks/latency_model.py", *sys.argv[1:]]),
            "machine": machine(),
            "median_percent": found.median_percent,
            "worst_percent": found.worst_percent,
            "prices": dict(model.prices),
            "rows": rows,
        },
    )
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
