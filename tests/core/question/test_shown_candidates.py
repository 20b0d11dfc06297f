"""The sentence about demonstrations that show a candidate counts them and names those that show the target."""

from __future__ import annotations

import pytest

from core.question.shown_candidates import shown_sentence
from core.question.task import DemoRow


def demo(place: int, *shows: str) -> DemoRow:
    texts = {"demo_id": "1:2", "user_id": "1", "item_id": "5", "title": "t", "source": "neighbours", "text": "x"}
    return DemoRow(label=f"D{place}", answer=None, history=(), tokens=3, shows=shows, **texts)


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        ([(), ()], ""),
        ([], ""),
        ([("a",), ()], "1 of 2 demonstrations shows a candidate; none of them shows the item really chosen next."),
        ([("a",), ("b", "t")], "2 of 2 demonstrations show a candidate; D2 shows the item really chosen next."),
        ([("t",)], "1 of 1 demonstration shows a candidate; D1 shows the item really chosen next."),
        (
            [("t",), ("t", "a"), (), ("t",)],
            "3 of 4 demonstrations show a candidate; D1, D2 and D4 show the item really chosen next.",
        ),
    ],
)
def test_the_sentence(shown: list[tuple[str, ...]], sentence: str) -> None:
    demos = [demo(place, *ids) for place, ids in enumerate(shown, start=1)]
    assert shown_sentence(demos, "t") == sentence
    assert "none of them" in shown_sentence(demos, None) or not any(shown)
