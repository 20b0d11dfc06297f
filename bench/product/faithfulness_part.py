"""Part `faithfulness`: our default, its rivals and other methods on the same prompts, whose every subset is scored."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from bench import plain_forward
from bench.case_list import Bench
from bench.constants import BUILD
from bench.product import contextcite
from bench.product.curves import curves_json
from bench.product.figures_of_game import GameFigures, figures_of_game
from bench.product.game_rows import game_rows
from bench.product.list_race import list_race, race_rows
from bench.product.method_faithfulness import (
    CITE,
    DEFAULT,
    ROUNDS,
    CaseFigures,
    by_family,
    by_family_text,
    figures_of,
    rows_of,
)
from bench.product.method_records import Measurement, record_of
from bench.product.package_rivals import one_pass_effects
from bench.product.playing import forecast_text, play
from bench.product.whole_games import GameSubject, WholeGame, game_subjects, whole_game
from bench.record_store import GAME_RECORDS, CaseRecord
from bench.results_table import ResultRow, write_json
from bench.timing import Clock


def faithfulness(bench: Bench, count: int, processes: int = 1) -> Iterator[list[ResultRow]]:
    """Rows so far, after every case; the curves lie in `build/bench-curves.json`.

    Every prompt is scored at all subsets of its demonstrations first, by so many processes; what is promised is
    measured on all prompts next, and the other methods last. Each measurement of a prompt is stored, so that a run that
    was cut short goes on where it stopped.
    """
    subjects = list(game_subjects(bench, bench.users(), count))
    sys.stderr.write(forecast_text(bench, subjects, processes) + "\n")
    play(bench, subjects, processes)
    _warm_up(bench, subjects[0])
    clock = Clock("faithfulness", (1 + len(ROUNDS)) * len(subjects))
    cases: list[CaseFigures] = []
    games: list[GameFigures] = []
    races: list[CaseRecord] = []
    for subject in subjects:
        game = whole_game(subject)
        races.append(seconds_of(bench, subject))
        cases.append(case_of(bench, subject, game, ROUNDS[0]))
        clock.tick(f"{subject.kind.name}: default {cases[-1].lds[DEFAULT]:.2f}, 64 abl. {cases[-1].lds[CITE]:.2f}")
        yield _rows(cases, races, games)
    for subject in subjects:
        games.append(figures_of_game(whole_game(subject), *one_pass_effects(subject)))
        clock.tick(f"{subject.kind.name}: rivals")
        yield _rows(cases, races, games)
    for place, subject in enumerate(subjects):
        cases[place] = case_of(bench, subject, whole_game(subject), ROUNDS[1])
        clock.tick(f"{subject.kind.name}: other methods")
        yield _rows(cases, races, games)
    print(by_family_text(cases))
    print(contextcite.FOOTNOTE, end="\n\n")


def case_of(bench: Bench, subject: GameSubject, game: WholeGame, measurements: tuple[Measurement, ...]) -> CaseFigures:
    """The figures of a prompt about the own score; its scores at every subset are those of the game."""
    own = replace(bench, model=subject.setting.model)
    return figures_of(record_of(own, subject.prompt_subject, game.scores[:, game.target], measurements))


def seconds_of(bench: Bench, subject: GameSubject) -> CaseRecord:
    """The race of a prompt by the wall clock, stored."""
    prompt, setting = subject.setting.prompt, subject.setting
    spans = [span.token_ids for span in (*prompt.prefix, *prompt.candidates)]
    question = [setting.model.model_id, prompt.answer_ids, spans, setting.targets[0]]
    return GAME_RECORDS.record("seconds", question, partial(list_race, subject, bench.untouched), user=subject.user)


def _warm_up(bench: Bench, subject: GameSubject) -> None:
    """Run either network twice: the first pass also pays for loading and allocations."""
    first = subject.prompt_subject
    for _ in range(2):
        plain_forward.target_score(bench.untouched, first)
        first.score(subject.setting.model).at(np.ones((1, len(first.prompt.demos)), dtype=bool))


def _rows(cases: Sequence[CaseFigures], races: Sequence[CaseRecord], games: Sequence[GameFigures]) -> list[ResultRow]:
    write_json(BUILD / "bench-curves.json", curves_json(by_family(cases)))
    by_clock = race_rows(races, f"{len(races)} cases")
    return [*rows_of(cases), *by_clock, *(game_rows(games) if games else ())]
