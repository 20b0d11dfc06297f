"""The parts of the benchmark: what each measures, and which of them also run on data in folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bench.case_list import Bench, open_bench
from bench.folder_cases import bench_of_folder
from bench.lrgd.lrgd_of_folders import lrgd_of_folders
from bench.lrgd.lrgd_part import lrgd
from bench.own.own_part import own
from bench.product.faithfulness_of_folders import faithfulness_of_folders
from bench.product.faithfulness_part import faithfulness
from bench.product.faults import faults
from bench.product.memory import memory
from bench.product.page_answers import answers
from bench.product.page_speed import app
from bench.product.speed import speed
from bench.recicl.lists_of_folders import recicl_of_folders
from bench.recicl.recicl_part import recicl
from bench.results_table import ResultRow
from bench.strategies.picking_part import picking
from bench.strategies.strategies_part import strategies

ON_SAMPLE: dict[str, Callable[[int, int, int], Iterator[list[ResultRow]]]] = {
    "memory": lambda _cases, _seed, _processes: memory(),
    "speed": lambda cases, seed, _processes: speed(open_bench(seed), cases),
    "app": lambda cases, _seed, _processes: app(cases),
    "answers": lambda _cases, _seed, _processes: answers(),
    "faults": lambda cases, seed, _processes: faults(cases, seed),
    "faithfulness": lambda cases, seed, processes: faithfulness(open_bench(seed), cases, processes),
    "lrgd": lambda cases, seed, _processes: lrgd(open_bench(seed), cases),
    "recicl": lambda cases, seed, _processes: recicl(open_bench(seed), cases),
    "picking": lambda cases, seed, _processes: picking(open_bench(seed), cases),
    "own": lambda _cases, seed, _processes: own(seed),
    "strategies": lambda cases, seed, _processes: strategies([open_bench(seed)], cases, promised=True),
}
"""By part of `bench.results_table.PARTS`: the rows so far, from a number of cases, a seed and a number of processes."""
ON_FOLDERS: dict[str, Callable[[Sequence[Bench], int], Iterator[list[ResultRow]]]] = {
    "faithfulness": faithfulness_of_folders,
    "lrgd": lrgd_of_folders,
    "recicl": recicl_of_folders,
    "strategies": lambda benches, cases: strategies(benches, cases, promised=False),
}
"""The same for several data sets side by side."""


def part_rows(
    name: str, cases: int, seed: int, folders: Sequence[str], processes: int = 1
) -> Iterator[list[ResultRow]]:
    """The rows so far of a part, on the sample or on the data of folders."""
    if not folders:
        return ON_SAMPLE[name](cases, seed, processes)
    bench = open_bench(seed)
    return ON_FOLDERS[name]([bench_of_folder(bench, folder) for folder in folders], cases)
