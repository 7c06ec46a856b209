"""Successive halving finds the best candidate and spends the announced budget."""

from hypothesis import given
from hypothesis import strategies as st

from lilliput.distill.halving import Trial, successive_halving


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9, unique=True))
def test_best_candidate_of_faithful_trials_wins(losses):
    calls = []

    def train(place, rung, examples):
        calls.append((rung, examples))
        return Trial(place, rung, examples, losses[place], 1 - losses[place])

    outcome = successive_halving(list(range(len(losses))), 100, train)
    assert losses[outcome.winner] == min(losses)
    assert len(outcome.trials) == len(calls)
    assert all(examples == 100 * 2**rung for rung, examples in calls)


def test_single_candidate_needs_no_trial():
    assert successive_halving(["only"], 10, lambda *_: 1 / 0).trials == ()
