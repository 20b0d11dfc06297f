"""The users of other people's data that parts `lrgd` and `recicl` are measured on, and their candidates.

A data set is a folder in RecBole's atomic format. Where a file of candidates lies beside it, the protocol is that of
LLMRank (Hou and others, arXiv 2305.08845): the user's last item is the target, everything before it the history, and
the candidates are the first 19 of the user's list with the target among them. No default was tuned on such data, so
no user is left out for that. Timestamps are not taken for dates, only their order matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.case_list import Bench
from bench.constants import CANDIDATES, DEMOS
from core.data.cases import case_of
from core.data.dataset import Dataset, open_dataset
from core.data.duck import first_row
from core.errors import DataError
from core.prompt.families import Family
from core.question.case_spec import CaseSpec
from core.seeds import generator

CANDIDATE_FILE = "candidates_200.random"
"""One user a line, a tab, and item ids with spaces between them."""
LEAST_INTERACTIONS = 5
"""A choice and the four before it."""
LEAST_RANKED = 4
"""Fewer demonstrations are not ranked by worth."""
TITLES: int = CaseSpec().history
"""Most titles that a prompt shows of a history."""


@dataclass(frozen=True)
class FolderBench(Bench):
    """The sample model on data that a folder holds."""

    folder: str
    lists: Mapping[str, tuple[str, ...]]
    """Items to rank the target against, by user; empty where the data come without."""

    def users(self) -> Iterator[str]:
        """Users with enough interactions, in the order of the seed; those with a list where there are any."""
        return iter(self._drawn("bench"))

    def ranked(self) -> Iterator[tuple[str, int]]:
        """Users and as many demonstrations, up to `DEMOS`, as leave one earlier choice out of the prompt.

        That choice is the proxy target of the gain; histories here are often too short to have one.
        """
        for user in self._drawn("utility"):
            demos = min(DEMOS, len(case_of(self.dataset, user).history) - TITLES - 1)
            if demos >= LEAST_RANKED:
                yield user, demos

    def case(self, user: str, family: Family, *, demos: int = DEMOS, candidates: int = CANDIDATES) -> CaseSpec:
        """The spec about a user's latest choice, with candidates from the user's list where there are lists."""
        return CaseSpec(
            dataset=self.folder,
            user=user,
            family=family,
            demos=demos,
            strategy="recent",
            candidates=candidates,
            candidate_ids=self._candidates(user, candidates) if self.lists else None,
        )

    def notes(self) -> tuple[str, ...]:
        """The data set's own notices, the protocol, and what the ratings and timestamps allow to say."""
        listed = (
            f"the first {CANDIDATES - 1} of each list in {CANDIDATE_FILE} and the target, in an order drawn by user"
        )
        sampled = f"the target and {CANDIDATES - 1} items that the user never met, drawn at random"
        sentences = [
            *self.dataset.notices,
            f"The candidates are {listed if self.lists else sampled}.",
            f"A prompt shows the latest {TITLES} liked titles of a history.",
        ]
        if not self.dataset.has_ratings:
            sentences.append(
                "All true answers are Yes: figures that need both answers are not defined here, and yes_no shows only"
                " how the target ranks among items never met."
            )
        if _restarts(self.dataset):
            sentences.append(
                "Timestamps begin anew with every user: others' interactions count as earlier when their place in"
                " their own history is."
            )
        return tuple(sentences)

    def _drawn(self, purpose: str) -> list[str]:
        counts = self.dataset.users(limit=self.dataset.size["users"])
        users = [
            user for user, count in counts if count >= LEAST_INTERACTIONS and (not self.lists or user in self.lists)
        ]
        order = generator(purpose, self.dataset.dataset_id, self.seed).permutation(len(users))
        return [users[place] for place in order]

    def _candidates(self, user: str, count: int) -> tuple[str, ...]:
        target = self.dataset.history(user)[-1].item_id
        items = [target, *(item for item in self.lists[user] if item != target)][:count]
        order = generator("given candidates", self.dataset.dataset_id, user).permutation(len(items))
        return tuple(items[place] for place in order)


def bench_of_folder(bench: Bench, folder: str) -> Bench:
    """The bench itself for `sample`, else its model on the data of a folder. Raises `DataError`s with one sentence."""
    if folder == "sample":
        return bench
    dataset = open_dataset(folder)
    path = Path(folder).expanduser()
    return FolderBench(bench.model, dataset, bench.seed, str(path), candidate_lists(path / CANDIDATE_FILE, dataset))


def candidate_lists(path: Path, dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Item ids by user, each once, in the order of the file; empty where there is no file.

    Raises `DataError` naming the line of a user or item that the data set does not have, or without a tab.
    """
    if not path.is_file():
        return {}
    users = {user for user, _ in dataset.users(limit=dataset.size["users"])}
    lists: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").split("\n"), start=1):
        if not line.strip():
            continue
        user, tab, items = line.partition("\t")
        where = f"{path.name}, line {number}"
        if not tab:
            raise DataError("there is no tab", expected="a user, a tab, and item ids", where=where)
        if user not in users:
            raise DataError(f"user {user[:60]!r} is not in {dataset.name}", where=where)
        unknown = next((item for item in items.split() if item not in dataset.catalogue), None)
        if unknown is not None:
            raise DataError(f"item {unknown[:60]!r} is not in {dataset.name}", where=where)
        lists[user] = tuple(dict.fromkeys(items.split()))
    return lists


def _restarts(dataset: Dataset) -> bool:
    """Whether most users begin at the same timestamp, so that timestamps only order a user's own interactions."""
    starts = "SELECT min(timestamp) AS first FROM interactions GROUP BY user_id"
    query = f"SELECT max(users) FROM (SELECT count(*) AS users FROM ({starts}) GROUP BY first)"
    (most,) = first_row(dataset.cursor(), query)
    return dataset.has_time and dataset.size["users"] > 1 and 2 * int(str(most)) > dataset.size["users"]
