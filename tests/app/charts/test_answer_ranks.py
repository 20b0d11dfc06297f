"""The chart of ranked lists holds the evaluation's own numbers, and says in words which way is best."""

from __future__ import annotations

import math

import pytest
from evaluations import made, ranked

from app.charts import answer_ranks as ranking
from app.theme import DARK, LIGHT
from core.metrics.ranking import ndcg_by_chance
from core.prompt.families import FAMILIES
from core.tuning.evaluation.record import MetricEstimate
from core.tuning.evaluation.ways import RANKING, RECICL

BOTH = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)


@BOTH
def test_every_way_has_a_row_and_every_family_a_mark(colours):
    figure = ranking.figure(ranked(), colours)
    assert [trace.name for trace in figure.data] == [
        FAMILIES["yes_no"].words,
        FAMILIES["next_item"].words,
        ranking.REFERENCE,
    ]
    assert len({trace.marker.symbol for trace in figure.data}) == 3
    names = [way.name.replace("demonstration", "demo") for way in RANKING]
    assert list(figure.layout.yaxis.ticktext) == [*names, "popularity"]
    yes_no, next_item, reference = figure.data
    place = RANKING.index(RECICL)
    assert (yes_no.x[place], next_item.x[place], reference.x[0]) == (0.44, 0.54, 0.6)
    assert yes_no.y[place] < place < next_item.y[place]
    assert reference.y[0] == len(RANKING)
    assert (round(yes_no.error_x.array[place], 4), round(yes_no.error_x.arrayminus[place], 4)) == (0.03, 0.03)
    (line,) = figure.layout.shapes
    assert line.x0 == line.x1 == ndcg_by_chance(20)


def test_chance_is_the_mean_over_all_ranks():
    assert ndcg_by_chance(2) == (1 + 1 / math.log2(3)) / 2
    assert ndcg_by_chance(20) == sum(1 / math.log2(rank + 1) for rank in range(1, 11)) / 20


def test_what_was_not_measured_has_no_mark_and_no_whisker():
    found = ranked()
    first, second, *others = found.ranking
    bare, alone = MetricEstimate(value=None), MetricEstimate(value=0.3)
    rows = (first.model_copy(update={"ndcg": bare}), second.model_copy(update={"ndcg": alone}), *others)
    yes_no = ranking.figure(found.model_copy(update={"ranking": rows}), LIGHT).data[0]
    assert list(yes_no.x) == [0.3, 0.4, 0.44]
    assert (yes_no.error_x.array[0], yes_no.error_x.arrayminus[0]) == (0.0, 0.0)
    assert [round(place) for place in yes_no.y] == [1, 2, 3]


def test_the_words_name_the_best_of_both_kinds_and_chance():
    assert ranking.alt(ranked()) == (
        "Best NDCG@10 on 200 lists of 20: RecICL, 4 demonstrations, Likelihood of the next title (LRGD) has 0.54 "
        "(0.51 to 0.57); among classical references popularity has 0.60 (0.57 to 0.63); a random order 0.23."
    )
    assert ranking.alt(made()) == "No list is ranked yet."


def test_the_table_holds_every_row():
    table = ranking.table(ranked())
    assert len(table) == 2 * len(RANKING) + 1
    row = table[(table["way"] == RECICL.name) & (table["family"] == FAMILIES["next_item"].words)].iloc[0]
    assert (row["ndcg_at_10"], row["ndcg_at_10_low"], row["ndcg_at_10_high"]) == (0.54, 0.51, 0.57)
