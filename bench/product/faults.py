"""What do kills and damaged files cost? Kills at random moments and every way of damage to every kind of file.

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
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Any

from bench.clock import Clock
from bench.product.damage import WAYS, restored
from bench.product.kills import KILLS, Field, Harm
from bench.results_table import Row, row
from bench.tiny import write_wheel
from core.analysis.request import Request
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

FULL = 30
"""Cases of the whole part: every kill and every way; fewer cases try that share of them."""
STUCK_SECONDS = 180
SLOW_WAYS = ("cut", "bit flipped, same size and time", "missing", "a folder")
"""Ways that are tried on the weights, which take a conversion each."""
WEIGHTS = ("complete.json", "config.json", "model.safetensors", "tokenizer.json")
"""Files of a converted model that are damaged."""
KEY = "c0ffee" * 8
INSTRUCTION, DEMOS = (1, 5, 6), ((7, 8, 9), (10, 11))
Use = Callable[[], object]


def faults(cases: int, seed: int) -> Iterator[list[Row]]:
    """Rows about kills, then about damaged files."""
    share = min(cases / FULL, 1.0)
    with _own_home() as folder:
        rows: list[Row] = []
        for rows in _killed(Field(folder, seed), share):
            yield rows
        yield [*rows, *_damaged(folder, share, seed)]


@contextlib.contextmanager
def _own_home() -> Iterator[Path]:
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="demolens-faults-") as name:
        # Without an index no worker fetches the sample model to warm up.
        os.environ.update({VARIABLE: str(Path(name) / "home"), "PIP_NO_INDEX": "1"})
        try:
            yield Path(name)
        finally:
            os.environ.clear()
            os.environ.update(before)


def _killed(field: Field, share: float) -> Iterator[list[Row]]:
    harm, kills, rows = Harm(), 0, []
    clock = Clock("kills", sum(math.ceil(often * share) for _, often in KILLS.values()))
    for name, (tried, often) in KILLS.items():
        own = Harm()
        for one in tried(field, math.ceil(often * share)):
            own += one
            clock.tell(name)
        kills += math.ceil(often * share)
        harm += own
        total = sum(getattr(own, one.name) for one in fields(own))
        rows.append(row(f"kills: {name}, {math.ceil(often * share)} times, harm", (total,), "<= 0"))
        yield rows
    rows.append(row("kills", (kills,), ">= 141" if share == 1.0 else None))
    rows += [row(f"kills: {one.name.replace('_', ' ')}", (getattr(harm, one.name),), "<= 0") for one in fields(harm)]
    yield rows


def _damaged(folder: Path, share: float, seed: int) -> list[Row]:
    chance = random.Random(seed)
    uses = _uses(folder)
    tried = [(path, use, right, way) for path, use, right, ways in uses for way in ways]
    tried = chance.sample(tried, math.ceil(len(tried) * share))
    counts = dict.fromkeys(("wrong", "crashed", "stuck", "not mended"), 0)
    clock = Clock("damaged files", len(tried))
    for path, use, right, way in tried:
        outcome = _outcome(path, use, right, way, chance)
        clock.tell(f"{path.name}, {way}: {outcome}")
        if outcome in counts:
            counts[outcome] += 1
    rows = [row("damaged files: ways", (len(tried),), ">= 103" if share == 1.0 else None)]
    return rows + [row(f"damaged files: {name}", (count,), "<= 0") for name, count in counts.items()]


def _outcome(path: Path, use: Use, right: object, way: str, chance: random.Random) -> str:
    """What comes of using a damaged file twice."""
    whole = Path(tempfile.gettempdir()) / f"demolens-whole-{os.getpid()}"
    shutil.copy2(path, whole)
    WAYS[way](path, chance)
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
        restored(path, whole)
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
    """Every kind of file in the home: where it lies, what uses it, what is right, and how it is damaged."""
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
        return forecaster.forecast(Request())

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
    return [(path, use, use(), SLOW_WAYS if "models" in path.parts else tuple(WAYS)) for path, use in uses]


def _source_of(data: Path) -> str:
    """The note about the files of this folder."""
    inter, item = data / f"{data.name}.inter", data / f"{data.name}.item"
    return f"datasets/sources/{source_name(inter, item, (content_hash(inter), content_hash(item)))}.json"


def _note_of(file: Path) -> str:
    """The note about the hash of this file."""
    notes = (home() / "hashes").iterdir()
    return next(f"hashes/{note.name}" for note in notes if (unsealed(note) or {}).get("key", [""])[0] == str(file))


def _encodings(model: LanguageModel) -> object:
    return [[tensor.tolist() for tensor in (*one.keys, *one.values)] for one in Encoded(model, INSTRUCTION, DEMOS)]
