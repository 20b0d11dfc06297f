"""What do classical recommenders, fitted on everything before the test, answer to what the models are asked?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

from bench.clock import timed
from bench.records import Record
from core.data.dataset import Dataset
from core.tuning.classical.factorisation import matrix_factorisation
from core.tuning.classical.references import Reference, item_mean, popularity
from core.tuning.classical.sasrec import SasRec, sasrec
from core.tuning.evaluation.evaluate import Listed, answers_of, list_scores_of
from core.tuning.examples import Example, Window

FITS: tuple[Callable[[Dataset, Window, int], Reference], ...] = (
    lambda dataset, window, _: item_mean(dataset, window),
    lambda dataset, window, _: popularity(dataset, window),
    matrix_factorisation,
    sasrec,
)
FRESH_HISTORY = "fresh history"
"""Ends the name of a reference that reads what its user liked within the test."""
READS = {
    True: "; and what its user liked before the interaction asked about, in the test too",
    False: "; and what its user liked before the split",
}
"""By whether the history is fresh: what a reference that reads one sees beside its training."""


def asked_of(asked: Sequence[Example], lists: Sequence[Listed]) -> list[object]:
    """What a reference is asked, as JSON can hold it."""
    return [[[one.user_id, one.position] for one in asked], [[one.user_id, *one.candidates] for one in lists]]


def referred(dataset: Dataset, test: Window, asked: Sequence[Example], lists: Sequence[Listed], seed: int) -> Record:
    """Scores of every reference, and what it saw; SASRec answers with a fresh history and with one cut at the split."""
    answers, ranked, needs = {}, {}, {}
    for fit in FITS:
        seconds, found = timed(partial(fit, dataset, Window(until=test.since), seed))
        sys.stderr.write(f"recicl  {found.name} fitted in {seconds:.0f} s\n")
        for name, until in _named(found, test.since):
            answers[name] = answers_of(found, dataset, asked, until=until).tolist()
            ranked[name] = list_scores_of(found, dataset, lists, until=until).tolist()
            needs[name] = f"{found.needs}{'' if name == found.name else READS[until is None]}"
    return {"answers": answers, "lists": ranked, "needs": needs}


def _named(found: Reference, cut: float | None) -> list[tuple[str, float | None]]:
    """Names under which a reference answers, and from when on its history is hidden."""
    if not isinstance(found, SasRec):
        return [(found.name, None)]
    return [(f"{found.name}, {FRESH_HISTORY}", None), (f"{found.name}, history cut at the split", cut)]
