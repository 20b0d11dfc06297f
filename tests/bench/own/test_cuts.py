"""The corpus has true cuts of its own making, and its share cut right is counted, not assumed."""

from __future__ import annotations

from bench.own.cut_corpus import FOREIGN, NO_DEMOS, STYLES, CutPrompt, corpus
from bench.own.cuts import cut_share


def test_the_corpus_has_all_styles_and_invented_truth() -> None:
    prompts = corpus()
    assert len(prompts) >= 120
    assert {prompt.style for prompt in prompts} >= {*STYLES, *NO_DEMOS, *FOREIGN}
    assert len({prompt.name for prompt in prompts}) == len(prompts)
    assert {len(prompt.demos) == 0 for prompt in prompts if prompt.style in NO_DEMOS} == {True}
    for prompt in prompts:
        whole = prompt.text if prompt.text is not None else "".join(turn.text for turn in prompt.messages)
        assert all(demo in whole for demo in prompt.demos)


def test_written_styles_are_cut_right_and_the_share_counts_the_others() -> None:
    share = cut_share()
    assert share.share >= 0.95
    assert set(share.wrong) <= {prompt.name for prompt in corpus() if prompt.foreign}


def test_a_wrong_cut_is_counted() -> None:
    first, second, query = (f"Example {n}:\nLiked: {n}\nAnswer:" for n in (1, 2, 3))
    first, second = f"{first} Yes\n\n", f"{second} No\n\n"
    right = CutPrompt("x", ((None, (("demo", first), ("demo", second), ("query", query))),), name="right")
    wrong = CutPrompt("x", ((None, (("demo", first + second), ("query", query))),), name="wrong")
    share = cut_share([right, wrong])
    assert (share.right, share.prompts, share.wrong, share.share) == (1, 2, ("wrong",), 0.5)
