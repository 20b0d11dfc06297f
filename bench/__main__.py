"""Measure DemoLens: `python -m bench --part speed,faithfulness,app --cases 30`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator

from bench.results_table import BUILD, PARTS, Row, Run, commit, text_of
from core.errors import DemoLensError

DATA = "a folder with the data to measure on instead of the sample; repeat the option for several"


def main() -> None:
    """Run the parts that were asked for; each is written to `build/bench.json` as far as it has come."""
    wanted = _options()
    run = Run(commit(), wanted.seed)
    missed = 0
    for part in (name for name in PARTS if name in wanted.part):
        rows: list[Row] = []
        name = f"{part} on other data" if wanted.data else part
        for rows in _part(part, wanted.cases, wanted.seed, wanted.data):
            run.record(name, rows)
        if not wanted.data:
            print(f"{part}\n\n{text_of(rows)}\n", flush=True)
        missed += sum(one.met is False for one in rows)
    print(f"{missed} targets were missed; all figures are in {BUILD / 'bench.json'}")


def _part(name: str, cases: int, seed: int, folders: list[str]) -> Iterator[list[Row]]:
    if name == "app":
        from bench.product.page_speed import app

        return app(cases)
    if name == "memory":
        from bench.product.memory import memory

        return memory()
    if name == "faults":
        from bench.product.faults import faults

        return faults(cases, seed)
    from bench.case_list import Bench, opened
    from bench.foreign_cases import elsewhere
    from bench.lrgd.lrgd_part import lrgd
    from bench.lrgd.other_data import lrgd_data
    from bench.product.method_faithfulness import faithfulness
    from bench.product.speed import speed
    from bench.recicl.foreign_lists import recicl_data
    from bench.recicl.recicl_part import recicl

    parts: dict[str, Callable[[Bench, int], Iterator[list[Row]]]] = {
        "speed": speed,
        "faithfulness": faithfulness,
        "lrgd": lrgd,
        "recicl": recicl,
    }
    bench = opened(seed)
    if folders:
        of_data = {"lrgd": lrgd_data, "recicl": recicl_data}[name]
        return of_data([elsewhere(bench, folder) for folder in folders], cases)
    return parts[name](bench, cases)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--part", type=_parts, default=PARTS, help=f"of {', '.join(PARTS)}; several with commas")
    parser.add_argument("--cases", type=_positive, default=30, help="prompts to measure on (default 30)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of users (default 0)")
    parser.add_argument("--data", action="append", default=[], metavar="FOLDER", help=DATA)
    wanted = parser.parse_args()
    if wanted.data and wanted.part not in {("lrgd",), ("recicl",)}:
        parser.error("argument --data: expected with --part lrgd or --part recicl alone")
    return wanted


def _parts(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [name for name in names if name not in PARTS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"part {', '.join(unknown) or text!r}: expected some of {', '.join(PARTS)}")
    return names


def _positive(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 1 on")
    return number


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("bench: stopped; what was measured is kept")
    except DemoLensError as error:
        sys.exit(f"bench: {error}")
