"""Other words beside other demonstrations, drawn: what the marks hold, and that words and table say the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from app.charts import sensitivity
from app.theme import DARK, LIGHT, Palette
from core.analysis.robustness.robustness_task import Estimate, RewritingRow, RobustnessReport, SensitivityRow
from core.analysis.robustness.sensitivity_words import sensitivity_sentence
from core.prompt.wordings import WORDINGS
from core.question.task import Target

BOTH = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=lambda colours: colours.kind)


def prompt(source: Any, name: str, place: float | None, effect: float | None) -> RewritingRow:
    return RewritingRow(
        source=source,
        name=name,
        words=WORDINGS[name].words if name in WORDINGS else f"demonstrations of {name}",
        place=None if place is None else 3 + place,
        place_change=place,
        order_change=1.5,
        effect=None if effect is None else 0.5 + effect,
        effect_change=effect,
        flips=False,
    )


def size(mean: float) -> Estimate:
    return Estimate(mean=mean, low=mean - 0.5, high=mean + 0.25)


REWRITINGS = (
    prompt("unchanged", "plain", 0.0, 0.0),
    prompt("wording", "implicit", 1.0, -0.25),
    prompt("wording", "explicit_vague", -1.0, 0.75),
    prompt("demonstrations", "random 1", 6.0, 1.0),
    prompt("demonstrations", "random 2", -2.0, 3.0),
)
SENSITIVITY = (
    SensitivityRow(source="wording", count=2, place=size(1), order=size(1.5), effect=size(0.5)),
    SensitivityRow(source="demonstrations", count=2, place=size(4), order=size(1.5), effect=size(2)),
    SensitivityRow(source="difference", count=4, place=size(-3), order=size(0), effect=size(-1.5)),
)


def report(**more: Any) -> RobustnessReport:
    place = Path(__file__).with_name("test_perturbations.py")
    spec = importlib.util.spec_from_file_location("perturbation_reports", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    fields = {"rewritings": REWRITINGS, "sensitivity": SENSITIVITY, "target": Target(item_id="b", title="Heat"), **more}
    made: RobustnessReport = module.report(**fields)
    return made


@BOTH
def test_each_source_has_its_prompts_and_their_mean_in_two_panels(colours: Palette) -> None:
    figure = sensitivity.figure(report(), colours)
    assert [trace.name for trace in figure.data] == [
        "other words",
        "mean, other words",
        "other demonstrations",
        "mean, other demonstrations",
    ] * 2
    assert [list(trace.x) for trace in figure.data] == [[1, 1], [1], [6, 2], [4], [0.25, 0.75], [0.5], [1, 3], [2]]
    assert [trace.xaxis for trace in figure.data] == ["x"] * 4 + ["x2"] * 4
    mean = figure.data[3]
    assert (list(mean.error_x.arrayminus), list(mean.error_x.array)) == ([0.5], [0.25])
    assert list(figure.layout.yaxis.ticktext) == ["other words", "other demos"]
    assert (figure.layout.xaxis.title.text, figure.layout.xaxis2.title.text) == ("target (places)", "effect (nats)")
    assert all(max(prompts.y) < mean.y[0] for prompts, mean in zip(figure.data[::2], figure.data[1::2], strict=True))
    assert figure.data[0].hovertext[1] == (
        "Liked, and looking for another<br>the target is 2nd, 1 place higher<br>a candidate moves 1.5 places on average"
    )
    assert figure.data[6].hovertext[0] == "Demonstrations of random 1<br>effect +1.50 nats, changed by +1.00"


def test_without_a_target_the_places_of_all_candidates_are_drawn() -> None:
    rows = tuple(row.model_copy(update={"place": None, "effect": None}) for row in SENSITIVITY)
    prompts = tuple(prompt(row.source, row.name, None, None) for row in REWRITINGS)
    figure = sensitivity.figure(report(sensitivity=rows, rewritings=prompts, target=None), LIGHT)
    assert [list(trace.x) for trace in figure.data] == [[1.5, 1.5], [1.5], [1.5, 1.5], [1.5]]
    assert figure.layout.xaxis.title.text == "candidates (places)"
    assert figure.data[0].hovertext[0] == "What the user interacted with<br>a candidate moves 1.5 places on average"


def test_words_alone_are_one_row_and_nothing_is_no_chart() -> None:
    figure = sensitivity.figure(report(sensitivity=SENSITIVITY[:1], rewritings=REWRITINGS[:3]), LIGHT)
    assert list(figure.layout.yaxis.ticktext) == ["other words"]
    with pytest.raises(ValueError, match="needs prompts in other words"):
        sensitivity.figure(report(sensitivity=(), rewritings=()), LIGHT)


def test_words_and_table_say_the_same() -> None:
    made = report()
    assert sensitivity.alt(made) == sensitivity_sentence(made)
    assert "the demonstrations move it further" in sensitivity.alt(made)
    assert sensitivity.alt(report(sensitivity=())) == "Other words and other demonstrations are not compared yet."
    table = sensitivity.table(made)
    assert list(table["source"]) == [
        "As it is",
        *["Other words"] * 2,
        *["Other demonstrations"] * 2,
        "Other words",
        "Other demonstrations",
    ]
    assert list(table["places_moved"]) == [0, 1, -1, 6, -2, 1, 4]
    assert list(table["effect_change"]) == [0, -0.25, 0.75, 1, 3, 0.5, 2]
    assert list(table["places_moved_low"][5:]) == [0.5, 3.5]
    assert pd.isna(table["places_moved_low"][:5]).all()
