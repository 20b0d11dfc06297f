"""The later interactions and lists of an evaluation, their prompts, and the scores of references.

All of them lie in a window after the training cut. A score may use what the user did strictly before the interaction,
and the weights as they were trained: nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from core.data.dataset import Dataset
from core.errors import RequestError
from core.lm.loading.load import LanguageModel
from core.metrics.intervals import Floats
from core.prompt.families import FAMILIES, Family
from core.prompt.spans import Prompt
from core.seeds import generator
from core.tuning.classical.references import Reference
from core.tuning.examples import Example, Window, examples_in, prompt_of


@dataclass(frozen=True)
class CandidateList:
    """One list to rank: an item really chosen and liked, among items that its user never met."""

    examples: Mapping[Family, Example]
    """`next_item`, and `yes_no` where the data have ratings."""
    candidates: tuple[str, ...]
    target: int
    """Place of the item really chosen."""

    @property
    def user_id(self) -> str:
        """Whose list it is."""
        return self.examples["next_item"].user_id


def draw_examples(
    dataset: Dataset, window: Window, *, count: int, demos: int, history: int, seed: int = 0
) -> tuple[Example, ...]:
    """`count` interactions of the window that have a demonstration, both answers as they come, in drawn order.

    Fewer where the window has no more. A smaller `count` gives the beginning of a larger one. Raises `RequestError`
    for a window without any.
    """
    pool = [example for example in examples_in(dataset, window, demos=demos, history=history) if example.demos]
    if not pool:
        raise RequestError("no interaction to ask about", expected="a later one of a user with an earlier one")
    order = generator("evaluate", dataset.dataset_id, seed).permutation(len(pool))
    return tuple(pool[int(place)] for place in order[:count])


def draw_lists(
    dataset: Dataset,
    window: Window,
    *,
    count: int,
    candidates: int,
    demos: int,
    history: int,
    seed: int = 0,
    families: Sequence[Family] = tuple(FAMILIES),
) -> tuple[CandidateList, ...]:
    """`count` lists of `candidates` items: the first interaction that each user liked in the window, users as drawn.

    Where the users do not suffice, their second ones follow, and so on; fewer where the window has no more. The
    other candidates are uniform among the items that the user never met. The same lists serve all `families`, of
    which `next_item` must be one.
    """
    pools = {family: _pool(dataset, window, family, demos, history) for family in families}
    queues: dict[str, list[tuple[str, int]]] = {}
    for key in sorted(set.intersection(*(set(pool) for pool in pools.values()))):
        queues.setdefault(key[0], []).append(key)
    users = sorted(queues)
    order = [users[int(place)] for place in generator("lists", dataset.dataset_id, seed).permutation(len(users))]
    most = max(map(len, queues.values()), default=0)
    keys = [queues[user][turn] for turn in range(most) for user in order if turn < len(queues[user])]
    rows = [{family: pools[family][key] for family in families} for key in keys[:count]]
    return tuple(_candidate_list(dataset, row, candidates, seed) for row in rows)


def _pool(dataset: Dataset, window: Window, family: Family, demos: int, history: int) -> dict[tuple[str, int], Example]:
    """Examples with a demonstration, by user and position."""
    rows = examples_in(dataset, window, demos=demos, history=history, family=family)
    return {(row.user_id, row.position): row for row in rows if row.demos}


def _candidate_list(dataset: Dataset, examples: dict[Family, Example], count: int, seed: int) -> CandidateList:
    query = examples["next_item"]
    catalogue = dataset.catalogue
    free = catalogue.others(row.item_id for row in dataset.history(query.user_id))
    if len(free) < count - 1:
        raise RequestError(f"{len(free)} items that the user never met", expected=f"{count - 1} to rank against")
    random = generator("candidates", dataset.dataset_id, query.user_id, query.position, count, seed)
    others = [catalogue.ids[int(place)] for place in random.choice(free, count - 1, replace=False)]
    place = int(random.integers(count))
    return CandidateList(examples, (*others[:place], query.item_id, *others[place:]), place)


def fewer(example: Example, demos: int) -> Example:
    """The example with its `demos` most recent demonstrations only."""
    return replace(example, demos=example.demos[max(0, len(example.demos) - demos) :])


def answer_prompts(model: LanguageModel, dataset: Dataset, examples: Sequence[Example], *, demos: int) -> list[Prompt]:
    """Prompts that end where the answer Yes or No stands next, with at most `demos` demonstrations each."""
    return _prompts(model, dataset, [(example, None) for example in examples], demos, "yes_no")


def list_prompts(
    model: LanguageModel, dataset: Dataset, lists: Sequence[CandidateList], *, family: Family, demos: int
) -> list[Prompt]:
    """Prompts with all candidates of each list, and at most `demos` demonstrations."""
    return _prompts(model, dataset, [(row.examples[family], row.candidates) for row in lists], demos, family)


def _prompts(
    model: LanguageModel,
    dataset: Dataset,
    rows: Sequence[tuple[Example, tuple[str, ...] | None]],
    demos: int,
    family: Family,
) -> list[Prompt]:
    codes = model.codes_for(dataset.dataset_id)
    write = partial(prompt_of, dataset=dataset, tokenizer=model.tokenizer, family=family, context=model.context)
    return [write(fewer(example, demos), codes=codes, candidates=candidates) for example, candidates in rows]


def answers_of(
    reference: Reference, dataset: Dataset, examples: Sequence[Example], *, until: float | None = None
) -> Floats:
    """A reference's score of each example's item, (example,); it sees the user's liked items before the interaction.

    `until` hides what came at or after that timestamp, as for a model that gets nothing new after its training.
    """
    rows = ((row, liked_before(dataset, row, until=until)) for row in examples)
    return np.array([reference.scores(row.user_id, history, (row.item_id,))[0] for row, history in rows], np.float64)


def list_scores_of(
    reference: Reference, dataset: Dataset, lists: Sequence[CandidateList], *, until: float | None = None
) -> Floats:
    """A reference's scores of every list's candidates, [list, candidate]; `until` as in `answers_of`."""
    rows = ((row, liked_before(dataset, row.examples["next_item"], until=until)) for row in lists)
    return np.array([reference.scores(row.user_id, history, row.candidates) for row, history in rows], np.float64)


def liked_before(dataset: Dataset, example: Example, *, until: float | None = None) -> tuple[str, ...]:
    """Items that the user liked strictly before the example's interaction (and before `until`), oldest first.

    Without timestamps earlier positions count as before.
    """
    earlier = dataset.history(example.user_id)[: example.position]
    bounds = [bound for bound in (example.timestamp, until) if bound is not None]
    return tuple(
        row.item_id
        for row in earlier
        if dataset.liked(row) and all(row.timestamp is None or row.timestamp < bound for bound in bounds)
    )
