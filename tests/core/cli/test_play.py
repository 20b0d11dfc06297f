"""A play on the command line: what is asked, what is shown, and that the written command asks the same again."""

from __future__ import annotations

import shlex

import pytest

from core.analysis.explain.explanation import CandidateRow
from core.cli import command
from core.cli.step_lines import step_lines
from core.personal.personalise_task import (
    USUAL_CASE,
    DemoChange,
    ListRow,
    MovedRow,
    PersonaliseReport,
    PersonaliseTask,
    PlayedModel,
    StepRow,
)
from core.question.case_spec import CaseSpec
from core.question.command_line import command_line
from core.question.kinds import kind_of
from core.question.task import Provenance, Task
from core.work.envelope import enveloped, opened

TEXTS = ("dataset_id", "dataset_name", "model_id", "model_name", "device", "dtype", "created", "command")
MADE = Provenance(**dict.fromkeys(TEXTS, "x"), adapter=None, layers=1, heads=1, case_seed=0, versions={})
TITLES = ("Heat\x1b[2J", "Fargo", "Dune")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """What a command asks, instead of doing it."""
    seen: list[Task] = []
    monkeypatch.setattr(command, "_answer", lambda task, _: seen.append(task))
    return seen


def called(words: str) -> int:
    return command.status_of(lambda: command.app(shlex.split(words)[1:], standalone_mode=False))


def test_choices_left_out_are_those_of_the_shipped_adapter(asked: list[Task]) -> None:
    assert called("demolens personalise --user 7 --steps 2 --added 50:yes --added 3:no,4:yes --no-compare") == 0
    case = USUAL_CASE.model_copy(update={"user": "7"})
    assert asked == [PersonaliseTask(case=case, steps=2, added=("50:yes", "3:no", "4:yes"), compare=False)]


@pytest.mark.parametrize(
    "task",
    [
        PersonaliseTask(),
        PersonaliseTask(case=CaseSpec()),
        PersonaliseTask(case=CaseSpec(user="7", adapter="a folder", history=3), known=9, steps=0, compare=False),
        PersonaliseTask(case=USUAL_CASE.model_copy(update={"adapter": None}), added=("a:b:yes", "it's:no")),
    ],
)
def test_the_written_command_asks_the_same_again(asked: list[Task], task: PersonaliseTask) -> None:
    assert called(command_line(task)) == 0
    assert asked == [task]


def test_a_mistake_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert called("demolens personalise --added 50:maybe") == 2
    assert capsys.readouterr().err == (
        "demolens: personalise: added is '50:maybe'; expected item_id:yes or item_id:no\n"
    )


def test_help_says_what_a_play_takes_for_granted(capsys: pytest.CaptureFixture[str]) -> None:
    assert called("demolens personalise --help") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "How many demonstrations the strategy picks. [default: 4]" in said
    assert "[default: recicl]" in said


def _list(which: PlayedModel, scores: tuple[float, ...], ranks: tuple[int, ...], seconds: float = 0.25) -> ListRow:
    return ListRow(which=which, scores=scores, ranks=ranks, tokens=700, tokens_run=310, seconds=seconds)


def _step(number: int, lists: tuple[ListRow, ...]) -> StepRow:
    new = {"item_id": "5", "title": "Alien", "liked": number == 1, "position": 8, "timestamp": 70.0}
    kind = ("start", "stream", "added")[number]
    fields = dict.fromkeys(new) if number == 0 else new
    return StepRow.model_validate({"step": number, "kind": kind, **fields, "demo_ids": ("u:8",), "lists": lists})


def report() -> PersonaliseReport:
    candidates = tuple(
        CandidateRow(
            item_id=str(place),
            title=title,
            categories=(),
            popularity=1,
            is_target=place == 2,
            zero_shot_score=0.0,
            zero_shot_rank=1,
            score=0.0,
            rank=1,
        )
        for place, title in enumerate(TITLES)
    )
    first, second = (0.5, 0.25, -1.0), (0.5, 0.25, 2.0)
    stream = (
        _step(0, (_list("adapter", first, (1, 2, 3), 0.9), _list("base", first, (1, 2, 3)))),
        _step(1, (_list("adapter", second, (2, 3, 1)), _list("base", first, (1, 2, 3)))),
        _step(2, (_list("adapter", second, (2, 3, 1), 0.35), _list("base", first, (1, 2, 3)))),
    )
    moved = (
        MovedRow(which="adapter", demo_id="u:8", title="Alien", answer="Yes", effects=(0.0, 0.0, 1.5), ranks=(1, 2, 3)),
        MovedRow(which="base", demo_id="u:8", title="Alien", answer="Yes", effects=(-0.25, 0.0, 0.0), ranks=(1, 2, 3)),
    )
    return PersonaliseReport(
        task=PersonaliseTask(case=CaseSpec(user="7"), added=("5:yes",)),
        stage="complete",
        provenance=MADE,
        tokens=400,
        candidates=candidates,
        stream=stream,
        moved=moved,
        weights_before="ab" * 32,
        weights_after="ab" * 32,
        full_seconds=0.75,
        notices=("a\x07b",),
    )


def test_the_table_shows_each_step_with_its_list_and_moves() -> None:
    lines = step_lines(report())
    assert all(line.isprintable() for line in lines)
    at = lines.index("Step 1: Alien = liked, 1 demonstration")
    assert lines[at + 1] == "  adapter: 250 ms, 310 of 700 tokens run"
    assert [line.split()[:3] for line in lines[at + 2 : at + 5]] == [
        ["1", "+2", "+2.000"],
        ["2", "-1", "+0.500"],
        ["3", "-1", "+0.250"],
    ]
    assert lines[at + 2].endswith("Dune  <- chosen next")
    assert lines[at + 5] == "  base: 250 ms, 310 of 700 tokens run"
    assert "Step 0: the list before the play, 1 demonstration" in lines
    assert "Step 2: Alien = not liked, made by hand, 1 demonstration" in lines


def test_the_table_ends_with_what_moved_the_list_and_what_it_cost() -> None:
    lines = step_lines(report())
    at = lines.index("adapter: nats by which the margin over the field of Dune falls without each, and its place then")
    assert lines[at + 1].split() == ["+1.500", "3", "Alien", "=", "Yes"]
    assert lines[at + 2].startswith("base: nats by which the margin over the field of Heat\\x1b")
    assert lines[at + 3].split()[0] == "-0.250"
    assert "Median step: adapter 300 ms, base 250 ms. The last prompt from scratch takes 750 ms." in lines
    assert f"Weights before and after, unchanged: SHA-256 {'ab' * 32}" in lines


def test_the_table_says_what_joined_and_left_and_what_the_steps_ran() -> None:
    whole = report()
    news = DemoChange(demo_id="u:8", user_id="7", title="Alien", source="recent", by_time=False)
    near = DemoChange(demo_id="v:1", user_id="v\x1b", title="Heat\x1b", source="neighbours", by_time=False)
    late = tuple(near.model_copy(update={"demo_id": f"w:{place}", "by_time": True}) for place in range(5))
    step = whole.stream[1].model_copy(update={"demo_id": "u:8", "joined": (news, near), "left": late})
    lines = step_lines(whole.model_copy(update={"stream": (whole.stream[0], step)}))
    at = lines.index("Step 1: Alien = liked, 1 demonstration")
    assert lines[at + 1] == "  1 neighbour's choice joined: Heat\\x1b of user v\\x1b."
    assert lines[at + 2].startswith("  5 neighbours' choices left as time went on: Heat\\x1b of user v\\x1b; ")
    assert lines[at + 2].endswith("; 2 more.")
    share = "Tokens of their prompts that the steps ran: adapter 44 %, base 44 %."
    assert f"{share} Picking demonstrations: 0.0 s a step." in lines


def test_a_play_that_is_not_over_has_a_table_too() -> None:
    whole = report()
    begun = whole.model_copy(update={"stream": whole.stream[:1], "moved": (), "full_seconds": None})
    lines = step_lines(begun.model_copy(update={"weights_after": None}))
    assert sum(line.startswith("Step") for line in lines) == 1
    assert not any("SHA-256" in line or "from scratch" in line for line in lines)


def test_a_stored_play_is_read_again() -> None:
    task = PersonaliseTask(case=CaseSpec(user="7"), added=("5:yes",))
    assert kind_of(task).name == "personalise"
    assert opened(enveloped(task, report().model_dump_json())) == report()
