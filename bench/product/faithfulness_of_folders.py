"""Our model of the list on whole games of data in folders: the intervals, and how well it foretells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.case_list import Bench
from bench.product.figures_of_game import GameFigures, our_figures
from bench.product.game_rows import our_rows
from bench.product.whole_games import game_subjects, whole_game
from bench.results_table import ResultRow
from bench.timing import Clock


def faithfulness_of_folders(benches: Sequence[Bench], count: int) -> Iterator[list[ResultRow]]:
    """Rows so far, after every whole game; `count` games of every data set."""
    clock = Clock("whole games", count * len(benches))
    rows: list[ResultRow] = []
    for bench in benches:
        games: list[GameFigures] = []
        before = rows
        for subject in game_subjects(bench, bench.users(), count):
            games.append(our_figures(whole_game(subject)))
            clock.tick(f"{bench.dataset.name} {subject.kind.name}")
            rows = [*before, *our_rows(games, f"{bench.dataset.name}, {len(games)} whole games")]
            yield rows
