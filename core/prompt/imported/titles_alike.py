"""When are two titles the same? Case, spaces, entities, quotes, a year and the place of an article do not count."""

from __future__ import annotations

import html
import re

_YEAR = re.compile(r"\s*\((?:19|20)\d\d\)\s*$")
_ARTICLE = re.compile(r"^(?P<rest>.+),\s*(?P<article>the|an?|les?|la|der|die|das|el|los|las|il)$")
COMMON = frozenset({"yes", "no", "true", "false", "none", "unknown", "answer", "output", "input", "like", "dislike"})
LEAST_LETTERS = 4


def normal(title: str) -> str:
    """A title in the form that titles are compared in."""
    text = " ".join(html.unescape(title).casefold().split()).strip("\"'“”«»「」.")
    text = _YEAR.sub("", text)
    article = _ARTICLE.match(text)
    return f"{article['article']} {article['rest']}" if article else text


def is_telling(title: str) -> bool:
    """Whether a title is long and rare enough to be looked for in a text."""
    text = normal(title)
    return len(text) >= LEAST_LETTERS and text not in COMMON


def times_in(title: str, text: str) -> int:
    """How often a title stands in a text as whole words."""
    words = " ".join(html.unescape(text).casefold().split())
    forms = {normal(title), " ".join(html.unescape(title).casefold().split())}
    counts = (len(re.findall(rf"(?<!\w){re.escape(form)}(?!\w)", words)) for form in forms if form)
    return max(counts, default=0)
