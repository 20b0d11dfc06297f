"""Where do the demonstrations of a text prompt begin and end? Cutters as rows, each of which proposes a cut."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from core.prompt.imported.stems import DEMO_WORDS, Line, Stem, lines_of, stems_of

MOST_LINES = 5_000
"""Lines of a prompt that are searched for demonstrations."""
CUE = re.compile(r"(?:[:：=]|->|=>|→|\]\]|<[^\W\d_][\w-]*>|\|>|\[/INST\]|model|assistant)[ \t\"'“]*\s*\Z")
"""What a prompt ends with where the answer follows: a stem, an arrow, an open tag or a mark of a chat."""
_PLACEHOLDER = re.compile(r"[<\[{(][^\n]*[>\]})]")
_ARROW = re.compile(r"[ \t]*(?:->|=>|→|⇒|⟶|\t)[ \t]*")
_RULE_LINE = re.compile(r"[ \t]*(?:-{3,}|={3,}|\*{3,}|#{3,}|_{3,}|~{3,}|<sep>|\[SEP\])[ \t]*", re.IGNORECASE)
_CLOSING = re.compile(r"(?:</[\w-]+>|<\|[\w]+\|>|<end_of_turn>|</s>|\[\[ ## completed ## \]\]|```)\s*\Z")


class Demo(NamedTuple):
    """A demonstration's place in the text, and its answer where that can be told."""

    start: int
    end: int
    answer: str


@dataclass(frozen=True)
class Cutting:
    """A proposal: the demonstrations, and where the query begins; what lies between is pinned."""

    cutter: str
    demos: tuple[Demo, ...]
    query: int
    """The text's length where the query stands elsewhere."""
    score: float
    """From 0 to 1: how well the proposal fits."""
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """A text with its lines and stems, read once for all cutters."""

    text: str
    lines: tuple[Line, ...]
    stems: tuple[Stem, ...]
    closed: bool
    """Whether the query stands in another message, so that all blocks are demonstrations."""

    def value_lines(self, start: int, end: int) -> list[Line]:
        """The lines with text between two places."""
        first = bisect_right(self.lines, start, key=lambda line: line.after)
        last = bisect_left(self.lines, end, key=lambda line: line.start)
        return [line for line in self.lines[first:last] if self.text[max(line.start, start) : line.end].strip()]

    def stems_between(self, start: int, end: int) -> Sequence[Stem]:
        """The stems of the lines that begin between two places."""
        first = bisect_left(self.stems, start, key=lambda stem: stem.start)
        return self.stems[first : bisect_left(self.stems, end, key=lambda stem: stem.start)]


@dataclass(frozen=True)
class Cutter:
    """One way to find demonstrations."""

    name: str
    words: str
    """For the screen: what it looks for."""
    weight: float
    """Score of a perfect fit."""
    propose: Callable[[Layout], Iterator[Cutting]]


def layout_of(text: str, *, closed: bool = False) -> Layout:
    """A text, read for the cutters."""
    lines = lines_of(text)[:MOST_LINES]
    return Layout(text, tuple(lines), tuple(stems_of(text, lines)), closed)


def cuttings_of(text: str, *, closed: bool = False) -> list[Cutting]:
    """All proposals, the best first, at most one of each cutter.

    `closed` says that the query stands in another message.
    """
    layout = layout_of(text, closed=closed)
    best = [max(match, key=_rank) for cutter in CUTTERS if (match := _weighted(cutter, layout))]
    return sorted(best, key=_rank, reverse=True)


def _weighted(cutter: Cutter, layout: Layout) -> list[Cutting]:
    proposals = (replace(cutting, score=cutting.score * cutter.weight) for cutting in cutter.propose(layout))
    return [cutting for cutting in proposals if cutting.demos and cutting.score > LEAST_SCORE]


def _rank(cutting: Cutting) -> tuple[float, int, int]:
    return round(cutting.score, 2), len(cutting.demos), -cutting.demos[0].start


LEAST_WORDS = 4
"""Words of a demonstration without stems."""
LEAST_SCORE = 0.3
"""Below it nothing is cut: demonstrations are then marked by hand."""


def blocks_of(text: str) -> list[str]:
    """The words before the first demonstration, then each demonstration of a text without a query."""
    cuttings = cuttings_of(text, closed=True)
    if not cuttings:
        return [text]
    starts = [demo.start for demo in cuttings[0].demos]
    ends = [*starts[1:], len(text)]
    return [text[: starts[0]], *(text[start:end] for start, end in zip(starts, ends, strict=True))]


def _stem_cuttings(layout: Layout) -> Iterator[Cutting]:
    """Blocks that begin with the same stem and hold the same stems in the same order."""
    counts = Counter(stem.label for stem in layout.stems)
    for label in dict.fromkeys(stem.label for stem in layout.stems):
        if counts[label] > 1 or (layout.closed and counts[label] == 1):
            cutting = _headed(layout, [stem for stem in layout.stems if stem.label == label])
            if cutting is not None:
                yield cutting


def _headed(layout: Layout, heads: list[Stem]) -> Cutting | None:
    """The cutting whose blocks begin at the heads; None where the blocks differ."""
    bounds = [*(head.start for head in heads), len(layout.text)]
    blocks = [_Block(layout, head, end) for head, end in zip(heads, bounds[1:], strict=True)]
    answer = _answer_label(blocks if layout.closed else blocks[:-1] or blocks)
    if answer is None and not _numbered_sentences(blocks):
        return None
    if blocks and answer and _PLACEHOLDER.fullmatch(blocks[0].answer(answer)) and len(blocks) > 1:
        blocks = blocks[1:]  # The first one describes the form.
    query = None if layout.closed else _query_block(blocks, answer)
    demo_blocks = blocks if query is None else blocks[:-1]
    if not demo_blocks:
        return None
    demos = [_demo(block, answer, demo_blocks) for block in demo_blocks]
    demos = _with_headings(layout.text, demos)
    end = demos[-1].end
    start = len(layout.text) if layout.closed else min(end, query.head.start) if query else end
    answered = sum(bool(demo.answer) or answer is None for demo in demos) / len(demos)
    fit = answered * _likeness(demo_blocks) * _headship(layout, blocks, query, answer)
    return _ended(layout, Cutting("stems", tuple(demos), start, fit), query)


def _numbered_sentences(blocks: Sequence[_Block]) -> bool:
    """Whether blocks without fields are numbered demonstrations: more than a title behind a word for them."""
    demo_blocks = blocks[:-1] or blocks
    texts = [block.layout.text[block.head.value : block.end] for block in demo_blocks]
    numbers = all(block.head.number for block in demo_blocks)
    return demo_blocks[0].head.demo_word and numbers and all(len(text.split()) >= LEAST_WORDS for text in texts)


def _headship(layout: Layout, blocks: Sequence[_Block], query: _Block | None, answer: str | None) -> float:
    """How well the head begins the blocks: no other of their stems comes before it, and the query has its cue."""
    if answer is None:
        return 0.9
    common = set(blocks[0].labels)
    earlier = {stem.label for stem in layout.stems if stem.start < blocks[0].head.start} - _described(layout, blocks)
    cued = query is None or query.stem(answer) is not None
    return (1.0 if cued else 0.9) * (0.6 if common & earlier else 1.0)


def _described(layout: Layout, blocks: Sequence[_Block]) -> set[str]:
    """Stems in a description of the form before the blocks, whose head comes there too."""
    before = [stem.label for stem in layout.stems if stem.start < blocks[0].head.start]
    return set(before) if blocks[0].head.label in before else set()


def _ended(layout: Layout, cutting: Cutting, query: _Block | None) -> Cutting | None:
    """The cutting where a query follows; a prompt that ends with an answered block has that block as its query."""
    if layout.closed or layout.text[cutting.query :].strip():
        return cutting
    if query is not None or len(cutting.demos) < 2:
        return None
    *demos, last = cutting.demos
    return replace(cutting, demos=tuple(demos), query=last.start, score=0.9 * cutting.score, notices=(ANSWERED,))


ANSWERED = "The prompt ends with an answer: its last block looks like the demonstrations, answer included."


class _Block:
    """A stretch of text from a head stem to the next one, or to the end."""

    def __init__(self, layout: Layout, head: Stem, end: int) -> None:
        self.layout, self.head, self.end = layout, head, end
        self.stems = layout.stems_between(head.start, end)
        self.labels = [stem.label for stem in self.stems]

    def stem(self, label: str) -> Stem | None:
        """The first stem with a label."""
        return next((stem for stem in self.stems if stem.label == label), None)

    def value_end(self, label: str) -> int:
        """Where the next stem after the first one with a label begins, or the block ends."""
        place = self.labels.index(label)
        return self.stems[place + 1].start if place + 1 < len(self.stems) else self.end

    def answer(self, label: str) -> str:
        """The text behind a stem, up to the next one."""
        stem = self.stem(label)
        return "" if stem is None else _bare(self.layout.text[stem.value : self.value_end(label)])


def _bare(answer: str) -> str:
    """An answer without closing marks."""
    answer = answer.strip()
    while (closing := _CLOSING.search(answer)) is not None:
        answer = answer[: closing.start()].rstrip()
    return answer


def _answer_label(demo_blocks: Sequence[_Block]) -> str | None:
    """The last stem that blocks have in common, beside their head."""
    common = set(demo_blocks[0].labels[1:]).intersection(*(block.labels[1:] for block in demo_blocks))
    ordered = [label for label in demo_blocks[0].labels[1:] if label in common and label != demo_blocks[0].head.label]
    filled = [label for label in ordered if all(block.answer(label) for block in demo_blocks)]
    return next(iter(reversed(filled or ordered)), None)


def _query_block(blocks: Sequence[_Block], answer: str | None) -> _Block | None:
    """The last block, if it asks: its answer is missing or empty."""
    last, text = blocks[-1], blocks[-1].layout.text
    if answer is not None:
        return last if last.answer(answer) == "" else None
    asks = [bool(CUE.search(text[block.head.start : block.end].rstrip())) for block in blocks]
    questions = [text[block.head.start : block.end].rstrip().endswith(("?", "？")) for block in blocks]
    unlike = (asks[-1] and not any(asks[:-1])) or (questions[-1] and not any(questions[:-1]))
    return last if unlike and not _longer(blocks) else None


def _longer(blocks: Sequence[_Block]) -> bool:
    """Whether the last block has more lines with text than any other."""
    counts = [len(block.layout.value_lines(block.head.start, block.end)) for block in blocks]
    return len(counts) > 1 and counts[-1] > max(counts[:-1])


def _demo(block: _Block, answer: str | None, demo_blocks: Sequence[_Block]) -> Demo:
    """The block as a demonstration; the last one ends where its answer has as many lines as the others' at most."""
    label, layout = answer or block.head.label, block.layout
    stem = block.stem(label) or block.head
    end = block.value_end(label) if answer is not None and block is demo_blocks[-1] else block.end
    if block is demo_blocks[-1] and not layout.closed:
        lines = layout.value_lines(stem.value, end)
        most = max((_line_count(other, label) for other in demo_blocks[:-1]), default=0)
        lines = lines[:most] if most else _first_paragraph(lines)
        end = _after_blank(layout.text, lines[-1].after) if lines else end
    text = _bare(layout.text[stem.value : min(end, block.end)]) if answer else ""
    return Demo(block.head.start, min(end, block.end), text)


def _line_count(block: _Block, label: str) -> int:
    stem = block.stem(label) or block.head
    return len(block.layout.value_lines(stem.value, block.end))


def _first_paragraph(lines: list[Line]) -> list[Line]:
    """The lines up to the first blank one."""
    for place in range(1, len(lines)):
        if lines[place - 1].after != lines[place].start:
            return lines[:place]
    return lines


def _after_blank(text: str, place: int) -> int:
    """The place behind blank lines."""
    blank = re.compile(r"(?:[ \t]*(?:\r\n|\r|\n))*").match(text, place)
    return blank.end() if blank else place


def _with_headings(text: str, demos: list[Demo]) -> list[Demo]:
    """The demonstrations with the heading that stands behind one's answer moved to the next.

    A heading is a last paragraph of one line that ends with a colon, behind every demonstration but the last.
    """
    headings = [_heading_start(text, demo) for demo in demos]
    if len(demos) < 2 or any(start is None for start in headings[:-1]):
        return demos
    starts = [_heading_before(text, demos[0].start), *(start or 0 for start in headings[:-1])]
    ends = [*starts[1:], headings[-1] or demos[-1].end]
    answers = [demo.answer.rsplit("\n\n", 1)[0].strip() for demo in demos]
    return [Demo(*values) for values in zip(starts, ends, answers, strict=True)]


_HEADING = re.compile(r"(?:\r?\n[ \t]*){2,}(?P<line>[^\n]*[:：])\s*\Z")


def _heading_start(text: str, demo: Demo) -> int | None:
    match = _HEADING.search(text, demo.start, demo.end)
    return match.start("line") if match else None


def _heading_before(text: str, start: int) -> int:
    match = re.compile(r"(?:\A|\n)(?P<line>[^\n]*[:：])\s*\Z").search(text, 0, start)
    return match.start("line") if match else start


def _likeness(blocks: Sequence[_Block]) -> float:
    """Share of the blocks that hold the stems most blocks hold, each once and in one order."""
    often = {label for label, count in Counter(label for b in blocks for label in set(b.labels)).items()
             if 2 * count > len(blocks)}  # fmt: skip
    shapes = [tuple(label for label in block.labels if label in often) for block in blocks]
    usual, count = Counter(shapes[:-1] or shapes).most_common(1)[0]
    same = count + (len(shapes) > 1 and shapes[-1][: len(usual)] == usual)
    return same / len(shapes) / (1 if len(set(usual)) == len(usual) else 2)


_TAG = re.compile(r"<(?P<closing>/?)(?P<name>[^\W\d_][\w-]*)(?:\s[^<>\n]*)?>")


@dataclass
class _Element:
    """A tag with its closing tag, and the elements right inside of it."""

    name: str
    start: int
    inside: int
    children: list[_Element] = field(default_factory=list)
    outside: int = 0
    end: int = 0


def _elements(text: str) -> _Element:
    """The elements of a text below a root; a tag that nothing closes is none, and what stands in it moves up."""
    root = _Element("", 0, 0, outside=len(text), end=len(text))
    stack, open_names = [root], Counter[str]()
    for tag in _TAG.finditer(text):
        name = tag["name"]
        if not tag["closing"]:
            stack.append(_Element(name, tag.start(), tag.end()))
            open_names[name] += 1
        elif open_names[name]:
            _close(stack, open_names, name)
            element = stack.pop()
            element.outside, element.end = tag.start(), tag.end()
            open_names[name] -= 1
            stack[-1].children.append(element)
    _close(stack, open_names, "")
    return root


def _close(stack: list[_Element], open_names: Counter[str], name: str) -> None:
    """Drop the tags above the last one with a name, and hand their elements down to it."""
    orphans: list[list[_Element]] = []
    while stack[-1].name != name:
        dropped = stack.pop()
        open_names[dropped.name] -= 1
        orphans.append(dropped.children)
    for children in reversed(orphans):
        stack[-1].children += children


def _tag_cuttings(layout: Layout) -> Iterator[Cutting]:
    """Elements with the same tag, one after another, with an answer inside."""
    parents = [_elements(layout.text)]
    while parents:
        parent = parents.pop()
        parents += parent.children
        for name in dict.fromkeys(child.name for child in parent.children):
            same = [child for child in parent.children if child.name == name]
            if (len(same) > 1 or _is_demo_word(name)) and _demo_tag(name, same):
                yield _tagged(layout, same)


def _is_demo_word(name: str) -> bool:
    return name.lower() != "user" and (name.lower() in DEMO_WORDS or name.lower().rstrip("s") in DEMO_WORDS)


def _demo_tag(name: str, elements: Sequence[_Element]) -> bool:
    """Whether elements look like demonstrations: several different fields in each, or a word for them."""
    fields = all(len({child.name for child in element.children}) > 1 for element in elements)
    repeated = any(len(element.children) > len({child.name for child in element.children}) for element in elements)
    return fields or (_is_demo_word(name) and not repeated)


def _tagged(layout: Layout, elements: Sequence[_Element]) -> Cutting:
    text = layout.text
    ends = [_after_blank(text, _line_end(text, element.end)) for element in elements]
    demos = [
        Demo(_line_start(text, element.start), end, _tag_answer(text, element))
        for element, end in zip(elements, ends, strict=True)
    ]
    query = re.compile(r"(?:\s*</[\w-]+>)*\s*").match(text, ends[-1])
    place = query.end() if query and "</" in query[0] else ends[-1]
    has_query = layout.closed or bool(text[place:].strip())
    return Cutting("tags", tuple(demos), len(text) if layout.closed else place, 1.0 if has_query else 0.0)


def _tag_answer(text: str, element: _Element) -> str:
    """The text of the last field, else what stands behind the stem of the last line."""
    if element.children:
        return text[element.children[-1].inside : element.children[-1].outside].strip()
    last = text[element.inside : element.outside].strip().rsplit("\n", 1)[-1]
    return re.sub(r"^[^:：]{1,40}[:：]\s*", "", last)


def _line_start(text: str, place: int) -> int:
    start = text.rfind("\n", 0, place) + 1
    return start if not text[start:place].strip() else place


def _line_end(text: str, place: int) -> int:
    blank = re.compile(r"[ \t]*(?:\r\n|\r|\n)?").match(text, place)
    return blank.end() if blank else place


def _arrow_cuttings(layout: Layout) -> Iterator[Cutting]:
    """Lines of one form, `history -> answer`, the last of which ends with the arrow."""
    text, run = layout.text, list[tuple[Line, str, str]]()
    for line in layout.lines:
        arrows = list(_ARROW.finditer(text, line.start, line.end))
        if arrows:
            run.append((line, arrows[-1][0].strip(), text[arrows[-1].end() : line.end].strip()))
        elif text[line.start : line.end].strip():
            yield from _arrow_run(layout, run)
            run = []
    yield from _arrow_run(layout, run)


def _arrow_run(layout: Layout, run: Sequence[tuple[Line, str, str]]) -> Iterator[Cutting]:
    if len({arrow for _, arrow, _ in run}) != 1:
        return
    *demo_blocks, (_, _, rest) = run
    if layout.closed or rest:
        demo_blocks = list(run)
    if len(demo_blocks) < 1 + bool(rest and not layout.closed) or not all(answer for _, _, answer in demo_blocks):
        return
    bounds = [*(line.start for line, _, _ in demo_blocks), _after_blank(layout.text, demo_blocks[-1][0].after)]
    demos = [Demo(start, end, answer) for start, end, (_, _, answer)
             in zip(bounds, bounds[1:], demo_blocks, strict=False)]  # fmt: skip
    query = len(layout.text) if layout.closed else bounds[-1]
    has_query = layout.closed or bool(layout.text[query:].strip())
    yield Cutting("arrows", tuple(demos), query, (1.0 if len(demos) > 1 else 0.8) * has_query * (not rest or 0.7))


def _separator_cuttings(layout: Layout) -> Iterator[Cutting]:
    """Blocks between equal separators that begin with the same words."""
    for name, bounds in _separated(layout):
        blocks = [(start, end) for start, end in bounds if layout.text[start:end].strip()]
        for first, count in _alike_runs([_opening(layout.text[start:end]) for start, end in blocks]):
            run = blocks[first : first + count]
            if count > 2 - layout.closed:
                yield _separated_cutting(layout, name, run)


def _separated(layout: Layout) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """The blocks between rules, between blank lines, and single lines."""
    text, lines = layout.text, layout.lines
    rules = [line for line in lines if _RULE_LINE.fullmatch(text, line.start, line.end)]
    if rules:
        yield "rules", _bounds([0, *(line.after for line in rules)], len(text))
    blank = [line for line in lines if not text[line.start : line.end].strip()]
    if blank:
        yield "paragraphs", _bounds([0, *(line.after for line in blank)], len(text))
    yield "lines", [(line.start, line.after) for line in lines]


def _bounds(starts: Sequence[int], end: int) -> list[tuple[int, int]]:
    return list(zip(starts, [*starts[1:], end], strict=True))


_STEM_WORD = re.compile(r"\S*[:：\])>|]")
_LIST_MARK = re.compile(r"\(?\w{1,3}[.)]|[-*•]")


def _opening(block: str) -> tuple[str, ...]:
    """The first two words of a block, or its first if that is a stem; numbers as one sign."""
    words = [re.sub(r"\d+", "0", word) for word in block.split(maxsplit=2)[:2]]
    stemmed = bool(words) and _STEM_WORD.fullmatch(words[0]) and not _LIST_MARK.fullmatch(words[0])
    return tuple(words[:1] if stemmed else words)


def _alike_runs(openings: Sequence[tuple[str, ...]]) -> Iterator[tuple[int, int]]:
    """First index and length of each run of equal openings."""
    first = 0
    for place in range(1, len(openings) + 1):
        if place == len(openings) or openings[place] != openings[first]:
            yield first, place - first
            first = place


def _separated_cutting(layout: Layout, name: str, run: Sequence[tuple[int, int]]) -> Cutting:
    text, last = layout.text, run[-1]
    is_query = not layout.closed and not text[last[1] :].strip()
    demo_blocks = run[:-1] if is_query else run
    starts = [start for start, _ in demo_blocks]
    end = last[0] if is_query else last[1]
    answers = _cued_answers(text, demo_blocks, text[last[0] : last[1]] if is_query else "")
    spans = zip(starts, [*starts[1:], end], answers, strict=True)
    words = min(len(text[start:stop].split()) for start, stop in demo_blocks)
    fit = 0.0 if words < LEAST_WORDS or (name == "lines" and _is_list(text, demo_blocks, answers)) else 1.0
    fit *= (1.0 if is_query or layout.closed else 0.8) * (0.8 if name == "lines" else 1.0)
    return Cutting("separators", tuple(Demo(*span) for span in spans), len(text) if layout.closed else end, fit)


def _cued_answers(text: str, blocks: Sequence[tuple[int, int]], query: str) -> list[str]:
    """What the blocks write behind the last word of the query, where that is a cue; else empty texts."""
    words = query.rstrip(" \t\r\n\"'“").split()
    cue = words[-1] if words and CUE.search(query.rstrip()) else ""
    parts = [text[start:stop].rpartition(cue) if cue else ("", "", "") for start, stop in blocks]
    answers = [_bare(behind).strip(" \t\"'“”}])|,") for _, _, behind in parts]
    return answers if all(answers) else [""] * len(answers)


def _is_list(text: str, blocks: Sequence[tuple[int, int]], answers: Sequence[str]) -> bool:
    """Whether lines are a list of titles, or of fields without answers, rather than demonstrations."""
    openings = [_opening(text[start:stop]) for start, stop in blocks]
    marked = any(_LIST_MARK.fullmatch(opening[0]) for opening in openings)
    stemmed = any(_STEM_WORD.fullmatch(opening[0]) for opening in openings)
    return (marked or stemmed) and not all(answers)


_ROW = re.compile(r"[ \t]*\|(?P<cells>[^\n]*)")
_ROW_RULE = re.compile(r"[ \t]*\|[-:| \t]+")


def _row_cuttings(layout: Layout) -> Iterator[Cutting]:
    """Rows of a Markdown table, the last of which has no answer yet."""
    text, run = layout.text, list[Line]()
    for line in (*layout.lines, Line(len(text), len(text), len(text))):
        if _ROW.fullmatch(text, line.start, line.end):
            run.append(line)
        elif run:
            yield from _table_cutting(layout, run)
            run = []


def _table_cutting(layout: Layout, run: Sequence[Line]) -> Iterator[Cutting]:
    text = layout.text
    if len(run) < 4 or not _ROW_RULE.fullmatch(text, run[1].start, run[1].end):
        return
    cells = [_cells(text[line.start : line.end]) for line in run]
    width = len(cells[0])
    is_query = len([cell for cell in cells[-1] if cell]) < width
    rows, answers = run[2:-1] if is_query else run[2:], [row[-1] for row in cells[2:]]
    if (is_query or layout.closed) and all(len(row) == width and row[-1] for row in cells[2 : 2 + len(rows)]):
        demos = [Demo(line.start, line.after, answer) for line, answer in zip(rows, answers, strict=False)]
        yield Cutting("rows", tuple(demos), len(text) if layout.closed else run[-1].start, 1.0)


def _cells(row: str) -> list[str]:
    cells = [cell.strip() for cell in row.strip().removeprefix("|").split("|")]
    return cells[:-1] if cells[-1] == "" and len(cells) > 1 else cells


CUTTERS = (
    Cutter("tags", "repeated elements such as <example> … </example>", 0.95, _tag_cuttings),
    Cutter(
        "stems", "blocks with the same stems, such as Input: and Output:, or Example 1, Example 2", 0.9, _stem_cuttings
    ),
    Cutter("rows", "rows of a Markdown table", 0.85, _row_cuttings),
    Cutter("arrows", "lines of the form history -> answer", 0.85, _arrow_cuttings),
    Cutter("separators", "blocks between equal separators that begin alike", 0.6, _separator_cuttings),
)
"""The ways to find demonstrations in a text; a new one is a function and a row."""
