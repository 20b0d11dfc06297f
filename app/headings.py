"""The heading, unit and rounding of every column of a table on the screen.

Downloads keep the columns' own names and every digit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import pandas as pd

from core import columns


@dataclass(frozen=True)
class Heading:
    """How one column is shown."""

    text: str
    unit: str = ""
    digits: str | None = None
    """A printf format for numbers; None for texts and for yes or no."""
    times: float = 1.0
    """What the stored number is multiplied with: 100 for a share that is shown in per cent."""
    on_screen: bool = True
    """Whether tables show it; an id stands in downloads only, beside the title that people read."""

    @property
    def label(self) -> str:
        """The heading with its unit: `contribution (nats)`."""
        return f"{self.text} ({self.unit})" if self.unit else self.text


_id = partial(Heading, on_screen=False)
_count = partial(Heading, digits="%d")
_rank = partial(Heading, digits="%g")  # Ties share the middle of their ranks, which may be a half.
_ratio = partial(Heading, digits="%.3f")
_nats = partial(Heading, unit="nats", digits="%.3f")
_share = partial(Heading, unit="%", digits="%.0f", times=100.0)
_seconds = partial(Heading, unit="s", digits="%.2f")

COLUMNS: Mapping[str, Heading] = {
    columns.RANK: _rank("place"),
    columns.TITLE: Heading("title"),
    columns.ITEM: _id("item id"),
    columns.DEMO: Heading("demonstration"),
    columns.CONTRIBUTION: _nats("contribution"),
    columns.LOW: _ratio("low end"),
    columns.HIGH: _ratio("high end"),
    columns.WITHIN_NOISE: Heading("noise of the server"),
    columns.LAYER: _count("layer"),
    columns.SCORE: _nats("score"),
    columns.POSITION: _count("position in the history"),
    columns.POPULARITY: _count("interactions of the item"),
    "rank_without": _rank("place without demonstrations"),
    "model_rank": _rank("place without the blend"),
    "prior": _nats("popularity in the score"),
    "score_without": _nats("score without demonstrations"),
    "chosen_next": Heading("really chosen next"),
    # Dual model and updates.
    "of": Heading("version of the head"),
    "features": _count("random features"),
    "relative error": _ratio("relative error"),
    "weight decay": Heading("weight decay", "", "%.2f"),
    "loss": _ratio("loss, 1 is the fall of one plain step"),
    "step": _count("step"),
    "measure": Heading("measure"),
    "subject": Heading("trained network"),
    "similarity": _ratio("similarity, -1 to 1"),
    "baseline_is": Heading("baseline"),
    "setting": Heading("way of recommending"),
    "ndcg_low": _ratio("NDCG@10, low end"),
    "ndcg_high": _ratio("NDCG@10, high end"),
    "flip_low": _share("variants with another first item, low end"),
    "flip_high": _share("variants with another first item, high end"),
    "baseline": _ratio("baseline, -1 to 1"),
    # Taking demonstrations out.
    "taken_out": Heading("prompt"),
    "place_predicted": Heading("predicted place", "", "%.1f"),
    "place_predicted_low": _rank("low end"),
    "place_predicted_high": _rank("high end"),
    "beyond_chance": Heading("predicted change is more than chance"),
    "place_measured": _rank("measured place"),
    "reached": Heading("reached"),
    "removal_order": Heading("order"),
    "removed": _count("taken out"),
    "removal_place": Heading("place", "", "%.1f"),
    "removal_place_low": _rank("low end"),
    "removal_place_high": _rank("high end"),
    "measured": Heading("measured"),
    "certainty": Heading("change of place"),
    "pair": Heading("pair"),
    "pair_first": Heading("first title"),
    "pair_second": Heading("second title"),
    "interaction": _nats("together beyond apart"),
    "interaction_low": _nats("low end"),
    "interaction_high": _nats("high end"),
    "moves_in": Heading("title that moves in"),
    "removal_climb": _rank("places won without it"),
    # Robustness.
    "kind": Heading("kind of change"),
    "strength": _share("share touched"),
    "model": Heading("model"),
    "variants": _count("variants"),
    "flip_rate": _share("variants with another first item"),
    "kendall_tau": _ratio("Kendall tau"),
    "rank_biased_overlap": _ratio("rank-biased overlap"),
    "ndcg_change": _ratio("change of NDCG@10"),
    "places_size": Heading("target moves, either way", "places", "%.1f"),
    "margin_change": _nats("change of the target's margin over the field"),
    "score_change_nats": _nats("change of the target's own score"),
    "what_was_done": Heading("what was changed"),
    "first_item": _id("first item, id"),
    "first_title": Heading("first item"),
    "flips": Heading("another item comes first"),
    "rank_changed": _rank("place, changed model"),
    "score_changed": _nats("score, changed model"),
    "spread_changed": _nats("spread of the score, changed model"),
    "prompt": Heading("prompt"),
    "places_moved": Heading("target moves, + is down", "places", "%.1f"),
    "order_moved": Heading("a candidate moves", "places", "%.1f"),
    "demo_effect": _nats("effect of all demonstrations"),
    "effect_change": _nats("change of that effect"),
    # Improve.
    "move": Heading("move"),
    "titles": Heading("demonstrations"),
    "objective": _ratio("objective J"),
    "mean": _ratio("mean score"),
    "spread": _ratio("spread"),
    "best": _ratio("best J so far"),
    "improved": Heading("better than before"),
    "against": Heading("the set found against"),
    "rival_mean": _ratio("its mean score"),
    "gap": _ratio("mean difference"),
    "p": _ratio("probability by chance (p)"),
    "choices": _count("choices"),
    "passes": Heading("cost so far", "full passes", "%.1f"),
    "answer": Heading("answer"),
    "set": Heading("set of demonstrations"),
    "target_score": _nats("score of the target"),
    "target_margin": _nats("target's margin over the field"),
    "target_rank": _rank("place of the target"),
    "place_in_best": _count("position in the best set"),
    "relevance": _ratio("rank score, 0 to 1"),
    "taken_from": Heading("taken from"),
    "neighbours": _ratio("likeness of users, 0 to 1"),
    "bm25": _ratio("likeness of words (BM25)"),
    "embedding": _ratio("likeness by the model (cosine)"),
    "effect": _ratio("update energy", unit="ln"),
    # Quality and its check.
    "gain": _nats("gain"),
    "gain_low": _nats("gain, low end"),
    "gain_high": _nats("gain, high end"),
    "alignment": _ratio("alignment, -1 to 1"),
    "redundancy": _ratio("redundancy, -1 to 1"),
    "nearest": Heading("most alike"),
    "stability": _ratio("stability, 0 to 1"),
    "perturbations": _count("perturbations"),
    "unit": Heading("unit"),
    "needs a target": Heading("needs a target"),
    "same pass as": Heading("measured in one pass with"),
    "tokens": _count("tokens"),
    "demo_id": _id("demonstration id"),
    "quality_score": Heading("score"),
    "true_utility": Heading("true use"),
    "mean_rank_correlation": _ratio("mean rank correlation"),
    "pooled_rank_correlation": _ratio("rank correlation, all cases in one"),
    "strongest_floor": _ratio("strongest floor"),
    "cases": _count("cases"),
    "cases_left_out": _count("cases left out"),
    "verdict": Heading("verdict"),
    # Personalise and the evaluation of an adapter.
    "time_utc": Heading("time", "UTC"),
    "liked": Heading("liked"),
    "state": Heading("state"),
    "before": _rank("place before the play"),
    "rank_before": _rank("place before the play"),
    "climb": _rank("places won"),
    "score_before": _nats("score before the play"),
    "new_interaction": Heading("new interaction"),
    "change": Heading("change"),
    columns.USER: Heading("user"),
    columns.SOURCE: Heading("picked because"),
    "because_of": Heading("came or went because of"),
    "seconds": _seconds("time of the step"),
    "picking_seconds": _seconds("of which picking demonstrations"),
    "whole_pass_seconds": _seconds("time of one whole pass"),
    "tokens_run": _count("tokens run"),
    "way": Heading("way of recommending"),
    "demonstrations": _count("demonstrations"),
    "auc": _ratio("AUC"),
    "uauc": _ratio("UAUC"),
    "ndcg_at_10": _ratio("NDCG@10"),
    "period": _count("period"),
    "since_utc": Heading("since", "UTC"),
    "until_utc": Heading("until", "UTC"),
    "interactions": _count("interactions"),
    "users": _count("users"),
    "family": Heading("question to the model"),
    # The choice of demonstrations of a data set.
    "chosen": Heading("chosen"),
    "strategy": Heading("strategy"),
    "order": Heading("order"),
    "each": _count("choices of each neighbour"),
    "scoring": Heading("score of a title"),
    "ndcg_gain": _ratio("gain in NDCG@10 over none"),
    "lists": _count("lists"),
}
"""Column -> how it is shown, in every table that does not say otherwise in `TABLES`."""

_EACH_DEMO = r"(?:(base|adapter)_)?(D\d+)"
_EACH_END = r"(D\d+)_(low|high)"
_EACH_HEAD = r"()(head \d+)"
TABLES: Mapping[str, Mapping[str, Heading]] = {
    "waterfall": {
        columns.LOW: _nats("low end"),
        columns.HIGH: _nats("high end"),
        "field_part": _nats("part against the others"),
        "lift_part": _nats("part on all alike"),
    },
    "sensitivity": {"source": Heading("what differs")},
    "path": {columns.DEMO: _id("demonstration ids")},
    "shortlist": {columns.DEMO: _id("demonstration id")},
    "matrix": {_EACH_DEMO: _nats(""), _EACH_END: _nats("")},
    "layers": {_EACH_DEMO: _nats("")},
    "norm": {_EACH_DEMO: _ratio("")},
    "gram": {_EACH_DEMO: _ratio("")},
    "residual": {_EACH_HEAD: Heading("", "", "%.1e")},
    "zero_factor": {_EACH_HEAD: _ratio("")},
    "target-steps": {
        columns.RANK: _rank("place"),
        "margin": _nats("margin over the field"),
        f"base_{columns.RANK}": _rank("base: place"),
        "base_margin": _nats("base: margin over the field"),
    },
    "list": {
        "climb": _rank("moved"),
        "rank_before": _rank("before"),
        columns.SCORE: _nats("score", digits="%.2f"),
        f"base_{columns.RANK}": _rank("base: place"),
        "base_climb": _rank("base: moved"),
        "base_rank_before": _rank("base: before"),
        f"base_{columns.SCORE}": _nats("base: score", digits="%.2f"),
    },
    "descent": {"step": Heading("step")},
    "improved": {
        columns.RANK: _rank("place after"),
        "rank_before": _rank("place before"),
        columns.SCORE: _nats("score after"),
        "score_before": _nats("score before"),
    },
    "costs": {
        columns.SCORE: Heading("score"),
        "passes": Heading("cost", "full passes", "%.1f"),
        "seconds": _seconds("cost"),
    },
}
"""Table -> pattern of a column -> how it is shown there; the two groups of a pattern make its text."""
_OF_REMOVAL = {"place": _rank("place without {}"), "score": _nats("{} on the own score")}
"""What else stands for each demonstration of `matrix`, behind the name of its column."""
_ENDS = {columns.LOW: "low end", columns.HIGH: "high end"}


def heading(table: str, column: str) -> Heading | None:
    """How `column` of `table` is shown; None for a column that nobody has named."""
    for pattern, special in TABLES.get(table, {}).items():
        if match := re.fullmatch(pattern, column):
            return special if special.text else replace(special, text=" ".join(part for part in match.groups() if part))
    if column in COLUMNS:
        return COLUMNS[column]
    stem, _, end = column.rpartition("_")
    if end in _ENDS and stem in COLUMNS:
        return replace(COLUMNS[stem], text=f"{COLUMNS[stem].text}, {_ENDS[end]}")
    if column.startswith("base_") and (base := COLUMNS.get(column.removeprefix("base_"))):
        return replace(base, text=f"base model: {base.text}")
    if (removal := _OF_REMOVAL.get(end)) and re.fullmatch(_EACH_DEMO, stem) and (each := heading(table, stem)):
        return replace(removal, text=removal.text.format(each.text))
    if match := re.fullmatch(r"step_(\d+)", column):
        return _rank(f"place after step {match[1]}")
    if column.startswith(f"{columns.RANK}_"):
        return _rank(f"place of {column.removeprefix(f'{columns.RANK}_')}")
    return None


def headings(table: str, frame: pd.DataFrame, names: Mapping[str, str] = MappingProxyType({})) -> dict[str, Heading]:
    """Column -> how it is shown; `names` replace the text of a heading, an unknown column keeps its own name."""
    shown = {str(name): heading(table, str(name)) or Heading(str(name)) for name in frame.columns}
    return {name: replace(row, text=names.get(name, row.text)) for name, row in shown.items()}


def scaled(frame: pd.DataFrame, headings: Mapping[str, Heading]) -> pd.DataFrame:
    """The numbers in the units and with the digits of their headings."""
    numbers = {name: heading for name, heading in headings.items() if heading.digits or heading.times != 1.0}
    return frame.assign(**{name: _rounded(frame[name], heading) for name, heading in numbers.items()})


def without_minus_zero(numbers: pd.Series, decimals: int) -> pd.Series:
    """The numbers, and 0 for what rounds to 0: a table would write -0.00."""
    return numbers.mask(numbers.round(decimals) == 0, 0.0)


def _rounded(column: pd.Series, heading: Heading) -> pd.Series:
    numbers = pd.to_numeric(column)
    if heading.times != 1.0:
        numbers = numbers * heading.times
    decimals = re.search(r"\.(\d+)f", heading.digits or "")
    return without_minus_zero(numbers, int(decimals[1])) if decimals else numbers
