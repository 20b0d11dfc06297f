"""Presses on a page in a browser: which buttons can be pressed, and how soon a person sees something change."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

QUIET = "() => document.querySelector('.stApp')?.getAttribute('data-test-script-state') === 'notRunning'"
"""Whether the page's script does not run now."""
LOOK = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    const plots = [...document.querySelectorAll('.js-plotly-plot')].map(plot => plot.textContent).join('|');
    const marks = '[role="progressbar"], [role="dialog"], [role="listbox"], [data-baseweb="popover"],'
        + '[data-testid="stDataFrame"]';
    return [app.innerText, plots, document.querySelectorAll(marks).length, location.search].join('|');
}"""
"""What a person can see: words, charts, progress bars, dialogs, tables, the address."""
BUTTONS = """() => {
    const own = '[data-testid="stHeader"], [data-testid="stSidebarCollapseButton"], [data-testid="stTooltipIcon"],'
        + '[data-testid="stElementToolbar"], [data-testid="stDownloadButton"], [data-testid="stNumberInput"],'
        + '[data-testid="stFileUploader"]';
    const all = [...document.querySelectorAll('[data-testid="stApp"] :is(button, [role="tab"])')].filter(button =>
        button.checkVisibility({visibilityProperty: true}) && !button.disabled && !button.closest(own)
        && button.getAttribute('aria-selected') !== 'true'
        && button.getAttribute('aria-checked') !== 'true' && button.getAttribute('aria-pressed') !== 'true'
        && !(button.dataset.testid || '').includes('Active'));
    return all.map(button => {
        const home = button.closest('[class*="st-key-"]');
        const key = home ? [...home.classList].find(name => name.startsWith('st-key-')).slice(7) : '';
        const name = `${key}: ${(button.innerText || button.ariaLabel || '').trim().replaceAll('\\n', ' ')}`;
        button.dataset.press = name;
        return name;
    });
}"""
"""Marks each button and tab that can be pressed with its name, the key of its element and its words; returns the names.

Left out: what is chosen already, downloads and uploads (the browser answers), and Streamlit's own menus."""
TOOLTIP_MS = 300
"""Milliseconds in which a tooltip opens by itself below the pointer, which is no answer to a press."""
POLL_MS = 25


@dataclass
class Presses:
    """Every button of a page that was pressed, each once."""

    seconds: dict[str, float] = field(default_factory=dict)
    """From the press to the first visible change, by the button's name."""
    dead: list[str] = field(default_factory=list)
    """Buttons after whose press nothing changed."""

    @property
    def names(self) -> set[str]:
        """All buttons that were pressed."""
        return {*self.seconds, *self.dead}


def idle(page: Any) -> None:
    """Wait until the script has not run for a moment: a redraw would close what was just opened."""
    for _ in range(3):
        page.wait_for_function(QUIET)
        page.wait_for_timeout(200)


def button_names(page: Any) -> list[str]:
    """The buttons that can be pressed now. Every page has some: while it is drawn anew, all may be hidden or inert."""
    idle(page)
    names = page.wait_for_function(
        f"() => {{ const names = ({BUTTONS})(); return names.length && names; }}"
    ).json_value()
    return [str(name) for name in names]


def press_seconds(page: Any, name: str, limit: float) -> float | None:
    """Seconds from a press on the button of this name to the first visible change; None where none comes by `limit`."""
    button = page.locator(f'[data-press="{name}"]').first
    button.scroll_into_view_if_needed()
    button.hover()
    page.wait_for_timeout(TOOLTIP_MS)
    before = page.evaluate(LOOK)
    begin = time.monotonic()
    button.click()
    while page.evaluate(LOOK) == before:
        if time.monotonic() > begin + limit:
            return None
        page.wait_for_timeout(POLL_MS)
    return time.monotonic() - begin


def press_all(page: Any, url: str, limit: float) -> Presses:
    """Press every button of the page at `url` once, those that appear on the way too, with `limit` seconds for each.

    The page is opened anew after a press that led away, and where earlier presses took buttons from it.
    """
    presses = Presses()
    is_fresh = True
    while True:
        name = next((name for name in button_names(page) if name not in presses.names), None)
        if name is not None:
            _press(page, name, limit, presses)
            is_fresh = name.startswith("next-")  # It led to another page, whose buttons are pressed there.
        elif is_fresh:
            return presses
        else:
            is_fresh = True
        if is_fresh:
            page.goto(url)


def _press(page: Any, name: str, limit: float, presses: Presses) -> None:
    seconds = press_seconds(page, name, limit)
    if seconds is None:
        presses.dead.append(name)
    else:
        presses.seconds[name] = seconds
    page.keyboard.press("Escape")
