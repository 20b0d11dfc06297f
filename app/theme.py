"""Which colour, which number format, which figure frame: one meaning each, in both themes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go

Kind = Literal["light", "dark"]
MINUS = "\u2212"
FONT = '"Source Sans", "Source Sans 3", "Segoe UI", system-ui, sans-serif'


@dataclass(frozen=True)
class Palette:
    """Colours of one theme; `raises` and `lowers` are Okabe–Ito blue and vermilion, or their lighter kin on dark."""

    kind: Kind
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


def symmetric(values: Iterable[float]) -> float:
    """The bound of a range around zero that holds every finite value; 1 where there is none."""
    finite = [abs(value) for value in values if math.isfinite(value)]
    bound = max(finite, default=0.0)
    return bound if bound > 0 else 1.0


def signed(value: float | None, digits: int = 2) -> str:
    """`+0.42`, `−0.10`, `0.00`; a dash where there is no number."""
    if value is None or not math.isfinite(value):
        return "–"
    rounded = round(value, digits)
    if rounded == 0:
        return f"{0:.{digits}f}"
    return f"{'+' if rounded > 0 else MINUS}{abs(rounded):.{digits}f}"


def number(value: float | None, digits: int = 2) -> str:
    """`0.42`, `−1.35`; a dash where there is no number."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", MINUS)


def nats(value: float | None) -> str:
    """A signed amount with its unit: `+0.42 nats`."""
    return f"{signed(value)} nats"


def interval(low: float | None, high: float | None) -> str:
    """`+0.20 to +0.61`, or nothing."""
    return "" if low is None or high is None else f"{signed(low)} to {signed(high)}"


def seconds(value: float | None) -> str:
    """`0.4 s`, `14 s`, `3 min 20 s`, `2 h 5 min`."""
    if value is None or not math.isfinite(value):
        return "–"
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 90:
        return f"{whole} s"
    if whole < 5400:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def memory(size: float | None) -> str:
    """Bytes as `640 MB` or `1.1 GB` (powers of ten)."""
    if value_missing(size):
        return "–"
    assert size is not None
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def value_missing(value: float | None) -> bool:
    """Whether there is no usable number."""
    return value is None or not math.isfinite(value)


def ordinal(rank: int | None) -> str:
    """`1st`, `2nd`, `3rd`, `11th`."""
    if rank is None:
        return "–"
    if 10 <= rank % 100 <= 20:
        return f"{rank}th"
    return f"{rank}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(rank % 10, 'th') }"


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
    """The page's style sheet; class names start with `dl-`."""
    return f"""<style>
:root {{ --dl-ink:{colours.ink}; --dl-muted:{colours.muted}; --dl-rule:{colours.rule}; --dl-panel:{colours.panel};
  --dl-raises:{colours.raises_text}; --dl-lowers:{colours.lowers_text}; --dl-paper:{colours.paper}; }}
{_RULES}</style>"""


_RULES = """
[data-testid="stMainBlockContainer"] { padding: 4.1rem 2rem 4rem; max-width: 1320px; }
[data-testid="stMainBlockContainer"] [data-testid="stVerticalBlock"] { gap:.6rem; }
[data-testid="stSidebarHeader"] { height:2.2rem; margin-bottom:0; }
[data-testid="stSidebarUserContent"] [data-testid="stVerticalBlock"] { gap:.65rem; }
.st-key-runbox { position:sticky; bottom:0; background:var(--dl-panel); border-top:1px solid var(--dl-rule); padding:.7rem 0 .9rem; z-index:5; }
.st-key-selection { position:sticky; top:3.6rem; background:var(--dl-paper); border-bottom:1px solid var(--dl-rule); padding:.35rem 0 .55rem; z-index:90; }
[data-testid="stSidebar"] [data-testid="stColumn"] { min-width:0; flex:1 1 0; width:50%; }
[data-testid="stSidebar"] :is([data-testid="stNumberInputStepUp"],[data-testid="stNumberInputStepDown"]) { display:none; }
[class*="st-key-head-"] { margin-top:1.1rem; }
[data-testid="stSidebarUserContent"] { padding-bottom: 0; }
.dl-over { font-size:.8rem; color:var(--dl-muted); margin:0 0 .35rem; letter-spacing:.01em; }
.dl-headline { font-size:1.6rem; line-height:1.28; font-weight:600; margin:0; max-width:44em; letter-spacing:-.008em;
  padding:0; overflow-wrap:anywhere; text-wrap:pretty; }
.dl-headline em { font-style:italic; }
.dl-lead { font-size:1rem; line-height:1.5; margin:.55rem 0 0; max-width:60em; color:var(--dl-ink); overflow-wrap:anywhere; }
.dl-up { color:var(--dl-raises); font-weight:600; white-space:nowrap; }
.dl-down { color:var(--dl-lowers); font-weight:600; white-space:nowrap; }
.dl-readouts { display:grid; grid-template-columns:repeat(auto-fit,minmax(165px,1fr)); margin:.6rem 0 0 !important; padding:0 !important;
  border-top:1px solid var(--dl-rule); border-bottom:1px solid var(--dl-rule); }
.dl-readouts > div { padding:.7rem 1rem .75rem 0; }
.dl-readouts dt { font-size:.8rem; color:var(--dl-muted); font-weight:400; margin:0; }
.dl-readouts dd { margin:.1rem 0 0 !important; font-size:1.3rem; font-weight:600; font-variant-numeric:tabular-nums; line-height:1.3; }
.dl-readouts dd small { display:block; font-size:.8rem; font-weight:400; color:var(--dl-muted); line-height:1.35; }
.dl-section { margin:0; padding:0; font-size:1.06rem; font-weight:600; line-height:1.35; }
.dl-note { margin:.1rem 0 0; font-size:.86rem; color:var(--dl-muted); line-height:1.45; max-width:62em; overflow-wrap:anywhere; }
.dl-history { display:flex; gap:0; list-style:none; margin:.5rem 0 0 !important; padding:0 0 .4rem !important; overflow-x:auto; scrollbar-width:thin; }
.dl-history:focus-visible { outline:2px solid var(--dl-ink); outline-offset:2px; }
.dl-history li { flex:0 0 132px; padding:0 .75rem 0 0; margin:0 !important; position:relative; font-size:.82rem; line-height:1.3; }
.dl-history .dl-mark { display:flex; align-items:center; height:1.1rem; margin-bottom:.3rem; }
.dl-history .dl-mark::after { content:""; flex:1; height:1px; background:var(--dl-rule); margin-left:.4rem; }
.dl-history li.dl-earlier { flex-basis:76px; padding-top:1.4rem; }
.dl-history b { font-weight:500; display:-webkit-box; -webkit-line-clamp:2; -webkit-box-orient:vertical; overflow:hidden; overflow-wrap:anywhere; }
.dl-history span.dl-when { color:var(--dl-muted); font-size:.76rem; font-variant-numeric:tabular-nums; display:block; }
.dl-dot { width:.72rem; height:.72rem; border-radius:50%; border:2px solid var(--dl-ink); box-sizing:border-box; flex:none; }
.dl-dot.dl-liked { background:var(--dl-ink); }
.dl-dot.dl-unknown { border-style:dotted; }
.dl-history li.dl-query b { text-decoration:underline; text-decoration-thickness:1px; text-underline-offset:3px; }
.dl-history li.dl-target .dl-dot { border-radius:2px; transform:rotate(45deg); background:var(--dl-paper); }
.dl-prompt { font-size:.86rem; line-height:1.75; border:1px solid var(--dl-rule); border-radius:6px; max-height:30rem; overflow:auto; margin:0; padding:0; }
.dl-prompt > div { display:grid; grid-template-columns:6.6rem 1fr; gap:.75rem; padding:.45rem .8rem; border-top:1px solid var(--dl-rule); }
.dl-prompt > div:first-child { border-top:0; }
.dl-prompt > div.dl-chosen { box-shadow:inset 3px 0 0 var(--dl-ink); background:var(--dl-panel); }
.dl-prompt .dl-tag { color:var(--dl-muted); font-size:.8rem; font-variant-numeric:tabular-nums; }
.dl-prompt .dl-tag strong { color:var(--dl-ink); display:block; font-weight:600; }
.dl-prompt .dl-body { white-space:pre-wrap; overflow-wrap:anywhere; font-family:"Source Code Pro",ui-monospace,monospace; font-size:.8rem; min-width:0; }
.dl-prompt .dl-t { border-radius:2px; }
.dl-prompt .dl-plus { border-bottom:2px solid var(--dl-raises); }
.dl-prompt .dl-minus { border-bottom:2px dotted var(--dl-lowers); }
.dl-key { display:flex; flex-wrap:wrap; gap:.35rem 1.1rem; font-size:.82rem; color:var(--dl-muted); margin:.25rem 0 0; }
.dl-key i { display:inline-block; width:1.1rem; height:.7rem; border-radius:2px; margin-right:.35rem; vertical-align:-1px; }
.dl-facts { padding:0 !important; display:grid; grid-template-columns:max-content 1fr; gap:.25rem 1.25rem; margin:0 !important; font-size:.88rem; }
.dl-facts dt { color:var(--dl-muted); font-weight:400; }
.dl-facts dd { margin:0 !important; overflow-wrap:anywhere; font-variant-numeric:tabular-nums; }
.dl-box { border:1px solid var(--dl-rule); border-left:3px solid var(--dl-ink); border-radius:4px; padding:.8rem 1rem; background:var(--dl-panel); }
.dl-box h3 { margin:0 0 .2rem; padding:0; font-size:1rem; font-weight:600; }
.dl-box p { margin:.15rem 0 0; font-size:.92rem; line-height:1.45; overflow-wrap:anywhere; }
.dl-box code { font-size:.85em; }
.dl-brand { font-weight:650; font-size:1.15rem; letter-spacing:-.01em; margin:0; padding:0; }
.dl-brand small { display:block; font-weight:400; font-size:.82rem; color:var(--dl-muted); letter-spacing:0; line-height:1.35; margin-top:.1rem; }
@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] { padding: 3.5rem 1rem 3rem; }
  .dl-headline { font-size:1.3rem; }
  .st-key-selection { position:static; }
  .st-key-wide-matrix, .st-key-wide-layers { overflow-x:auto; }
  :is(.st-key-wide-matrix, .st-key-wide-layers) > * { min-width:600px; }
  .dl-prompt > div { grid-template-columns:1fr; gap:.1rem; }
  .dl-readouts { grid-template-columns:1fr 1fr; }
  .dl-facts { grid-template-columns:1fr; gap:0; }
  .dl-facts dd { margin-bottom:.4rem; }
}
@media (prefers-reduced-motion: reduce) { * { animation-duration:.01ms !important; transition-duration:.01ms !important; } }
"""
