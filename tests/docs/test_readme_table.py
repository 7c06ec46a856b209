"""README's table of results is what its script makes from the committed measurements."""

import json

from benchmarks import beat_the_seeds


def test_table_matches_the_committed_results():
    measured = json.loads(beat_the_seeds.RESULTS.read_text())["measured"]
    page = beat_the_seeds.README.read_text()
    assert page == beat_the_seeds.with_table(page, measured), "run: python benchmarks/beat_the_seeds.py --page"


def test_measured_models_are_the_shipped_ones():
    """The figures are of the very files in the package."""
    from lilliput.artifact import open_artifact

    measured = json.loads(beat_the_seeds.RESULTS.read_text())["measured"]
    for name, subjects in measured.items():
        assert subjects[beat_the_seeds.OURS]["bytes"]["total"] == open_artifact(name).bytes().total
