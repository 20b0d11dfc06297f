"""What is shipped beside the code is whole, small, and says of itself what its card says."""

from __future__ import annotations

import pytest

from core.lm.loading.adapter import ADAPTERS, SHIPPED, checked_adapter, is_there
from core.personal.personalise_task import USUAL_CASE
from core.tuning.evaluation.record import read_evaluation
from core.tuning.training.card import read_card, readme

MOST_BYTES = 12_000_000
THERE = [name for name in SHIPPED if is_there(name)]


def test_the_adapter_of_personalise_is_shipped_and_was_tuned_as_its_case_asks() -> None:
    assert USUAL_CASE.adapter in THERE
    card = read_card(ADAPTERS / str(USUAL_CASE.adapter))
    assert card is not None
    assert (card.settings.demos, card.settings.history) == (USUAL_CASE.demos, USUAL_CASE.history)


@pytest.mark.parametrize("name", THERE)
def test_a_shipped_adapter_has_checked_files_and_its_own_readme(name: str) -> None:
    folder = ADAPTERS / name
    card = read_card(folder)
    assert card is not None
    assert checked_adapter(name).base == card.model_name == "sample"
    assert sum(path.stat().st_size for path in folder.iterdir()) < MOST_BYTES
    assert (folder / "README.md").read_text(encoding="utf-8") == readme(card)


def test_the_shipped_evaluation_is_of_what_is_shipped() -> None:
    path = ADAPTERS / "recicl" / "evaluation.json"
    found, card = read_evaluation(path), read_card(path.parent)
    assert card is not None
    assert (found.dataset_id, found.model_id) == (card.dataset_id, card.model_id)
    assert set(found.adapters) <= set(THERE)
    assert card.validation_until is not None
    assert card.validation_until <= found.cut
