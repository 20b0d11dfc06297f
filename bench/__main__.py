"""Measure DemoLens: `python -m bench --part speed,faithfulness,app --cases 30`."""

from __future__ import annotations

import argparse
import sys

from bench.constants import BUILD, CASES
from bench.results_table import PARTS, ResultFiles, ResultRow, commit, table_text
from core.errors import DemoLensError

ON_DATA = ("faithfulness", "lrgd", "recicl", "strategies")
"""Parts that run on data in folders too."""
PROCESSES = "that score the prompts of part faithfulness before anything is timed (default 1)"
DATA = "a folder with the data to measure on instead of the sample; repeat the option for several"


def main() -> None:
    """Run the chosen parts; each is written to `build/bench.json` as far as it has come."""
    options = _options()
    from bench.parts import part_rows  # After the options: the model libraries take seconds to load.

    files = ResultFiles(commit(), options.seed)
    missed = 0
    for part in (name for name in PARTS if name in options.part):
        rows: list[ResultRow] = []
        name = f"{part} on other data" if options.data else part
        for rows in part_rows(part, options.cases, options.seed, options.data, options.processes):
            files.record(name, rows)
        if not options.data:
            print(f"{part}\n\n{table_text(rows)}\n", flush=True)
        missed += sum(row.met is False for row in rows)
    print(f"{missed} targets were missed; all figures are in {BUILD / 'bench.json'}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--part", type=_parts, default=PARTS, help=f"of {', '.join(PARTS)}; several with commas")
    parser.add_argument("--cases", type=_positive, default=CASES, help=f"prompts to measure on (default {CASES})")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of users (default 0)")
    parser.add_argument("--processes", type=_positive, default=1, help=PROCESSES)
    parser.add_argument("--data", action="append", default=[], metavar="FOLDER", help=DATA)
    options = parser.parse_args()
    if options.data and options.part not in {(name,) for name in ON_DATA}:
        parser.error(f"argument --data: expected with one part alone, of {', '.join(ON_DATA)}")
    return options


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
    except (DemoLensError, TimeoutError) as error:
        sys.exit(f"bench: {error}")
