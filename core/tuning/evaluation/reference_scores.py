"""Scores of classical recommenders, fitted on everything before the test, on the same examples as the models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from core.data.dataset import Dataset
from core.errors import DemoLensError
from core.tuning.classical.factorisation import matrix_factorisation
from core.tuning.classical.references import Reference, item_mean, popularity
from core.tuning.classical.sasrec import SasRec, sasrec
from core.tuning.evaluation.evaluate import CandidateList, answers_of, list_scores_of
from core.tuning.examples import Example, Window

Fit = Callable[[Dataset, Window, int], Reference]
FITS: Mapping[str, Fit] = {
    "item mean": lambda dataset, window, _: item_mean(dataset, window),
    "popularity": lambda dataset, window, _: popularity(dataset, window),
    "matrix factorisation": matrix_factorisation,
    "SASRec": sasrec,
}
"""By their names."""
FRESH_HISTORY = "fresh history"
"""Ends the name of a reference that reads what its user liked within the test."""
READS = {
    True: "; and what its user liked before the interaction asked about, in the test too",
    False: "; and what its user liked before the split",
}
"""By whether the history is fresh: what a reference that reads one sees beside its training."""


@dataclass
class ReferenceScores:
    """Scores of the references, by name: [example] and [list, candidate]."""

    answers: dict[str, list[float]] = field(default_factory=dict)
    lists: dict[str, list[list[float]]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    """What each was fitted on, or why it could not be fitted; one sentence each."""


def questions_of(examples: Sequence[Example], lists: Sequence[CandidateList]) -> list[object]:
    """The examples and lists that references score, as JSON can hold them."""
    return [[[row.user_id, row.position] for row in examples], [[row.user_id, *row.candidates] for row in lists]]


def score_references(
    dataset: Dataset,
    test: Window,
    examples: Sequence[Example],
    lists: Sequence[CandidateList],
    seed: int,
    *,
    between: Callable[[str], None] = lambda _: None,
) -> ReferenceScores:
    """Scores of every reference; SASRec answers with a fresh history and with one cut at the split.

    `between` receives the name of the reference that is fitted next. A reference that the data do not suffice for is
    left out, with a notice.
    """
    scores = ReferenceScores()
    for name, fit in FITS.items():
        between(name)
        try:
            reference = fit(dataset, Window(until=test.since), seed)
        except DemoLensError as error:
            scores.notices.append(f"{name} is not measured: {error}.")
            continue
        for label, until in _named(reference, test.since):
            scores.answers[label] = answers_of(reference, dataset, examples, until=until).tolist()
            scores.lists[label] = list_scores_of(reference, dataset, lists, until=until).tolist()
            history = "" if label == reference.name else READS[until is None]
            scores.notices.append(f"{label} saw {reference.needs}{history}.")
    return scores


def _named(reference: Reference, cut: float | None) -> list[tuple[str, float | None]]:
    """Names under which a reference answers, and from when on its history is hidden."""
    if not isinstance(reference, SasRec):
        return [(reference.name, None)]
    return [(f"{reference.name}, {FRESH_HISTORY}", None), (f"{reference.name}, history cut at the split", cut)]
