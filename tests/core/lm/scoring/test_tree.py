"""A tree of token sequences holds each of them, what they begin with once, and every term where it is to be read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as some
from references import random_prompt

from core.lm.forward.forest import Memory, Segment
from core.lm.scoring.tree import SHORTEST_SHARED, Node, Tree, prefix_ids
from core.prompt.spans import Prompt, Span

TOKENS = some.lists(some.sampled_from([60, 61]), min_size=1, max_size=9).map(tuple)


@some.composite
def prompts(draw: some.DrawFn) -> list[Prompt]:
    """Prompts without demonstrations over two tokens, so that beginnings coincide in every way."""
    whole = random_prompt(draw(some.sampled_from(["yes_no", "next_item"])), demos=0, candidates=1)

    def prompt() -> Prompt:
        titles = draw(some.lists(TOKENS, min_size=1, max_size=3))
        candidates = tuple(Span("candidate", place, "", ids, ()) for place, ids in enumerate(titles))
        query = Span("query", 0, "", draw(TOKENS), ())
        return replace(whole, instruction=Span("instruction", 0, "", (60,), ()), query=query, candidates=candidates)

    return [prompt() for _ in range(draw(some.integers(1, 3)))]


def remembered(ids: tuple[int, ...]) -> Memory:
    return Memory((Segment(ids, None, 0),), (torch.zeros(1, len(ids), 1),), (torch.zeros(1, len(ids), 1),))


def tokens_up_to(node: Node) -> tuple[int, ...]:
    return tuple(token for part in node.line() for token in part.ids)


@given(planted=prompts(), trunk=TOKENS)
def test_every_sequence_stands_in_the_tree_and_every_term_behind_the_tokens_before_it(
    planted: list[Prompt], trunk: tuple[int, ...]
) -> None:
    tree = Tree(remembered(trunk))
    for prompt in planted:
        tree.plant(prompt)
    order = tree.order()
    assert not any(node.remembered for node in order)
    beginnings: dict[int, list[tuple[tuple[int, ...], int]]] = {}
    for node in order:
        above = tokens_up_to(node)[: -len(node.ids)]
        for place, term in node.terms:
            beginnings.setdefault(term.score, []).append(((*above, *node.ids[: place + 1]), term.token))
    sequences = [(prompt, span.token_ids) for prompt in planted for span in prompt.candidates]
    for score, (prompt, title) in enumerate(sequences):
        whole = (*prefix_ids(prompt), *title)
        assert tokens_up_to(tree.ends[score][0]) == whole
        ends = range(len(whole) - len(title), len(whole)) if prompt.answer_ids is None else [len(whole)]
        expected = [(whole[:end], whole[end] if end < len(whole) else prompt.answer_ids[0]) for end in ends]
        assert sorted(beginnings[score]) == sorted(expected)
        assert tree.terms[score] == len(expected)
    assert [node.start for node in tree.nodes()] == [len(tokens_up_to(node)) - len(node.ids) for node in tree.nodes()]


@given(some.lists(TOKENS, min_size=1, max_size=12), TOKENS)
def test_equal_sequences_end_at_the_same_node(sequences: list[tuple[int, ...]], twice: tuple[int, ...]) -> None:
    """Whatever else is planted before, between and after them: their scores are then exactly equal."""
    root = Node((), 0, None)
    middle = len(sequences) // 2
    for ids in sequences[:middle]:
        root.grown(ids)
    first = root.grown(twice)
    for ids in sequences[middle:]:
        root.grown(ids)
    assert root.grown(twice) is first


def test_a_title_twice_is_run_once_beside_a_longer_one_of_the_same_beginning() -> None:
    root = Node((), 0, None)
    root.grown((60, 61, 62, 70, 71))
    assert root.grown((60, 61, 62)) is root.grown((60, 61, 62))


def test_few_tokens_in_common_are_not_worth_a_node_unless_they_are_remembered() -> None:
    few, many = (60,) * (SHORTEST_SHARED - 1), (60,) * SHORTEST_SHARED
    for shared, memory, run in ((few, False, 2 * len(few) + 4), (many, False, len(many) + 4), (few, True, 4)):
        tree = Tree(remembered((*few, 70)) if memory else None)
        ends = [tree.root.grown((*shared, token, token)) for token in (80, 81)]
        assert sum(len(node.ids) for node in tree.order()) == run
        assert [tokens_up_to(end) for end in ends] == [(*shared, token, token) for token in (80, 81)]


def test_what_differs_in_position_demonstration_or_change_is_not_shared() -> None:
    ids = tuple(range(60, 70))
    for labels in ({"start": 7}, {"demo": 1}, {"change": 0}):
        root = Tree().root
        assert root.grown(ids) is root.grown(ids)
        assert root.grown(ids, **labels) is not root.grown(ids)


def test_chosen_segments_take_their_keys_and_parents_with_them() -> None:
    segments = (Segment((1, 2), None, 0), Segment((3,), 0, 2), Segment((4, 5), 0, 2), Segment((6,), 2, 4))
    keys = torch.arange(6.0)[None, :, None]
    part = Memory(segments, (keys,), (keys + 10,)).chosen([0, 2, 3])
    assert [segment.parent for segment in part.segments] == [None, 0, 1]
    np.testing.assert_array_equal(part.keys[0][0, :, 0], [0, 1, 3, 4, 5])
    np.testing.assert_array_equal(part.values[0][0, :, 0], [10, 11, 13, 14, 15])
