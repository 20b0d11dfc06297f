import pytest

from app.charts import search_path as improve
from app.theme import DARK, LIGHT
from core.selection.improve_task import (
    ConfirmRow,
    HeldOutRow,
    ImproveReport,
    ImproveTask,
    Outcome,
    PathRow,
    PlacesRow,
    SetRow,
    ShortlistRow,
)


def _set(ids=(), objective=0.0):
    return {"demo_ids": ids, "objective": objective, "mean": objective + 0.1, "spread": 0.4}


def _short(demo, title="Heat", answer="Yes", **more):
    return ShortlistRow(
        **{
            "demo_id": demo,
            "user_id": "u",
            "item_id": "1",
            "title": title,
            "answer": answer,
            "history": (),
            "back": None,
            "source": "similar",
            "neighbours": 0.5,
            "recency": 5.0,
            "bm25": 1.5,
            "embedding": None,
            "effect": None,
            "relevance": 0.5,
            **more,
        }
    )


TARGETS = {"zero_shot": (9, -1.0, 0.3), "current": (4, -0.5, 0.43), "best": (1, 1.0, 1.0)}
"""Place, score and NDCG@10 of the target in each list."""
STEP = 0.25
"""Nats from one place to the next."""


def lists_of(titles):
    """Rows of 20 candidates in three lists; the target, item 7, has the places of `TARGETS`."""
    others = [str(item) for item in range(1, 21) if item != 7]
    rows = {
        item: {"item_id": item, "title": titles[int(item) - 1], "is_target": item == "7"} for item in ["7", *others]
    }
    for shift, (which, (place, own, _)) in enumerate(TARGETS.items()):
        order = others[3 * shift :] + others[: 3 * shift]
        order.insert(place - 1, "7")
        for rank, item in enumerate(order, start=1):
            rows[item] |= {f"{which}_rank": rank, f"{which}_score": own + STEP * (place - rank)}
    return tuple(PlacesRow(**row) for row in sorted(rows.values(), key=lambda row: row["best_rank"]))


def margin_of(rows, which):
    """The target's score less the mean score of the other candidates, by hand."""
    scores = {row.item_id: getattr(row, f"{which}_score") for row in rows}
    own = scores.pop("7")
    return own - sum(scores.values()) / len(scores)


def _confirm(against, gap, p):
    return ConfirmRow(against=against, mean=1.0, rival_mean=1.0 - gap, gap=gap, p=p, permutations=256, choices=8)


def made(example):
    path = [
        ("zero-shot", (), -1.0, -1.0, 2.0),
        ("start", ("u:1", "u:2"), -1.5, -1.0, 9.0),
        ("grow", ("u:2",), 0.5, 0.5, 14.0),
    ]
    rows = [
        PathRow(**_set(ids, j), step=n, move=move, tried=4, passes=passes, best=best, improved=n != 1)
        for n, (move, ids, j, best, passes) in enumerate(path)
    ]
    lists = lists_of(example.TITLES)
    return ImproveReport(
        task=ImproveTask(),
        stage="complete",
        provenance=example.explanation().provenance,
        tokens=300,
        held_out=(HeldOutRow(item_id="1", title="Heat", answer="Yes", position=3, timestamp=1.0),),
        shortlist=(_short("u:2"), _short("u:1", title="<b>$x$</b>", answer="No")),
        path=tuple(rows),
        zero_shot=SetRow(**_set(objective=-1.0)),
        current=SetRow(**_set(("u:1", "u:2"), -1.5)),
        best=SetRow(**_set(("u:2",), 0.5)),
        found=SetRow(**_set(("u:2",), 0.5)),
        confirmed=(_confirm("chance", 0.5, 0.02), _confirm("zero_shot", 0.75, 0.01), _confirm("current", 0.25, 0.1)),
        stop="optimum",
        search_passes=14.0,
        candidates=lists,
        outcomes=tuple(
            Outcome(
                which=which,
                demo_ids={"best": ("u:2",), "current": ("u:1", "u:2")}.get(which, ()),
                score=score,
                margin=margin_of(lists, which),
                rank=rank,
                candidates=20,
                ndcg=ndcg,
            )
            for which, (rank, score, ndcg) in TARGETS.items()
        ),
    )


@pytest.fixture
def report(example):
    return made(example)


def _trace(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)
def test_the_line_is_the_best_so_far_between_two_references(report, colours):
    figure = improve.figure(report, colours)
    best, steps = _trace(figure, "best"), _trace(figure, "steps")
    assert list(best.x) == [2.0, 9.0, 14.0]
    assert list(best.y) == [-1.0, -1.0, 0.5]
    assert best.line.shape == "hv"
    assert list(steps.y) == [-1.0, -1.5, 0.5]
    assert "one more at the end<br>Heat<br>J +0.50" in steps.hovertext[2]
    assert list(steps.marker.symbol) == ["circle", "circle-open", "circle"]
    assert list(_trace(figure, "no demonstrations").y) == [-1.0, -1.0]
    assert list(_trace(figure, "the case's own demonstrations").y) == [-1.5, -1.5]


def test_the_figure_stands_before_anything_is_judged(report):
    empty = report.model_copy(update={"path": (), "zero_shot": None, "current": None, "best": None})
    assert len(_trace(improve.figure(empty, LIGHT), "steps").x or ()) == 0
    assert improve.alt(empty) == "No set has been judged yet."
    assert improve.table(empty).empty


def test_a_set_is_named_by_its_titles_and_by_its_ids(report):
    table = improve.table(report)
    assert list(table["titles"])[1:] == ["<b>$x$</b>; Heat", "Heat"]
    assert list(table["demonstration"])[1:] == ["u:1 u:2", "u:2"]
    without = improve.table(report.model_copy(update={"shortlist": report.shortlist[:1]}))
    assert list(without["titles"])[1] == "an earlier demonstration; Heat"


def test_alt_texts_state_the_conclusion(report):
    said = improve.alt(report)
    assert "1 demonstration, has J +0.50 nats: +1.50 nats above no demonstrations" in said
    assert "+2.00 nats against the case's own" in said
    assert said.endswith("No set one change away is better.")
    assert "1 answered Yes and 1 No" in improve.shortlist_alt(report)
    assert improve.outcomes_alt(report) == (
        "The item really chosen next stands 1st (NDCG@10 1.00) with the best set, 9th without demonstrations"
        " and 4th with the case's own ones."
    )


def test_where_nothing_helps_it_is_said(report):
    nothing = report.model_copy(update={"best": report.zero_shot, "stop": "budget", "outcomes": None})
    assert "No set is better than no demonstrations" in improve.alt(nothing)
    assert improve.outcomes_alt(nothing) == "The case's own target is not scored."


def test_no_verdict_while_the_search_goes_on(report):
    partial = report.model_copy(update={"stage": "partial", "stop": None, "outcomes": None})
    assert improve.alt(partial).startswith("The best set so far, 1 demonstration")
    assert improve.alt(partial).endswith("The search is not finished.")


def test_table_twins_hold_the_same_numbers(report):
    path = improve.table(report)
    assert list(path["best"]) == [-1.0, -1.0, 0.5]
    assert list(path["passes"]) == [2.0, 9.0, 14.0]
    short = improve.shortlist_table(report)
    assert list(short["place_in_best"].fillna(0)) == [1, 0]
    assert "embedding" not in short.columns
    after = improve.outcomes_table(report)
    assert list(after["target_rank"]) == [9, 4, 1]
    # 20 places STEP apart: the others stand STEP * (210 - place - 19 * place) / 19 below the target on average.
    assert list(after["target_margin"]) == pytest.approx([STEP * (210 - 20 * place) / 19 for place in (9, 4, 1)])
    assert list(after["objective"]) == [-1.0, -1.5, 0.5]


def test_the_test_of_the_set_found_is_a_table_with_every_rival(report):
    rows = improve.confirm_table(report)
    assert list(rows["against"]) == [
        "sets that chance draws",
        "no demonstrations",
        "the case's own demonstrations",
    ]
    assert list(rows["gap"]) == [0.5, 0.75, 0.25]
    assert list(rows["rival_mean"]) == [0.5, 0.25, 0.75]
    assert improve.confirm_alt(report).startswith(
        "On 8 newer choices the set found is at +0.50 nats against sets that chance draws (p = 0.02)"
    )
    assert improve.confirm_alt(report.model_copy(update={"confirmed": None})) == "The set found is not tested."


def test_figures_are_in_the_unit_of_the_objective(report):
    ranked = report.model_copy(update={"task": ImproveTask(objective="ndcg")})
    assert "has J +0.50 NDCG@10: +1.50 NDCG@10 above" in improve.alt(ranked)
    assert improve.figure(ranked, LIGHT).layout.yaxis.title.text == "objective J (NDCG@10)"


def test_measured_criteria_are_columns(report):
    rich = report.model_copy(update={"shortlist": (_short("u:2", embedding=0.3, effect=2.0, answer=None),)})
    short = improve.shortlist_table(rich)
    assert list(short["embedding"]) == [0.3]
    assert list(short["effect"]) == [2.0]
    assert "answer" not in short.columns


def test_ids_cannot_mark_up_a_figure(report):
    row = report.path[2].model_copy(update={"demo_ids": ("<b>$u$:1",)})
    text = improve.figure(report.model_copy(update={"path": (row,)}), LIGHT).to_json()
    assert "<b>" not in text
    assert "\\u003cb\\u003e" not in text
