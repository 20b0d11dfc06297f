"""How soon the page is usable, how soon it follows a click, and whether its memory stays level.

The real server in a real Chromium, on a DemoLens folder of its own: it shares the sample material and starts without
results, so that no request of the bench is answered from an earlier run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.case_list import measured_users
from bench.constants import BUILD, CASES
from bench.product.app_server import APP, FLAGS, chromium, serving
from bench.product.sessions import Session
from bench.results_table import ResultRow, as_row
from bench.spread import extremes, quartiles
from bench.timing import Clock
from core.data.cases import case_of
from core.data.dataset import open_dataset
from core.store.home import home

SHARED = ("material", "datasets", "hashes", "models")
"""Folders that the bench's DemoLens folder takes over from the real one."""
STARTS = 5
CLICKS = 8
VISITS = 50
SETTLED = 5
"""Visits after which memory must stay level."""
LEVEL = "<= 1.1"
TABS = 20
"""Sessions at once."""
EVERY_SECONDS = 2.0
"""Mean time between the end of a session's rerun and its next click; half as long or half longer, drawn anew."""
PACED_SECONDS = 40.0
WARM_RUNS = 10
UNCHANGED_RUNS = 8
RUNS_A_MEASURE = 10
WAIT_SECONDS = 300.0
REQUEST = "demos=4&candidates=10&history=5&method=gradient"

FIRST_CHART = "() => document.querySelector('.st-key-chart-waterfall .barlayer .point path') !== null"
MIDDLE_OF_BAR = """place => {
    const chart = document.querySelector('.st-key-chart-waterfall .js-plotly-plot');
    chart.scrollIntoView({block: 'center', behavior: 'instant'});
    const box = chart.querySelector('.barlayer .trace').querySelectorAll('.point path')[place].getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
}"""
OUTLINES = """() => ['matrix', 'layers'].map(name => [...document.querySelectorAll(
    `.st-key-chart-${name} .shapelayer path`)].map(path => path.getAttribute('d')).join())"""
FOLLOWED = """([label, before]) => {
    const says = (where) => document.querySelector(where)?.textContent.includes(label);
    const outlines = (OUTLINES)();
    return says('.st-key-selection .dl-lead') && says('.dl-prompt > div.dl-chosen')
        && outlines.every((outline, place) => outline !== '' && outline !== before[place]);
}""".replace("OUTLINES", OUTLINES)


def app(cases: int) -> Iterator[list[ResultRow]]:
    """Rows so far; fewer `cases` than `CASES` shorten the visits."""
    from playwright.sync_api import sync_playwright

    visits = VISITS if cases >= CASES else max(2 * SETTLED, cases)
    program = chromium()
    if program is None:
        raise SystemExit("bench: part app needs a Chromium on the PATH")
    clock = Clock("app", STARTS + 1 + visits)
    os.environ["DEMOLENS_HOME"] = str(bench_home(BUILD.absolute() / "bench-home"))
    subprocess.run([sys.executable, "-m", "app.entry", "prepare"], check=True, stdout=sys.stderr)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=FLAGS)
        rows = [as_row("warm start to first usable page, seconds", quartiles(_starts(browser, clock)), "<= 5")]
        yield rows
        with serving(*APP, wait_seconds=WAIT_SECONDS) as (address, process):
            server = psutil.Process(process.pid)
            clicks = _clicks(_opened(browser, address))
            rows.append(as_row("click on a bar to all views updated, seconds", quartiles(clicks), "<= 0.5"))
            clock.tick("clicks")
            yield rows
            rows += rerun_rows(address, server)
            clock.tick("reruns")
            yield rows
            yield rows + memory_rows(_memory(browser, address, server, visits, clock))
        browser.close()


def bench_home(folder: Path) -> Path:
    """An empty DemoLens folder that shares the sample material of the real one."""
    real = home()
    for name in SHARED:
        (real / name).mkdir(exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)  # Links are removed, not followed.
    folder.mkdir(parents=True)
    for name in SHARED:
        (folder / name).symlink_to(real / name)
    return folder


def memory_rows(gigabytes: np.ndarray) -> list[ResultRow]:
    """Rows from the resident memory [visit] of the server with its worker."""
    count = len(gigabytes)
    after, end = float(gigabytes[SETTLED - 1]), float(gigabytes[-1])
    return [
        as_row(f"memory of app + worker after {count} cases / after {SETTLED}", [end / after], LEVEL),
        as_row(f"memory of app + worker, most over {count} cases, GB", extremes(gigabytes.max(), gigabytes), "<= 3"),
    ]


def rerun_rows(address: str, server: psutil.Process) -> list[ResultRow]:
    """Rows of reruns of Explore's finished example, over Streamlit's protocol without browsers; the model is idle."""
    alone, together = _unchanged(address, server), click_in_tabs(address, TABS, PACED_SECONDS)
    name = f"rerun, {TABS} sessions, a click every {EVERY_SECONDS:g} s in each, p95, seconds"
    return [
        as_row("rerun of Explore without a change, ms of CPU", quartiles(alone), "<= 60"),
        as_row(name, extremes(np.quantile(together, 0.95), together), "<= 1.5"),
    ]


def _unchanged(address: str, server: psutil.Process) -> np.ndarray:
    """CPU milliseconds of the server's own process [run] for a run in which nothing changed."""
    with Session(address) as tab:
        for _ in range(WARM_RUNS):
            tab.run()
        milliseconds = []
        for _ in range(UNCHANGED_RUNS):
            time.sleep(0.2)  # The run before has ended all its work.
            before = sum(server.cpu_times()[:2])
            for _ in range(RUNS_A_MEASURE):  # The kernel counts in hundredths of a second.
                tab.run()
            time.sleep(0.2)
            milliseconds.append(1_000 * (sum(server.cpu_times()[:2]) - before) / RUNS_A_MEASURE)
    return np.array(milliseconds)


def click_in_tabs(address: str, tabs: int, seconds: float) -> np.ndarray:
    """Seconds of every rerun while `tabs` sessions click for so long, each at its own pace.

    Every second click selects another demonstration, the others change nothing.
    """
    with ThreadPoolExecutor(tabs) as pool:
        return np.concatenate(list(pool.map(lambda number: _click_for(address, number, seconds), range(tabs))))


def _click_for(address: str, number: int, seconds: float) -> np.ndarray:
    pace = np.random.default_rng(number)
    with Session(address) as tab:
        tab.run()
        time.sleep(float(pace.uniform(0, 2 * EVERY_SECONDS)))
        end = time.monotonic() + seconds
        reruns: list[float] = []
        while time.monotonic() < end:
            click = len(reruns)
            reruns.append(tab.run() if click % 2 else tab.pick("pick-demo", f"D{1 + (number + click // 2) % 8}"))
            time.sleep(float(pace.uniform(0.5, 1.5)) * EVERY_SECONDS)
        if tab.faults:
            raise SystemExit(f"bench: a page ended with {tab.faults[0]}")
    return np.array(reruns)


def _starts(browser: Any, clock: Clock) -> np.ndarray:
    """Seconds from the command to the first drawn chart of the finished example, each with a server of its own."""
    seconds = []
    for _ in range(STARTS):
        begin = time.perf_counter()
        with serving(*APP, wait_seconds=WAIT_SECONDS) as (address, _):
            page = _opened(browser, address)
            seconds.append(time.perf_counter() - begin)
            page.context.close()
        clock.tick("start")
    return np.array(seconds)


def _clicks(page: Any) -> np.ndarray:
    """Seconds from a click on a bar until selection, prompt, matrix and layers all show the demonstration."""
    _pause(page)
    _click(page, 0)  # The first selection also loads what the others find ready.
    return np.array([_click(page, 1 + place % 6) for place in range(CLICKS)])


def _click(page: Any, place: int) -> float:
    before = page.evaluate(OUTLINES)
    x, y = page.evaluate(MIDDLE_OF_BAR, place)
    page.mouse.move(x - 2, y)
    page.mouse.move(x, y)
    page.wait_for_timeout(200)  # The chart looks for what is below the pointer at most ten times a second.
    start = time.perf_counter()
    page.mouse.click(x, y)
    page.wait_for_function(FOLLOWED, arg=[f"D{place + 1}", before])
    seconds = time.perf_counter() - start
    _pause(page)
    return seconds


def _pause(page: Any) -> None:
    """Let the page come to rest: a person does not click again within a second."""
    page.wait_for_timeout(1_000)


def _memory(browser: Any, address: str, server: psutil.Process, visits: int, clock: Clock) -> np.ndarray:
    """Resident gigabytes of the server and its worker after each of `visits` different requests."""
    gigabytes = []
    for user in _users(visits):
        page = _opened(browser, f"{address}/?user={user}&{REQUEST}")
        page.locator('[data-testid="stProgress"]').wait_for(state="detached")
        gigabytes.append(resident(server))
        page.context.close()
        clock.tick(f"{gigabytes[-1]:.2f} GB")
    return np.array(gigabytes)


def _users(count: int) -> list[str]:
    """Users with a history to explain; some have met everything within the second of their last choice."""
    dataset = open_dataset("sample")
    return list(islice((u for u in measured_users(dataset, 0) if len(case_of(dataset, u).history) >= 10), count))


def resident(process: psutil.Process) -> float:
    """Resident gigabytes of a process and all below it."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += member.memory_info().rss
    return total / 1e9


def _opened(browser: Any, address: str) -> Any:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(WAIT_SECONDS * 1_000)
    page.goto(address)
    page.wait_for_function(FIRST_CHART)
    return page
