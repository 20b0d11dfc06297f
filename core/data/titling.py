"""The column of the items that holds their titles, what an item is called, and how a title's cell is read."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence

NOUNS = frozenset(
    re.findall(
        r"\w+",
        "album anime app article artist band beer book business comic course dish drink episode event film game hotel"
        " job magazine manga movie news paper photo place playlist podcast product recipe restaurant series shop show"
        " song story toy track video website wine",
    )
)
"""What items may be called; anything else is an `item`."""
NOUN = "item"
DISTINCT = 0.9
"""Share of the most distinct column's values from which a column is as good a choice."""
LEAST_DISTINCT = 0.5
"""Share of distinct values that a column must have whose name does not speak of titles."""
_BLANK = r"[\s\x0b\x1c-\x1f\x{85}\p{Z}]*"
"""What Python calls white space; RE2's own class stops at ASCII."""
MISSING = rf"(?i){_BLANK}(nan|none|null|<na>|\\N)?{_BLANK}"
"""RE2 pattern of a whole cell that holds no title."""
QUOTED = r'(?s)"([^"]|"")*"'
"""RE2 pattern of a whole cell that is one quoted field of a CSV file."""
ENTITY = r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
"""RE2 pattern of an HTML entity; one without its semicolon is plain text, as in AT&T."""

DEBRIS = r"(?is)\s*(<[a-z][a-z0-9]*\s[^<>]*=[^<>]*|var aPageStart\b.*)"
"""RE2 pattern of a whole cell that is the rest of a web page: a tag that never closes, or a script."""
LONG = 300
"""Characters from which a title is called long."""
_ENTITY = re.compile(ENTITY)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_IDS = re.compile(r"(?i)(^|[_\W])(ids?|codes?|asin|isbn|ean|upc|sku|urls?|links?|images?|dates?|years?|time(stamp)?)$")


def exact_title(columns: Sequence[str]) -> str | None:
    """The column named `title`, else the one named `name`, in any case."""
    for word in ("title", "name"):
        for column in columns:
            if column.casefold() == word:
                return column
    return None


def may_be_title(column: str, kind: str) -> bool:
    """Whether a column's name and RecBole type allow titles: text, and no id, link or date by its name."""
    return kind in ("token", "token_seq") and not _IDS.search(column) and not re.search(r"(?<=[a-z])I[dD]$", column)


def most_distinct(shares: Mapping[str, float]) -> str | None:
    """The title column among columns in the files' order, by each one's share of distinct values among all lines.

    Columns whose names speak of titles or names come before all others. Among those about as distinct as the most
    distinct one (`DISTINCT` of its share), `title` comes before `name`, and then the more distinct one.
    """
    named = {column: share for column, share in shares.items() if _speaks(column)}
    usable = named or {column: share for column, share in shares.items() if share >= LEAST_DISTINCT}
    if not usable:
        return None
    best = DISTINCT * max(usable.values())
    close = [column for column, share in usable.items() if share >= best]
    return max(close, key=lambda column: ("title" in column.casefold(), usable[column]))


def noun_of(column: str | None) -> str:
    """`movie` for a column `movie_title`, `track` for `trackName`; `item` where no known kind is named."""
    words = [word.lower() for word in _WORD.findall(column or "")]
    stems = [stem for word in words for stem in (word, *(word.removesuffix(end) for end in ("s", "title", "name")))]
    return next((stem for stem in reversed(stems) if stem in NOUNS), NOUN)


def _speaks(column: str) -> bool:
    return "title" in column.casefold() or "name" in column.casefold()


def title_sql(cell: str) -> str:
    """SQL for a title's cell: a quoted CSV field without its quotes, entities decoded, tabs and line ends as spaces,
    empty where it is missing or the rest of a web page.
    """
    plain = unquoted_sql(cell)
    decoded = f"CASE WHEN regexp_matches({plain}, '{ENTITY}') THEN decoded({plain}) ELSE {plain} END"
    return (
        f"CASE WHEN {missing_sql(plain)} OR {debris_sql(plain)} THEN ''"
        f" ELSE regexp_replace({decoded}, '[\t\n\r\\x00]+', ' ', 'g') END"
    )


def debris_sql(cell: str) -> str:
    """SQL: whether a cell holds the rest of a web page instead of a title."""
    return f"coalesce(regexp_full_match({cell}, '{DEBRIS}'), false)"


def unquoted_sql(cell: str) -> str:
    """SQL for a cell without the quotes of one CSV field; two quotes inside stand for one."""
    inner = f"replace(substring({cell}, 2, length({cell}) - 2), '\"\"', '\"')"
    return f"CASE WHEN {quoted_sql(cell)} THEN {inner} ELSE {cell} END"


def quoted_sql(cell: str) -> str:
    """SQL: whether a cell is one quoted CSV field."""
    return f"coalesce(regexp_full_match({cell}, '{QUOTED}'), false)"


def missing_sql(cell: str) -> str:
    """SQL: whether a cell holds no title."""
    return f"coalesce(regexp_full_match({cell}, '{MISSING}'), true)"


def decoded(text: str) -> str:
    """The text with its HTML entities decoded once; a decoded line break or tab is a space."""
    return _ENTITY.sub(lambda entity: re.sub(r"[\t\n\r\0]", " ", html.unescape(entity[0])), text)
