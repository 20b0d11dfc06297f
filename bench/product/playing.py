"""Playing whole games ahead, by several processes, and how long part `faithfulness` will take here."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence

import torch

from bench import plain_forward
from bench.case_list import Bench, open_bench, packed_ids
from bench.product.whole_games import GameSubject, game_subjects, is_played, whole_game
from bench.timing import Clock, timed

RACE_PASSES = 110.0
"""Full-prompt forwards, all candidates packed, of what is timed and of the other methods on one prompt."""
RIVAL_SECONDS = 90.0
"""Of the rivals' packages on one prompt, once their environment is there."""
GAIN = 0.95
"""Of a further process: two hyperthreads share one core's units in part."""


def forecast_text(bench: Bench, subjects: Sequence[GameSubject], processes: int) -> str:
    """One line: how long what is not stored yet takes, by the time of one plain forward pass on one thread."""
    fresh = [subject for subject in subjects if not is_played(subject)]
    rate = tokens_per_second(bench, subjects[0])
    games = sum(subject.game_tokens for subject in fresh) / rate / (1 + GAIN * (processes - 1)) / 60
    lengths = sum(len(packed_ids(subject.setting.prompt)) for subject in subjects)
    races = RACE_PASSES * lengths / rate / 60
    rivals = RIVAL_SECONDS * len(subjects) / 60
    return (
        f"faithfulness: about {games + races + rivals:.0f} min for {len(subjects)} cases at {rate:.0f} tokens/s a "
        f"thread: {len(fresh)} whole games {games:.0f} (processes: {processes}), methods and times {races:.0f}, "
        f"rivals' packages {rivals:.0f}; less for what is stored"
    )


def tokens_per_second(bench: Bench, subject: GameSubject) -> float:
    """Of a plain forward pass over a prompt with all candidates, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ids = packed_ids(subject.setting.prompt)
        seconds = min(timed(lambda: plain_forward.forward(bench.untouched, ids))[0] for _ in range(3))
    finally:
        torch.set_num_threads(threads)
    return len(ids) / seconds


def play(bench: Bench, subjects: Sequence[GameSubject], processes: int) -> None:
    """Play all games that are not stored, shared among so many processes of one thread each."""
    if processes > 1 and not all(map(is_played, subjects)):
        spawned = multiprocessing.get_context("spawn")
        workers = [
            spawned.Process(target=play_share, args=(bench.seed, len(subjects), share, processes))
            for share in range(processes)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    clock = Clock("whole games", len(subjects))
    for subject in subjects:  # What a process left undone is played here.
        whole_game(subject)
        clock.tick(subject.kind.name)


def play_share(seed: int, count: int, share: int, processes: int) -> None:
    """Play every `processes`-th game of the sample, from game number `share` on."""
    bench = open_bench(seed)
    torch.set_num_threads(1)
    for number, subject in enumerate(game_subjects(bench, bench.users(), count)):
        if number % processes == share:
            whole_game(subject)
