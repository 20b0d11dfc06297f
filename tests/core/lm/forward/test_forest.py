"""However attention is cut into blocks, every new row reads its ancestors and itself, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import language_model, random_prompt

from core.lm.forward import forest
from core.lm.forward.forest import Forest, Memory, Segment
from core.lm.scoring.many import ManyScorer


@st.composite
def forests(draw: st.DrawFn) -> Forest:
    """Up to seven segments of one to nine tokens, of which the first few are remembered; some belong together."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=7))
    segments: list[Segment] = []
    for index, size in enumerate(sizes):
        parent = draw(st.none() | st.integers(0, index - 1)) if index else None
        start = 0 if parent is None else segments[parent].start + len(segments[parent].token_ids)
        demo = draw(st.sampled_from([None, 0, 1]))
        change = draw(st.sampled_from([None, 0])) if demo is None else None
        segments.append(Segment(tuple(range(size)), parent, start, demo, change))
    known = draw(st.integers(0, len(sizes) - 1))
    return Forest(tuple(segments[known:]), Memory(tuple(segments[:known])), draw(st.booleans()))


def tokens_of(forest_: Forest) -> list[tuple[int, int]]:
    """Segment and place of every token."""
    return [(number, place) for number, one in enumerate(forest_.segments) for place in range(len(one.token_ids))]


def reads(forest_: Forest, row: tuple[int, int], key: tuple[int, int]) -> bool:
    """Whether one token comes before another on the way from the start of a prompt, or is the same."""
    if row[0] == key[0]:
        return key[1] <= row[1]
    parent = forest_.segments[row[0]].parent
    return parent is not None and (parent == key[0] or reads(forest_, (parent, 0), key))


@given(made=forests(), piece=st.integers(1, 10), overhead=st.sampled_from([0, 1, 20, 200, 10_000]))
@settings(max_examples=200, deadline=None)
def test_blocks_hold_each_row_once_with_what_it_reads(made: Forest, piece: int, overhead: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forest, "PIECE", piece)
        patch.setattr(forest, "BLOCK_OVERHEAD", overhead)
        blocks = made.blocks
    every, offset = tokens_of(made), made.memory.tokens
    rows = [row for block in blocks for row in range(block.rows.start, block.rows.stop)]
    assert rows == list(range(len(every) - offset))
    for block in blocks:
        keys = torch.arange(len(every))[block.keys].tolist()
        own = [every[offset + row] for row in range(block.rows.start, block.rows.stop)]
        wanted = [[reads(made, row, every[key]) for key in keys] for row in own]
        np.testing.assert_array_equal(block.visible.numpy(), wanted)
        for row in own:
            assert sum(reads(made, row, key) for key in every) == sum(reads(made, row, every[key]) for key in keys)
            assert made.segments[row[0]].change == block.change
        apart = [[made.positions[every.index(row)] - made.positions[key] for key in keys] for row in own]
        np.testing.assert_array_equal(block.distance.numpy(), apart)
        if made.by_demo:
            (demo,) = {made.segments[segment].demo for segment, _ in own}
            inside = [demo is not None and made.segments[every[key][0]].demo == demo for key in keys]
            np.testing.assert_array_equal(block.inside.numpy(), inside)


@pytest.mark.parametrize("network", ["tiny_llama", "tiny_gemma2", "tiny_gemma3"])
def test_scores_do_not_depend_on_how_rows_are_cut(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    model: Any = language_model(copy.deepcopy(request.getfixturevalue(network)))
    prompts = [random_prompt("next_item", seed=seed) for seed in (1, 2)]
    whole = ManyScorer(model).scores(prompts)
    monkeypatch.setattr(forest, "PIECE", 3)
    monkeypatch.setattr(forest, "BLOCK_OVERHEAD", 0)
    np.testing.assert_allclose(ManyScorer(model).scores(prompts), whole, rtol=1e-4, atol=1e-4)
