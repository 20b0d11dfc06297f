"""The Netflix Prize: ratings below a line with the id of their movie, and titles that hold commas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.data.reading.blocks import TextBlock, TextBlocks
from core.data.reading.layouts import LINE, FileReading, ReadingPass
from core.data.reading.probe import FileProbe
from core.data.reading.shapes import DataFormat, FileKind, FileShape, Taken, shaped

_HEADING = r"^\d+:$"
_DAYS = "Times are days: the order of what a user rated on one day is that of the file."


@dataclass(frozen=True)
class ThreeFields:
    """Lines of three fields between commas, where the last one holds all further commas."""

    fields: tuple[str, str, str]
    heading: str = ""
    """The column that is read from lines such as `17:`, each for the lines below it; empty for none."""
    words: str = "three fields between commas"

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        return (self.heading, *self.fields) if self.heading else self.fields

    def blocks(self, reading: ReadingPass) -> Iterator[pa.Table | FileReading]:
        """Tables of the reading's columns, a few MB of text each; the outcome at the end."""
        texts = TextBlocks(reading.stream, reading.rejects, reading.encoding)
        above = ""
        for block in texts:
            table, above = self._table(block, above, reading)
            yield table.select([LINE, *reading.columns])
        yield FileReading(texts.read_as, texts.cut)

    def _table(self, block: TextBlock, above: str, reading: ReadingPass) -> tuple[pa.Table, str]:
        """The rows of a block, and its last heading; `above` is that of the block before it."""
        lines = pa.array(block.data.decode().split("\n")[:-1], pa.string())
        numbers = np.arange(block.first, block.first + len(lines), dtype=np.int64)
        headed = pc.match_substring_regex(lines, _HEADING).to_numpy(zero_copy_only=False) & bool(self.heading)
        headings = pa.array([above, *pc.utf8_rtrim(lines.filter(pa.array(headed)), ":").to_pylist()], pa.string())
        rows = pa.array(~headed & (pc.utf8_length(lines).to_numpy() > 0))
        parts, numbers = pc.split_pattern(lines.filter(rows), ",", max_splits=2), numbers[rows.to_numpy(False)]
        of_rows = headings.take(pa.array(np.cumsum(headed)[rows.to_numpy(False)]))
        whole = pc.list_value_length(parts).to_numpy() == len(self.fields)
        for place in np.flatnonzero(~whole):
            reading.rejects.add(reading.stream.name, int(numbers[place]), "fewer than three fields", str(self.fields))
        parts, of_rows = parts.filter(pa.array(whole)), of_rows.filter(pa.array(whole))
        columns = [of_rows] if self.heading else []
        columns += [pc.list_element(parts, place) for place in range(len(self.fields))]
        table = pa.table([numbers[whole], *map(_without_empty, columns)], names=[LINE, *self.names])
        return table, headings[-1].as_py()


def _without_empty(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _share(probe: FileProbe, pattern: str) -> float:
    """The share of the first lines that are wholly of a pattern."""
    return sum(re.fullmatch(pattern, line) is not None for line in probe.lines) / max(1, len(probe.lines))


def _ratings(probe: FileProbe) -> FileShape | None:
    if not probe.lines or not re.match(_HEADING, probe.lines[0]):
        return None
    if _share(probe, r"\d+:|\d+,[1-5],\d{4}-\d\d-\d\d") < 0.8:
        return None
    layout = ThreeFields(("customer", "rating", "date"), "movie", "ratings below a line with the id of their movie")
    taken: Taken = {"user": "customer", "item": "movie", "rating": "rating", "time": "date"}
    return shaped(layout, taken, notes=(_DAYS,))


def _titles(probe: FileProbe) -> FileShape | None:
    if _share(probe, r"\d+,((18|19|20)\d\d|NULL),.*[^\d.].*") < 0.9:
        return None
    layout = ThreeFields(("movie", "year", "movie_title"), words="id, year and a title with its commas")
    return shaped(layout, {"item": "movie", "title": "movie_title"})


NETFLIX = DataFormat(
    name="netflix",
    words="the Netflix Prize: combined_data_1.txt or mv_0000001.txt, movie_titles.txt",
    kinds=(
        FileKind("interactions", "Netflix Prize ratings", _ratings),
        FileKind("items", "Netflix Prize titles", _titles),
    ),
)
