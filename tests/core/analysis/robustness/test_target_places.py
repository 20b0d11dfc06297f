"""Where the target stands over variants: places, margins and kinds by hand, and what the sentences say of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.analysis.robustness.perturbations import PerturbationKind
from core.analysis.robustness.place_words import margin_sentence, places_sentence, size_sentence
from core.analysis.robustness.robustness_task import (
    BesideRewriting,
    Estimate,
    ModeRow,
    RewritingRow,
    RobustnessReport,
    RobustnessTask,
    TargetPlaces,
    VariantRow,
)
from core.analysis.robustness.sweep import departures
from core.analysis.robustness.target_places import beside_rewritings, target_places
from core.metrics.ranking import ranks
from core.question.task import Provenance, Target

BASE = np.array([3.0, 2.0, 1.0])
SCORES = np.array([[3.0, 2.0, 1.0], [2.0, 3.0, 1.0], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
KINDS: tuple[PerturbationKind, ...] = ("typos", "typos", "inject", "inject")


def places_of(base: Any = BASE, scores: Any = SCORES, kinds: Any = KINDS, target: int = 0) -> TargetPlaces:
    places = target_places(
        base,
        departures(base, scores, target=target),
        kinds,
        place=ranks(base)[target],
        target=target,
        seed=0,
    )
    assert places is not None
    return places


def test_places_margins_and_kinds_by_hand() -> None:
    places = places_of()
    assert (places.candidates, places.place, places.best, places.worst, places.moved) == (3, 1, 1, 3, 3)
    assert places.size.mean == pytest.approx((0 + 1 + 2 + 2) / 4)
    assert (places.margin, places.lowest, places.highest) == pytest.approx((1.5, -1.5, 1.5))
    inject, typos = places.kinds
    assert (inject.kind, inject.count, inject.size.mean) == ("inject", 2, 2.0)
    assert (typos.kind, typos.count, typos.size.mean) == ("typos", 2, 0.5)
    assert inject.apart is not None
    assert inject.apart.mean == pytest.approx(1.5)
    assert inject.apart.low is not None
    assert inject.apart.low > 0


def test_one_kind_has_no_others_and_no_variant_no_places() -> None:
    assert places_of(kinds=("typos",) * 4).kinds[0].apart is None
    apart = departures(BASE, np.empty((0, 3)), target=0)
    assert target_places(BASE, apart, (), place=1, target=0, seed=0) is None


def rewriting(source: Any, change: float | None) -> RewritingRow:
    return RewritingRow(
        source=source,
        name="n",
        words="w",
        place=2,
        place_change=change,
        order_change=0.0,
        effect=None,
        effect_change=None,
        flips=False,
    )


def test_variants_beside_rewritings_are_a_difference_of_mean_sizes() -> None:
    rows = [rewriting("unchanged", 0.0), rewriting("wording", -4.0), rewriting("wording", 2.0)]
    (beside,) = beside_rewritings(departures(BASE, SCORES, target=0), rows, seed=0)
    assert beside.source == "wording"
    assert beside.apart.mean == pytest.approx((0 + 1 + 2 + 2) / 4 - 3)
    assert beside_rewritings(departures(BASE, SCORES, target=0), rows[:1], seed=0) == ()


def report(places: TargetPlaces | None, **more: Any) -> RobustnessReport:
    texts = ("dataset_id", "dataset_name", "model_id", "model_name", "device", "dtype", "created", "command")
    source = Provenance(**dict.fromkeys(texts, "x"), adapter=None, layers=1, heads=1, case_seed=0, versions={})
    mode = ModeRow(mode="plain", name="plain", variants=4, flips=None, tau=None, ndcg_before=None, ndcg=None)
    variants = [
        VariantRow(
            kind=kind,
            strength=0.5,
            repeat=0,
            words="",
            touched=(),
            ranks=(),
            top="1",
            flips=False,
            tau=None,
            overlap=None,
            ndcg=None,
            score=None,
        )
        for kind in KINDS
    ]
    return RobustnessReport(
        task=RobustnessTask(),
        provenance=source,
        tokens=9,
        target=Target(item_id="0", title="Heat"),
        variants=tuple(variants),
        modes=(mode.model_copy(update={"target": places}),),
        **more,
    )


def test_the_sentences_say_the_range_what_moves_it_most_and_what_is_weak() -> None:
    sure = places_of()
    text = places_sentence(report(sure), "Heat")
    assert text == (
        "Heat is between 1st and 3rd of 3 in 4 variants of the prompt, 1st with the unchanged one. "
        "It moves most with unrelated items injected: 2.0 places on average."
    )
    weak = places_of(kinds=("typos", "inject", "typos", "inject"))
    assert "but that is weak: the other kinds may move it as far." in places_sentence(report(weak), "Heat")
    still = places_of(scores=np.array([BASE, BASE]), kinds=("typos", "inject"))
    assert places_sentence(report(still), "Heat") == "Heat stays 1st of 3 in all 4 variants of the prompt."
    assert places_sentence(report(None), "Heat") == margin_sentence(report(None)) == size_sentence(report(None)) == ""
    assert margin_sentence(report(sure)) == (
        "Its margin over the field is +1.50 nats with the unchanged prompt, between −1.50 and +1.50 nats in the"
        " variants."
    )


def test_the_comparison_with_other_words_is_called_unsure_where_it_is() -> None:
    beside = (
        BesideRewriting(source="wording", apart=Estimate(mean=0.75, low=0.5, high=1.0)),
        BesideRewriting(source="demonstrations", apart=Estimate(mean=-0.5, low=-1.0, high=0.5)),
    )
    assert size_sentence(report(places_of(), beside=beside)).endswith(
        "0.8 places more than other words of the prompt do and not surely more or less than other demonstrations do."
    )


@given(
    scores=st.integers(2, 6).flatmap(
        lambda count: st.lists(
            st.lists(st.integers(-3, 3).map(float), min_size=count, max_size=count), min_size=2, max_size=6
        )
    )
)
def test_the_range_holds_the_place_of_every_variant(scores: list[list[float]]) -> None:
    table = np.array(scores)
    kinds: list[PerturbationKind] = ["typos", "inject", "demo_drop", "typos", "inject"][: len(scores) - 1]
    places = places_of(table[0], table[1:], kinds)
    each = [1 + sum(s > row[0] for s in row) + (sum(s == row[0] for s in row) - 1) / 2 for row in scores]
    assert (places.place, places.best, places.worst) == (each[0], min(each[1:]), max(each[1:]))
    assert places.moved == sum(place != each[0] for place in each[1:])
    margins = [row[0] - sum(row[1:]) / len(row[1:]) for row in scores]
    assert (places.margin, places.lowest, places.highest) == pytest.approx(
        (margins[0], min(margins[1:]), max(margins[1:]))
    )
    sizes = [abs(place - each[0]) for place in each[1:]]
    by_kind = {kind: np.mean([s for s, k in zip(sizes, kinds, strict=True) if k == kind]) for kind in kinds}
    assert places.kinds[0].size.mean == pytest.approx(max(by_kind.values()))
