"""The harm of kills at random moments, and of every way of damage to every kind of stored file.

All of it happens in a home of its own, with a tiny model and tiny data.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple
from pathlib import Path
from types import FrameType
from typing import Any

from bench.constants import CASES
from bench.product.damage import DAMAGES, restore
from bench.product.kills import KILLS, Harm, KillField
from bench.product.tiny_material import write_wheel
from bench.results_table import ResultRow, as_row
from bench.timing import Clock
from core.analysis.explain.explain_task import Explain
from core.data.dataset import open_dataset
from core.data.stored import source_name
from core.errors import DemoLensError
from core.lm.loading.gguf_convert import converted
from core.lm.loading.hashes import file_hash
from core.lm.loading.load import LanguageModel, load
from core.lm.scoring.encoded import Encoded
from core.store.home import VARIABLE, home
from core.store.material import extracted
from core.store.results import Results
from core.store.sealed import content_hash, unsealed
from core.work.forecast import Forecaster

STUCK_SECONDS = 180
SLOW_WAYS = ("cut", "bit flipped, same size and time", "missing", "a folder")
"""Ways that are trials on the weights, which take a conversion each."""
WEIGHTS = ("complete.json", "config.json", "model.safetensors", "tokenizer.json")
"""Files of a converted model that are damaged."""
KEY = "c0ffee" * 8
INSTRUCTION, DEMOS = (1, 5, 6), ((7, 8, 9), (10, 11))
Use = Callable[[], object]


def faults(cases: int, seed: int) -> Iterator[list[ResultRow]]:
    """Rows about kills, then about damaged files; fewer `cases` than `CASES` try that share of them."""
    share = min(cases / CASES, 1.0)
    with temporary_home() as folder:
        rows: list[ResultRow] = []
        for rows in _kill_rows(KillField(folder, seed), share):
            yield rows
        yield [*rows, *_damage_rows(folder, share, seed)]


@contextlib.contextmanager
def temporary_home() -> Iterator[Path]:
    """A folder for the faults, with a home of DemoLens in it that is gone after the block."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="demolens-faults-") as name:
        # Without an index no worker fetches the sample model to warm up.
        os.environ.update({VARIABLE: str(Path(name) / "home"), "PIP_NO_INDEX": "1"})
        try:
            yield Path(name)
        finally:
            os.environ.clear()
            os.environ.update(before)


def _kill_rows(field: KillField, share: float) -> Iterator[list[ResultRow]]:
    counts = {name: math.ceil(often * share) for name, (_, often) in KILLS.items()}
    harm, rows, clock = Harm(), [], Clock("kills", sum(counts.values()))
    for name, (attempt, _) in KILLS.items():
        part = Harm()
        for each in attempt(field, counts[name]):
            part += each
            clock.tick(name)
        harm += part
        rows.append(as_row(f"kills: {name}, {counts[name]} times, harm", (sum(astuple(part)),), "<= 0"))
        yield rows
    rows.append(as_row("kills", (sum(counts.values()),), ">= 141" if share == 1.0 else None))
    rows += [as_row(f"kills: {kind.replace('_', ' ')}", (count,), "<= 0") for kind, count in asdict(harm).items()]
    yield rows


def _damage_rows(folder: Path, share: float, seed: int) -> list[ResultRow]:
    chance = random.Random(seed)
    uses = _uses(folder)
    trials = [(path, use, right, way) for path, use, right, ways in uses for way in ways]
    trials = chance.sample(trials, math.ceil(len(trials) * share))
    counts = dict.fromkeys(("wrong", "crashed", "stuck", "not mended"), 0)
    clock = Clock("damaged files", len(trials))
    for path, use, right, way in trials:
        outcome = _outcome(path, use, right, way, chance)
        clock.tick(f"{path.name}, {way}: {outcome}")
        if outcome in counts:
            counts[outcome] += 1
    rows = [as_row("damaged files: ways", (len(trials),), ">= 103" if share == 1.0 else None)]
    return rows + [as_row(f"damaged files: {name}", (count,), "<= 0") for name, count in counts.items()]


def _outcome(path: Path, use: Use, right: object, way: str, chance: random.Random) -> str:
    """The outcome of using a damaged file twice."""
    whole = Path(tempfile.gettempdir()) / f"demolens-whole-{os.getpid()}"
    shutil.copy2(path, whole)
    DAMAGES[way](path, chance)
    try:
        with _at_most(STUCK_SECONDS):
            first, second = use(), use()
        outcome = "right" if (first, second) == (right, right) else "wrong"
        return outcome if outcome == "wrong" or path.is_file() else "not mended"
    except DemoLensError as error:
        return f"refused: {error}"
    except TimeoutError:
        return "stuck"
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return "crashed"
    finally:
        restore(path, whole)
        whole.unlink()


@contextlib.contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def late(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _uses(folder: Path) -> list[tuple[Path, Use, Any, tuple[str, ...]]]:
    """Every kind of file in the home: its path, what uses it, the right result, and how it is damaged."""
    data, gguf = folder / "books", folder / "tiny.gguf"
    store, material = Results(), write_wheel(home() / "wheels")
    model = load(str(gguf), device="cpu")
    uses: list[tuple[Path, Use]] = []

    def rows() -> object:
        dataset = open_dataset(str(data))
        titles = [item.title for item in dataset.all_items()]
        return dataset.dataset_id, dataset.notices, titles, [dataset.history(user) for user, _ in dataset.users()]

    def result() -> object:
        if store.load(KEY) is None:
            store.save(KEY, "found")
        return store.load(KEY)

    def weights() -> object:
        return {path.name: content_hash(path) for path in converted(gguf, where="tiny").iterdir()}

    def forecast() -> object:
        forecaster = Forecaster()
        forecaster.calibrate(0.001)
        return forecaster.forecast(Explain())

    def files(*names: str) -> list[Path]:
        return [path for name in names for path in sorted(home().glob(name)) if path.is_file()]

    for use, names in (
        (rows, (f"datasets/{open_dataset(str(data)).dataset_id}/*", _source_of(data))),
        (result, (f"results/{KEY}.result",)),
        (lambda: file_hash(gguf, where="tiny"), (_note_of(gguf),)),
        (forecast, ("forecast.json",)),
        (lambda: _encodings(model), ("encodings/*",)),
        (lambda: (extracted(material) / "a.txt").read_bytes(), ("material/toy-thing-*/*",)),
        (weights, tuple(f"models/*/{name}" for name in WEIGHTS)),
    ):
        use()
        uses += [(path, use) for path in files(*names)]
    return [(path, use, use(), SLOW_WAYS if "models" in path.parts else tuple(DAMAGES)) for path, use in uses]


def _source_of(data: Path) -> str:
    """The note about the files of this folder."""
    inter, item = data / f"{data.name}.inter", data / f"{data.name}.item"
    return f"datasets/sources/{source_name(inter, item, (content_hash(inter), content_hash(item)))}.json"


def _note_of(file: Path) -> str:
    """The note about the hash of this file."""
    notes = (home() / "hashes").iterdir()
    return next(f"hashes/{note.name}" for note in notes if (unsealed(note) or {}).get("key", [""])[0] == str(file))


def _encodings(model: LanguageModel) -> object:
    encoded = Encoded(model, INSTRUCTION, DEMOS)
    return [[tensor.tolist() for tensor in (*memory.keys, *memory.values)] for memory in encoded]
