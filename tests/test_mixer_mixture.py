"""The mixture as a plan: phases, weights, caps, and errors whose fixes work."""

import re

import pytest

from catalog.errors import InputError, RecipeError
from catalog.written import size
from mixer.mixture import Supply, check_supply, phases, plan, rows

NAMES = ["books", "web"]
HALVES = {"books": 0.5, "web": 0.5}


def test_phases_switch_at_a_whole_sample_and_spend_the_budget() -> None:
    found = phases([{"until": 0.8, "weights": {"web": 0.7, "books": 0.3}}, {"weights": {"web": 1.0}}], NAMES, 400_000, 256, "")
    assert [(one.samples, one.weights) for one in found] == [(1250, (0.3, 0.7)), (312, (0.0, 1.0))]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([{"weights": {"web": 0.5, "boks": 0.5}}], "mix.base: no source 'boks' in what is mixed; did you mean 'books'?"),
        ([{"weights": {"web": 0.5, "books": 0.4}}], "mix.base: weights sum to 0.9, not 1; in the same ratio: {web: 0.5556, books: 0.4444}"),
        ([{"weights": {"web": 0.0}}], "mix.base: weights sum to 0, not 1; in the same ratio: {at least one above 0}"),
        ([{"weights": {"web": -1.0, "books": 2.0}}], "mix.base: weight of web is -1.0; weights are 0 or more"),
        (
            [{"until": 0.8, "weights": HALVES}, {"until": 0.5, "weights": HALVES}, {"weights": HALVES}],
            "mix.base: phase 2 is empty: until: must rise from phase to phase and leave each a row of 256 tokens",
        ),
        ([{"until": 0.9, "weights": HALVES}], "mix.base: the last phase ends at 0.9 of the budget; leave its until: out, or add a phase for the rest"),
        ([{"until": 0.5, "weights": HALVES}, {"weights": {"web": 0.3}}], "mix.base: phase 2: weights sum to 0.3, not 1; in the same ratio: {web: 1}"),
    ],
)
def test_a_wrong_phase_is_refused_in_one_line(given: list[dict[str, object]], message: str) -> None:
    with pytest.raises(RecipeError) as error:
        phases(given, NAMES, 100_000, 256, "mix.base: ")
    assert str(error.value) == message


def test_a_budget_under_one_row_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"^mix.base: a budget of 200 tokens is less than one row of context \(256\)$"):
        phases([{"weights": {"web": 1.0}}], NAMES, 200, 256, "mix.base: ")


def test_the_plan_counts_what_the_order_will_give() -> None:
    supplies = [Supply("books", 4, 25_601, 100), Supply("web", 9, 51_201, 200)]
    found = plan(supplies, phases([{"until": 0.5, "weights": {"web": 1.0}}, {"weights": HALVES}], NAMES, 256 * 200, 256, ""), 256)
    assert [(p.phase, p.source, p.samples, p.tokens, p.epochs) for p in found] == [
        (0, "web", 100, 25_600, 0.5), (1, "books", 50, 12_800, 0.5), (1, "web", 50, 12_800, 0.75),
    ]  # fmt: skip


def test_a_row_reads_one_token_ahead() -> None:
    assert [rows(n, 256) for n in (0, 1, 256, 257, 512, 513)] == [0, 0, 0, 1, 1, 2]


def test_a_short_source_is_named_with_fixes_that_work() -> None:
    supplies = [Supply("books", 3, 25_601, 100), Supply("web", 9, 512_001, 2000)]
    weights = {"books": 0.3, "web": 0.7}
    resolved = phases([{"weights": weights}], NAMES, 256 * 1000, 256, "")
    with pytest.raises(InputError) as error:
        check_supply(supplies, resolved, 256, 2, "mix.base: ")
    line = str(error.value)
    assert line == (
        "mix.base: books is short: 25,601 tokens for 76,800 wanted are 3.00 epochs, max_epochs is 2: set max_epochs: 3, "
        "or give it at most 20.0% of the tokens; set budget: 170k, or bring more text"
    )
    check_supply(supplies, resolved, 256, 3, "")
    check_supply(supplies, phases([{"weights": {"books": 0.2, "web": 0.8}}], NAMES, 256 * 1000, 256, ""), 256, 2, "")
    budget = size(re.findall(r"set budget: (\S+),", line)[0])
    check_supply(supplies, phases([{"weights": weights}], NAMES, budget, 256, ""), 256, 2, "")


def test_every_short_source_is_named_at_once_and_caps_can_differ() -> None:
    supplies = [Supply("books", 3, 2561, 10), Supply("web", 9, 5121, 20)]
    resolved = phases([{"weights": HALVES}], NAMES, 256 * 100, 256, "")
    with pytest.raises(InputError, match="books is short.*web is short"):
        check_supply(supplies, resolved, 256, 1, "")
    with pytest.raises(InputError, match="web is short") as error:
        check_supply(supplies, resolved, 256, {"web": 2}, "")
    assert "books" not in str(error.value)


def test_a_source_with_nothing_left_says_why() -> None:
    resolved = phases([{"weights": HALVES}], NAMES, 25_600, 256, "")
    with pytest.raises(InputError) as error:
        check_supply([Supply("books", 0, 0, 0), Supply("web", 9, 10**6, 4000)], resolved, 256, 2, "")
    assert str(error.value) == "books cannot be mixed: no text is left of it (look at the policy and hold_out:), give it weight 0; or bring more text"
    with pytest.raises(InputError, match="it has 100 tokens, less than a row of 256"):
        check_supply([Supply("books", 1, 100, 0), Supply("web", 9, 10**6, 4000)], resolved, 256, 2, "")
    with pytest.raises(RecipeError, match="^max_epochs is 0; write a number above 0$"):
        check_supply([Supply("books", 9, 10**6, 4000), Supply("web", 9, 10**6, 4000)], resolved, 256, 0, "")
