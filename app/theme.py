"""Colours, number formats and the template of figures, in both themes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import plotly.graph_objects as go

from core import words
from core.words import NOTHING, figure

ordinal, signed = words.ordinal, words.signed

Theme = Literal["light", "dark"]
FONT = '"Source Sans", "Source Sans 3", "Segoe UI", system-ui, sans-serif'


@dataclass(frozen=True)
class Palette:
    """Colours of one theme; `raises` and `lowers` are Okabe–Ito blue and vermilion, or their lighter kin on dark."""

    kind: Theme
    paper: str
    panel: str
    ink: str
    muted: str
    """Second text: at least 4.5:1 on paper and panel."""
    rule: str
    neutral: str
    """Exactly zero on a diverging scale."""
    neutral_mark: str
    """Marks that are neither raising nor lowering (residual, zero-shot): at least 3:1 on paper."""
    raises: str
    lowers: str
    raises_text: str
    lowers_text: str


LIGHT = Palette(
    kind="light",
    paper="#FFFFFF",
    panel="#F5F6F7",
    ink="#1C2430",
    muted="#566170",
    rule="#DDE1E6",
    neutral="#F1F2F4",
    neutral_mark="#7A8592",
    raises="#0072B2",
    lowers="#D55E00",
    raises_text="#00629B",
    lowers_text="#AD4C00",
)
DARK = Palette(
    kind="dark",
    paper="#14181D",
    panel="#1C2229",
    ink="#E8EBEF",
    muted="#A3AEBB",
    rule="#323B45",
    neutral="#262D35",
    neutral_mark="#8995A3",
    raises="#56B4E9",
    lowers="#F4873B",
    raises_text="#7CC6F0",
    lowers_text="#F79C5C",
)


def palette(kind: str | None) -> Palette:
    """The palette of the theme that Streamlit reports; light when it reports none."""
    return DARK if kind == "dark" else LIGHT


def colour(value: float, colours: Palette) -> str:
    """The mark colour of a signed value: blue raises, orange lowers, grey is exactly nothing."""
    if value == 0 or not math.isfinite(value):
        return colours.neutral_mark
    return colours.raises if value > 0 else colours.lowers


def diverging(colours: Palette) -> list[list[float | str]]:
    """A Plotly colour scale whose middle is exactly neutral; use it with a symmetric range only."""
    return [[0.0, colours.lowers], [0.5, colours.neutral], [1.0, colours.raises]]


def shade(value: float, bound: float, colours: Palette) -> str:
    """The colour that `diverging` gives to a value on a scale from -bound to bound, as `#rrggbb`."""
    share = max(-1.0, min(1.0, value / bound))
    end = colours.raises if share > 0 else colours.lowers
    return blend(colours.neutral, end, abs(share))


def blend(start: str, stop: str, share: float) -> str:
    """The colour `share` (0 to 1) of the way from one colour to another, as `#rrggbb`."""
    parts = zip(_channels(start), _channels(stop), strict=True)
    return "#" + "".join(f"{round(low + (high - low) * share):02X}" for low, high in parts)


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2)."""
    dark, light = sorted((_luminance(first), _luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def text_on(ground: str) -> str:
    """Black or white, whichever reads better on `ground`; at least 4.5:1."""
    return max(("#000000", "#FFFFFF"), key=lambda text: contrast(text, ground))


def _channels(name: str) -> tuple[int, int, int]:
    return int(name[1:3], 16), int(name[3:5], 16), int(name[5:7], 16)


def _luminance(name: str) -> float:
    parts = [part / 255 for part in _channels(name)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def symmetric(values: Iterable[float]) -> float:
    """The bound of a range around zero that holds every finite value; 1 where there is none."""
    finite = [abs(value) for value in values if math.isfinite(value)]
    bound = max(finite, default=0.0)
    return bound if bound > 0 else 1.0


def number(value: float | None, digits: int = 2) -> str:
    """`0.42`, `−1.35`; a dash where there is no number."""
    return figure(value, digits)


def climb_mark(climb: float) -> str:
    """Places won or lost: `▲ 8`, `▼ 2`, `=`."""
    return "=" if climb == 0 else f"{'▲' if climb > 0 else '▼'} {abs(climb):g}"


def nats(value: float | None) -> str:
    """A signed amount with its unit: `+0.42 nats`."""
    return f"{signed(value)} nats"


def amount(value: float) -> str:
    """A size without its sign, for sentences whose verb says the direction: `0.42 nats`."""
    return f"{number(abs(value), fine_digits(value))} nats"


def fine_digits(value: float) -> int:
    """Decimals, two to four, in which a value that is not zero does not look like zero."""
    return next((digits for digits in (2, 3) if value == 0 or round(abs(value), digits) > 0), 4)


def interval(low: float | None, high: float | None, written: Callable[[float, int], str] = signed) -> str:
    """`+0.20 to +0.61`, in as many decimals, two to four, as tell the ends apart; nothing where none do."""
    if low is None or high is None or value_missing(low) or value_missing(high):
        return ""
    texts = ((written(low, digits), written(high, digits)) for digits in (2, 3, 4))
    return next((f"{start} to {end}" for start, end in texts if start != end), "")


def between(value: float | None, low: float | None, high: float | None, digits: int = 2) -> str:
    """`0.70 (0.67 to 0.73)`; the value alone where there is no interval."""
    ends = interval(low, high, number)
    return f"{number(value, digits)} ({ends})" if ends else number(value, digits)


def with_interval(low: float | None, high: float | None, *, signs: bool = True) -> str:
    """` (90 % +0.20 to +0.61)`, or nothing where there is no interval; `signs` for amounts that raise or lower."""
    ends = interval(low, high, signed if signs else number)
    return f" (90 % {ends})" if ends else ""


def memory(size: float | None) -> str:
    """Bytes as `640 MB` or `1.1 GB` (powers of ten)."""
    if value_missing(size):
        return NOTHING
    assert size is not None
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def value_missing(value: float | None) -> bool:
    """Whether there is no usable number."""
    return value is None or not math.isfinite(value)


def template(colours: Palette) -> go.layout.Template:
    """The frame of every figure: quiet axes, our fonts, a transparent ground that follows the page."""
    axis = {
        "gridcolor": colours.rule,
        "zerolinecolor": colours.neutral_mark,
        "linecolor": colours.rule,
        "tickfont": {"size": 12, "color": colours.muted},
        "title": {"font": {"size": 12, "color": colours.muted}},
        "automargin": True,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": colours.ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 8, "r": 8, "t": 8, "b": 40},
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {
                "bgcolor": colours.panel,
                "bordercolor": colours.rule,
                "font": {"family": FONT, "size": 13, "color": colours.ink},
                "align": "left",
            },
            "showlegend": False,
            "dragmode": False,
        }
    )


CHART_CONFIG = {"displayModeBar": False, "displaylogo": False, "showSendToCloud": False, "scrollZoom": False}
"""For every chart on screen and in reports: no upload button, no wheel that traps the page's own scrolling."""


def style(colours: Palette) -> str:
    """The page's style sheet: the colours of one theme, and the rules of `assets/style.css`."""
    names = ("ink", "muted", "rule", "panel", "paper")
    colour_rules = "".join(f"--dl-{name}:{getattr(colours, name)};" for name in names)
    text_rules = f"--dl-raises:{colours.raises_text};--dl-lowers:{colours.lowers_text};"
    return f"<style>:root {{{colour_rules}{text_rules}}}\n{_rules()}</style>"


@cache
def _rules() -> str:
    return (Path(__file__).resolve().parents[1] / "assets" / "style.css").read_text(encoding="utf-8")
