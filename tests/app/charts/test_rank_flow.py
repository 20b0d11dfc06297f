"""Lines of candidates from list to list."""

from app.charts.rank_flow import FlowLine, rank_flow
from app.theme import LIGHT

TARGET = FlowLine("t", "Target", [3, 1], ["before", "after"], is_target=True, row=1)
CHOSEN = FlowLine("c", "Chosen", [2, 2.5], ["before", "after"], is_target=False, is_selected=True, row=2)
OTHER = FlowLine("o", "Other", [1, 2.5], ["before", "after"], is_target=False, row=3, before_title="▼ ")


def test_strong_lines_lie_above_the_others_and_every_point_names_its_candidate():
    figure = rank_flow([TARGET, CHOSEN, OTHER], LIGHT, height=200, deepest=3)
    assert [trace.name for trace in figure.data] == ["o", "c", "t"]
    assert [trace.line.color for trace in figure.data] == [LIGHT.neutral_mark, LIGHT.ink, LIGHT.ink]
    assert [trace.marker.symbol for trace in figure.data] == ["circle", "circle", "diamond"]
    assert list(figure.data[0].customdata) == ["o", "o"]
    assert list(figure.layout.yaxis.range) == [3.7, 0.3]


def test_titles_stand_in_rows_of_their_own_and_only_strong_ones_where_it_is_crowded():
    titles = {"x": 1.1}
    roomy = rank_flow([TARGET, CHOSEN, OTHER], LIGHT, height=200, deepest=3, titles=titles)
    assert [(title.x, title.y, title.text) for title in roomy.layout.annotations] == [
        (1.1, 1, "<b>Target</b>"),
        (1.1, 2, "<b>Chosen</b>"),
        (1.1, 3, "▼ Other"),
    ]
    crowded = rank_flow([TARGET, CHOSEN, OTHER], LIGHT, height=200, deepest=3, titles=titles, crowded=True)
    assert [title.y for title in crowded.layout.annotations] == [1, 2]
