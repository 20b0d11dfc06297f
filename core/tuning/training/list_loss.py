"""Scores of whole lists behind one prompt each, in one packed pass, and their loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from core.data.dataset import Dataset
from core.errors import ComputeError
from core.lm.forward.attention import Probe
from core.lm.forward.forest import Forest
from core.lm.forward.forward_pass import run
from core.lm.forward.rotation import beyond, turning_point
from core.lm.scoring.sweep import segments_of, summed, terms_of
from core.lm.scoring.tree import Node, Tree, prefix_ids
from core.prompt.codes import Codes
from core.prompt.families import FAMILIES, Family
from core.prompt.spans import Prompt, Tokenizer
from core.question.case_spec import Scoring
from core.tuning.examples import prompt_of
from core.tuning.list_examples import ListExample
from core.tuning.training.answer_loss import precision
from core.tuning.training.answer_tokens import AnswerLabels, Balance, demo_labels


@dataclass(frozen=True)
class EncodedList:
    """One list as prompts; its first candidate is the item really liked next."""

    prompt: Prompt
    plain: Prompt | None
    """The prompt without any history, whose scores are subtracted; None where none are."""
    answers: tuple[AnswerLabels, ...]
    """Labels of the demonstrations' answers, by rows of the prompt."""
    mean: bool
    """Whether a title's score is the mean over its tokens."""

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """All prompts that are run."""
        return (self.prompt,) if self.plain is None else (self.prompt, self.plain)

    @cached_property
    def tokens(self) -> int:
        """Tokens that it runs at most."""
        spans = [span for prompt in self.prompts for span in (*prompt.prefix, *prompt.candidates)]
        return sum(len(span.token_ids) for span in spans)

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt with a candidate."""
        return max(prompt.length for prompt in self.prompts)


def encode_list(
    row: ListExample,
    dataset: Dataset,
    tokenizer: Tokenizer,
    *,
    family: Family,
    scoring: Scoring = "calibrated",
    context: int | None = None,
    codes: Codes | None = None,
) -> EncodedList:
    """The list's prompts with the labels of its demonstrations; raises `PromptError` as `encode_prompt` does."""
    example, kind = row.example, FAMILIES[family]
    how: dict[str, Any] = {"family": family, "context": context, "codes": codes, "candidates": row.candidates}
    prompt = prompt_of(example, dataset, tokenizer, **how)
    plain = None
    if kind.calibrates(scoring):
        plain = prompt_of(replace(example, history=(), demos=()), dataset, tokenizer, **how)
    answers = tuple(demo_labels(prompt, example, dataset, Balance()))
    return EncodedList(prompt, plain, answers, mean=kind.has_scorings and scoring == "mean")


@dataclass(frozen=True)
class ListScores:
    """What one pass says of some lists."""

    scores: list[Tensor]
    """Of each list, [candidate], in nats; a gradient flows where the network takes one."""
    answers: list[Tensor]
    """Of each list, the mean loss of its demonstrations' answers, a scalar; 0 where it shows none."""
    attention: float | None = None
    """Of a single list, the share of attention that the last token of the prompt pays to its demonstrations."""


def list_scores(
    network: Any, lists: Sequence[EncodedList], *, autocast: bool = False, look: bool = False
) -> ListScores:
    """Scores of all lists in one pass; what two prompts begin with is run once.

    With `look`, for a single list, the attention to demonstrations is written down, too (mean over layers and heads).
    The lists must all lie on one side of the turning point of rotations. Raises `ComputeError` when out of memory.
    """
    turn = turning_point(network.config)
    tree = Tree(stretched=any(beyond(turn, row.longest) for row in lists))
    queries = []
    for row in lists:
        queries.append(tree.root.grown(prefix_ids(row.prompt)))
        tree.plant(row.prompt, query=queries[-1])
        if row.plain is not None:
            tree.plant(row.plain)
    order = tree.order()
    forest = Forest(segments_of(order, order), stretched=tree.stretched)
    first = {node: forest.rows_of(place).start for place, node in enumerate(order)}
    places = [_rows_of_prompt(query, first) for query in queries]
    scored, terms = terms_of(order)
    labelled = {
        rows[label] for rows, row in zip(places, lists, strict=True) for part in row.answers for label in part.rows
    }
    rows = sorted({*scored, *labelled})
    probe = _probe(forest, lists[0].prompt, places[0]) if look else None
    try:
        with precision(network.device.type, autocast):
            logits, _ = run(network, forest, rows, probe=probe)
    except torch.OutOfMemoryError as error:
        raise ComputeError(
            f"out of memory on {network.device.type} with {len(forest.token_ids)} tokens at once",
            expected="smaller micro_tokens, fewer candidates, or another device",
        ) from error
    line = {row: number for number, row in enumerate(rows)}
    return ListScores(
        scores=_by_list(summed(logits, rows, terms, len(tree.ends)), lists),
        answers=[
            _answer_loss(logits, [line[place] for place in rows_of], row.answers)
            for rows_of, row in ((_label_rows(where, row), row) for where, row in zip(places, lists, strict=True))
        ],
        attention=None if probe is None else _share(probe),
    )


def list_losses(
    network: Any, lists: Sequence[EncodedList], *, answer_weight: float, temperature: float, autocast: bool = False
) -> Tensor:
    """Loss of each list, [list], in nats.

    It is the cross entropy of the first candidate under the softmax of scores / temperature, plus `answer_weight` times
    the mean loss of the demonstrations' answers.
    """
    outcome = list_scores(network, lists, autocast=autocast)
    ranked = [ranking_loss(scores / temperature) for scores in outcome.scores]
    return torch.stack(
        [place + answer_weight * answers for place, answers in zip(ranked, outcome.answers, strict=True)]
    )


def ranking_loss(scores: Tensor) -> Tensor:
    """Cross entropy of the first candidate under the softmax of scores [candidate]; a scalar."""
    return torch.logsumexp(scores, dim=0) - scores[0]


def list_groups(lists: Sequence[EncodedList], most_tokens: int, turn: int | None = None) -> Iterator[list[EncodedList]]:
    """The lists from the shortest to the longest, in groups of at most `most_tokens` tokens; a longer one is alone.

    Lists on different sides of the turning point `turn` of rotations are never in one group.
    """
    group: list[EncodedList] = []
    for row in sorted(lists, key=lambda row: (beyond(turn, row.longest), row.tokens)):
        apart = bool(group) and beyond(turn, group[-1].longest) != beyond(turn, row.longest)
        if group and (apart or sum(member.tokens for member in group) + row.tokens > most_tokens):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _rows_of_prompt(query: Node, first: dict[Node, int]) -> list[int]:
    """Row of the pass of each token of a prompt's prefix."""
    return [first[node] + place for node in query.line() for place in range(len(node.ids))]


def _label_rows(places: Sequence[int], row: EncodedList) -> list[int]:
    return [places[label] for part in row.answers for label in part.rows]


def _answer_loss(logits: Tensor, lines: Sequence[int], answers: Sequence[AnswerLabels]) -> Tensor:
    if not answers:
        return torch.zeros((), dtype=torch.float64)
    labels = torch.tensor([label for part in answers for label in part.labels], device=logits.device)
    shares = [part.weight / len(part.rows) / len(answers) for part in answers for _ in part.rows]
    each = cross_entropy(logits[torch.tensor(lines, device=logits.device)], labels, reduction="none")
    return (each.cpu().double() * torch.tensor(shares, dtype=torch.float64)).sum()


def _by_list(ends: Tensor, lists: Sequence[EncodedList]) -> list[Tensor]:
    scores, at = [], 0
    for row in lists:
        parts = []
        for prompt in row.prompts:
            part = ends[at : at + len(prompt.candidates)]
            at += len(prompt.candidates)
            lengths = torch.tensor([len(span.token_ids) for span in prompt.candidates], dtype=torch.float64)
            parts.append(part / lengths if row.mean else part)
        scores.append(parts[0] if row.plain is None else parts[0] - parts[1])
    return scores


def _probe(forest: Forest, prompt: Prompt, rows: Sequence[int]) -> Probe:
    """Looks from the last of the prompt's rows; part 0 is all demonstrations."""
    label_of = torch.ones(len(forest.token_ids), dtype=torch.long)
    start = len(prompt.instruction.token_ids)
    stop = start + sum(len(span.token_ids) for span in prompt.demos)
    label_of[torch.tensor(rows[start:stop], dtype=torch.long)] = 0
    return Probe(rows=torch.tensor(rows[-1:]), label_of=label_of, parts=1)


def _share(probe: Probe) -> float:
    return float(torch.stack([mass[..., 0].mean() for mass in probe.masses.values()]).mean())


def spread_share(scores: NDArray[np.float64], bare: NDArray[np.float64]) -> float:
    """Spread over candidates of what demonstrations add to the scores, over the spread of the scores; 0 without any."""
    whole = float(np.std(scores))
    return float(np.std(scores - bare)) / whole if whole > 0 else 0.0
