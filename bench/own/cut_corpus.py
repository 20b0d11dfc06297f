"""Which prompts is cutting measured on? Prompts in the styles of other programs, from invented titles, with true cuts."""

# ruff: noqa: E501  (a style is read as one line)

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from core.data.records import Role
from core.prompt.imported.case_file import Message, PartKind

WORDS = [
    "Tin",
    "Paper",
    "Glass",
    "Salt",
    "Blue",
    "North",
    "Iron",
    "Small",
    "Amber",
    "Hollow",
    "Silver",
    "Quiet",
    "Seventh",
    "Broken",
    "Winter",
    "Velvet",
]
THINGS = [
    "Harbour",
    "Moons",
    "Orchard",
    "Parade",
    "Kettle",
    "Lamp",
    "Lullaby",
    "Thunder",
    "Garden",
    "Letters",
    "Bridge",
    "Station",
    "Mirror",
    "Tide",
]
HARD = (
    "Paper Moons, The (1990)",
    "North Lamp: The Return",
    "Q: The Gate",
    "Captain's Log",
    "What Now?",
    "Yes Man of Salt",
    "Input: A Love Story",
    "Seven, Eight & Nine",
)
"""Titles that imitate separators and stems."""
SEEDS = (1, 2, 3)

TruePart = tuple[PartKind, str]


@dataclass(frozen=True)
class Shot:
    """A history, an item, and the answer about it."""

    history: tuple[str, ...]
    item: str
    answer: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class CutPrompt:
    """A prompt with its true cuts: a text, or the messages of a chat, each in parts."""

    style: str
    turns: tuple[tuple[Role | None, tuple[TruePart, ...]], ...]
    foreign: bool = False
    """Whether no cutter was written for the style."""
    name: str = ""

    @property
    def demos(self) -> list[str]:
        """The true demonstrations in order; of a chat, their turns joined."""
        return [text for _, parts in self.turns for kind, text in parts if kind == "demo"]

    @property
    def text(self) -> str | None:
        """The prompt, where it is no chat."""
        role, parts = self.turns[0]
        return None if role else "".join(text for _, text in parts)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages of a chat."""
        return tuple(Message(role, "".join(text for _, text in parts)) for role, parts in self.turns if role)


@dataclass(frozen=True)
class ShotMaterial:
    """What a style writes: demonstrations and a query."""

    shots: tuple[Shot, ...]
    query: Shot
    rng: random.Random = field(repr=False)

    @property
    def numbered(self) -> Iterator[tuple[int, Shot]]:
        """The demonstrations with their numbers from 1."""
        return iter(enumerate(self.shots, 1))


def material(seed: int, count: int, *, labels: bool = True, hard: bool = False) -> ShotMaterial:
    """Demonstrations with Yes and No, or with the next title as their answer."""
    rng = random.Random(f"{seed} {count} {labels} {hard}")
    titles = [f"{word} {thing}" for word in WORDS for thing in THINGS]
    rng.shuffle(titles)
    titles = [*rng.sample(HARD, 4), *titles] if hard else titles
    rng.shuffle(titles)
    shots = [_shot(rng, titles, labels, place) for place in range(count + 1)]
    return ShotMaterial(tuple(shots[:-1]), shots[-1], rng)


def _shot(rng: random.Random, titles: list[str], labels: bool, place: int) -> Shot:
    history = tuple(titles.pop() for _ in range(rng.randint(2, 5)))
    item = titles.pop()
    choices = [item, *(titles.pop() for _ in range(3))] if len(titles) > 400 - 100 or not labels else [item]
    rng.shuffle(choices)
    answer = ("Yes", "No")[(place + rng.randint(0, 1)) % 2] if labels else item
    return Shot(history, item, answer, tuple(choices))


def listed(titles: Sequence[str]) -> str:
    """`A, B, C`."""
    return ", ".join(titles)


def quoted(titles: Sequence[str]) -> str:
    """`"A", "B"`."""
    return ", ".join(f'"{title}"' for title in titles)


def lines(titles: Sequence[str]) -> str:
    """A numbered line each."""
    return "\n".join(f"{place}. {title}" for place, title in enumerate(titles, 1))


def one_text(pinned: str, demos: Sequence[str], query: str) -> tuple[tuple[None, tuple[TruePart, ...]], ...]:
    """A text prompt."""
    parts: list[TruePart] = [("pinned", pinned)] * bool(pinned)
    return ((None, (*parts, *(("demo", demo) for demo in demos), ("query", query))),)


INSTRUCTION = "Predict whether the user will like the item. Answer Yes or No."
TrueTurns = tuple[tuple[Role | None, tuple[TruePart, ...]], ...]
PromptStyle = Callable[[ShotMaterial], TrueTurns]


def framed(pinned: str, demo: str, query: str, *, history: Callable[[Sequence[str]], str] = listed) -> PromptStyle:
    """A style whose demonstrations fill `demo`; fields are {n} {h} {i} {a} {c}."""

    def write(data: ShotMaterial) -> TrueTurns:
        demos = [_filled(demo, number, shot, history) for number, shot in data.numbered]
        return one_text(pinned, demos, _filled(query, len(data.shots) + 1, data.query, history))

    return write


def _filled(form: str, number: int, shot: Shot, history: Callable[[Sequence[str]], str]) -> str:
    values = {"{n}": str(number), "{h}": history(shot.history), "{i}": shot.item, "{a}": shot.answer,
              "{c}": lines(shot.choices), "{L}": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(number - 1) % 26]}  # fmt: skip
    for name, value in values.items():
        form = form.replace(name, value)
    return form


def crlf(style: PromptStyle) -> PromptStyle:
    """The same with the line ends of Windows."""
    return lambda data: tuple(
        (role, tuple((kind, text.replace("\n", "\r\n")) for kind, text in parts)) for role, parts in style(data)
    )


def chat_pairs(system: str, user: str) -> PromptStyle:
    """Demonstrations as turns of user and assistant; without a system message its text opens the first turn."""

    def write(data: ShotMaterial) -> TrueTurns:
        turns: list[tuple[Role | None, tuple[TruePart, ...]]] = []
        if system:
            turns.append(("system", (("pinned", system),)))
        for number, shot in data.numbered:
            turns.append(("user", (("demo", _filled(user, number, shot, listed)),)))
            turns.append(("assistant", (("demo", shot.answer),)))
        turns.append(("user", (("query", _filled(user, len(data.shots) + 1, data.query, listed)),)))
        return tuple(turns)

    return write


def opened_chat(instruction: str, user: str) -> PromptStyle:
    """A chat whose first turn holds the instruction and the first demonstration."""

    def write(data: ShotMaterial) -> TrueTurns:
        first, *rest = chat_pairs("", user)(data)
        return (("user", (("pinned", instruction), *first[1])), *rest)

    return write


def in_one_turn(style: PromptStyle, system: str = "", behind: str = "") -> PromptStyle:
    """A text prompt as the one message of the user."""

    def write(data: ShotMaterial) -> TrueTurns:
        ((_, parts),) = style(data)
        turn: tuple[TruePart, ...] = (*parts, *((("query", behind),) if behind else ()))
        return ((("system", (("pinned", system),)),) if system else ()) + (("user", turn),)

    return write


def in_system(style: PromptStyle) -> PromptStyle:
    """The demonstrations in the system message, the query as the turn of the user."""

    def write(data: ShotMaterial) -> TrueTurns:
        ((_, parts),) = style(data)
        return (("system", parts[:-1]), ("user", parts[-1:]))

    return write


IO_ = ("Input: User liked {h}. Item: {i}.\nOutput: {a}\n\n", "Input: User liked {h}. Item: {i}.\nOutput:")
STYLES: Mapping[str, PromptStyle] = {
    "numbered, input and output": framed(
        INSTRUCTION + "\n\n",
        "#Example {n}:\nInput: Liked: {h}. Next: {i}?\nOutput: {a}\n\n",
        "#Example {n}:\nInput: Liked: {h}. Next: {i}?\nOutput:",
        history=quoted,
    ),
    "examples, then another heading": framed(
        INSTRUCTION + "\n\n",
        "Example {n}:\nHistory: {h}\nItem: {i}\nAnswer: {a}\n\n",
        "Now the question:\nHistory: {h}\nItem: {i}\nAnswer:",
    ),
    "input and output": framed(INSTRUCTION + "\n\n", *IO_),
    "input and output, no blank lines": framed(
        INSTRUCTION + "\n", "Input: {h} | {i}\nOutput: {a}\n", "Input: {h} | {i}\nOutput:"
    ),
    "Q and A": framed("", "Q: A user liked {h}. Will the user like {i}?\nA: {a}\n\n", "Q: A user liked {h}. Will the user like {i}?\nA:"),
    "question and answer": framed(
        INSTRUCTION + "\n\n", "Question: {h} and then {i}?\nAnswer: {a}\n\n", "Question: {h} and then {i}?\nAnswer:", history=quoted
    ),
    "alpaca blocks": framed(
        "Below are tasks with their answers.\n\n",
        "### Instruction:\nThe user liked {h}. Will {i} be liked?\n\n### Response:\n{a}\n\n",
        "### Instruction:\nThe user liked {h}. Will {i} be liked?\n\n### Response:\n",
    ),
    "alpaca blocks with input": framed(
        "",
        "### Instruction:\nAnswer Yes or No.\n\n### Input:\nLiked: {h}\nItem: {i}\n\n### Response:\n{a}\n\n",
        "### Instruction:\nAnswer Yes or No.\n\n### Input:\nLiked: {h}\nItem: {i}\n\n### Response:\n",
    ),
    "user and assistant as text": framed(
        INSTRUCTION + "\n\n", "User: I liked {h}. What about {i}?\nAssistant: {a}\n\n", "User: I liked {h}. What about {i}?\nAssistant:"
    ),
    "human and AI as text": framed("", "Human: {h}; {i}?\nAI: {a}\n", "Human: {h}; {i}?\nAI:"),
    "tags in a wrapper": framed(
        INSTRUCTION + "\n<examples>\n",
        "<example>\n<history>{h}</history>\n<item>{i}</item>\n<answer>{a}</answer>\n</example>\n",
        "</examples>\n<history>{h}</history>\n<item>{i}</item>\n<answer>",
    ),
    "tags around text": framed(
        INSTRUCTION + "\n\n", '<example id="{n}">\nLiked: {h}\nItem: {i}\nAnswer: {a}\n</example>\n\n', "Liked: {h}\nItem: {i}\nAnswer:"
    ),
    "tags of speakers": framed("", "<user>{h}: {i}?</user>\n<assistant>{a}</assistant>\n", "<user>{h}: {i}?</user>\n<assistant>"),
    "tags without wrapper": framed(
        INSTRUCTION + "\n", "<demo><input>{h} / {i}</input><output>{a}</output></demo>\n", "<input>{h} / {i}</input><output>"
    ),
    "headings": framed(
        "# Task\n" + INSTRUCTION + "\n\n",
        "## Example {n}\nHistory: {h}\nItem: {i}\nAnswer: {a}\n\n",
        "## Question\nHistory: {h}\nItem: {i}\nAnswer:",
    ),
    "headings and bold": framed(
        "# Task\n" + INSTRUCTION + "\n\n# Examples\n\n",
        "### Example {n}\n\n**History:** {h}\n\n**Item:** {i}\n\n**Answer:** {a}\n\n",
        "# Your turn\n\n**History:** {h}\n\n**Item:** {i}\n\n**Answer:**",
    ),
    "bold stems": framed(INSTRUCTION + "\n\n", "**Liked**: {h}\n**Next**: {a}\n\n", "**Liked**: {h}\n**Next**:"),
    "paragraphs alike": framed(
        "Complete the last sentence.\n\n",
        "A user who enjoyed {h} went on to choose {a}.\n\n",
        "A user who enjoyed {h} went on to choose",
    ),
    "lines alike": framed(
        "Complete the last line.\n", "The user liked {h}, then chose {a}.\n", "The user liked {h}, then chose"
    ),
    "arrows": framed(INSTRUCTION + "\n\n", "{h} -> {a}\n", "{h} ->"),
    "thick arrows": framed("", "{h}; {i} => {a}\n", "{h}; {i} =>"),
    "rules": framed(
        INSTRUCTION + "\n---\n", "Liked: {h}\nItem: {i}\nVerdict: {a}\n---\n", "Liked: {h}\nItem: {i}\nVerdict:"
    ),
    "rules around sentences": framed(
        "Here are some users.\n===\n", "This user liked {h} and next {a}.\n===\n", "This user liked {h} and next"
    ),
    "brackets": framed(
        INSTRUCTION + "\n\n", "[Example {n}]\nLiked: {h}\nItem: {i}\nAnswer: {a}\n\n", "[Example {n}]\nLiked: {h}\nItem: {i}\nAnswer:"
    ),
    "letters": framed(
        INSTRUCTION + "\n\n", "Case {L}:\nLiked: {h}\nItem: {i}\nAnswer: {a}\n\n", "Case {L}:\nLiked: {h}\nItem: {i}\nAnswer:"
    ),
    "numbers before stems": framed(
        INSTRUCTION + "\n\n", "{n}. Input: {h} / {i}\n   Output: {a}\n", "{n}. Input: {h} / {i}\n   Output:"
    ),
    "numbered stems": framed("", "Q{n}: {h} and {i}?\nA{n}: {a}\n\n", "Q{n}: {h} and {i}?\nA{n}:"),
    "numbered sentences": framed(
        "Here are some users.\n\n", "Example {n}: The user liked {h} and then {a}.\n", "Example {n}: The user liked {h} and then"
    ),
    "form described first": framed(
        INSTRUCTION + "\n\nFormat:\nInput: <titles>\nOutput: <Yes or No>\n\n", "Input: {h}, {i}\nOutput: {a}\n\n", "Input: {h}, {i}\nOutput:"
    ),
    "a sentence before each": framed(
        INSTRUCTION + "\n\n", "Here is an example:\n\nLiked: {h}\nItem: {i}\nAnswer: {a}\n\n", "Now your turn:\n\nLiked: {h}\nItem: {i}\nAnswer:"
    ),
    "a sentence before the query": framed(
        INSTRUCTION + "\n\n", "Liked: {h}\nItem: {i}\nAnswer: {a}\n\n", "Now decide for this user.\n\nLiked: {h}\nItem: {i}\nAnswer:"
    ),
    "a reason behind the answer": framed(
        INSTRUCTION + "\n\n",
        "Liked: {h}\nItem: {i}\nAnswer: {a}\nReason: the user likes titles such as {i}.\n\n",
        "Liked: {h}\nItem: {i}\nAnswer:",
    ),
    "histories as lines": framed(
        "Choose the next title.\n\n",
        "Example {n}\nHistory:\n{h}\nNext: {a}\n\n",
        "Example {n}\nHistory:\n{h}\nNext:",
        history=lines,
    ),
    "ranking with candidates": framed(
        "Pick one candidate.\n\n",
        "### Example {n}\nWatched: {h}\nCandidates:\n{c}\nAnswer: {a}\n\n",
        "### Query\nWatched: {h}\nCandidates:\n{c}\nAnswer:",
    ),
    "python lists": framed(
        INSTRUCTION + "\n\n", "History: {h}\nTarget: {i}\nLabel: {a}\n\n", "History: {h}\nTarget: {i}\nLabel:", history=lambda titles: str(list(titles))
    ),
    "marks of ChatML in a text": framed(
        "<|im_start|>system\n" + INSTRUCTION + "<|im_end|>\n",
        "<|im_start|>user\n{h}: {i}?<|im_end|>\n<|im_start|>assistant\n{a}<|im_end|>\n",
        "<|im_start|>user\n{h}: {i}?<|im_end|>\n<|im_start|>assistant\n",
    ),
    "marks of Llama 3 in a text": framed(
        "",
        "<|start_header_id|>user<|end_header_id|>\n\n{h}: {i}?<|eot_id|>\n<|start_header_id|>assistant<|end_header_id|>\n\n{a}<|eot_id|>\n",
        "<|start_header_id|>user<|end_header_id|>\n\n{h}: {i}?<|eot_id|>\n<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    "marks of DSPy": framed(
        INSTRUCTION + "\n\n",
        "[[ ## history ## ]]\n{h}\n\n[[ ## item ## ]]\n{i}\n\n[[ ## answer ## ]]\n{a}\n\n[[ ## completed ## ]]\n\n",
        "[[ ## history ## ]]\n{h}\n\n[[ ## item ## ]]\n{i}\n\n[[ ## answer ## ]]\n",
    ),
    "German": framed("Antworte mit Ja oder Nein.\n\n", "Beispiel {n}:\nVerlauf: {h}\nTitel: {i}\nAntwort: {a}\n\n", "Beispiel {n}:\nVerlauf: {h}\nTitel: {i}\nAntwort:"),
    "French": framed("Réponds par oui ou non.\n\n", "Entrée : {h} / {i}\nSortie : {a}\n\n", "Entrée : {h} / {i}\nSortie :"),
    "Spanish": framed("Responde sí o no.\n\n", "Pregunta: {h}, ¿{i}?\nRespuesta: {a}\n\n", "Pregunta: {h}, ¿{i}?\nRespuesta:"),
    "Russian": framed("Ответь да или нет.\n\n", "Пример {n}\nИстория: {h}\nФильм: {i}\nОтвет: {a}\n\n", "Пример {n}\nИстория: {h}\nФильм: {i}\nОтвет:"),
    "Japanese": framed("はいかいいえで答えてください。\n\n", "入力：{h}／{i}\n出力：{a}\n\n", "入力：{h}／{i}\n出力："),
    "Chinese": framed("请回答是或否。\n\n", "示例{n}：\n历史：{h}\n电影：{i}\n答案：{a}\n\n", "示例{n}：\n历史：{h}\n电影：{i}\n答案："),
    "Arabic": framed("أجب بنعم أو لا.\n\n", "المدخل: {h} / {i}\nالجواب: {a}\n\n", "المدخل: {h} / {i}\nالجواب:"),
    "line ends of Windows": crlf(framed(INSTRUCTION + "\n\n", *IO_)),
    "chat turns": chat_pairs(INSTRUCTION, "Liked: {h}. Next: {i}?"),
    "chat turns, no system": chat_pairs("", "The user liked {h}. Would the user like {i}?"),
    "chat opened by the instruction": opened_chat(INSTRUCTION + "\n\n", "Liked: {h}\nItem: {i}"),
    "examples in one chat turn": in_one_turn(framed("Examples:\n\n", *IO_), INSTRUCTION),
    "examples in the system message": in_system(framed(INSTRUCTION + "\n\n", *IO_)),
    "numbered examples in the system message": in_system(
        framed(INSTRUCTION + "\n\n", "Example {n}:\nLiked: {h}\nItem: {i}\nAnswer: {a}\n\n", "Liked: {h}\nItem: {i}")
    ),
}  # fmt: skip
"""The styles that the cutters are written for."""

NO_DEMOS: Mapping[str, PromptStyle] = {
    "no demonstration, TALLRec": framed(
        "", "", "### Instruction:\nGiven the preference, answer Yes or No.\n\n### Input:\nUser Preference: {h}\nTarget: {i}\n\n### Response:\n", history=quoted
    ),
    "no demonstration, ranking": framed(
        "", "", "I've watched the following movies in the past in order:\n{h}\n\nNow there are 4 candidate movies:\n{c}\nPlease rank them.", history=lines
    ),
    "no demonstration, sentence": framed("", "", "The user liked {h}. Will the user like {i}? Answer Yes or No."),
    "no demonstration, sections": framed("", "", "# Task\nPick a title.\n\n# History\n{h}\n\n# Candidates\n{c}\n\n# Answer\n", history=lines),
}  # fmt: skip
"""Prompts with nothing to cut."""


def acknowledged(style: PromptStyle) -> PromptStyle:
    """The examples in a first turn that the assistant acknowledges, the query as the second turn."""

    def write(data: ShotMaterial) -> TrueTurns:
        ((_, parts),) = style(data)
        return (("user", parts[:-1]), ("assistant", (("pinned", "Understood."),)), ("user", parts[-1:]))

    return write


FOREIGN: Mapping[str, PromptStyle] = {
    "JSON objects": framed(
        "Fill in the last object.\n\n", '{"history": "{h}", "item": "{i}", "answer": "{a}"}\n', '{"history": "{h}", "item": "{i}", "answer": "'
    ),
    "a Markdown table": framed(
        "| history | item | answer |\n|---|---|---|\n", "| {h} | {i} | {a} |\n", "| {h} | {i} |", history=lambda titles: "; ".join(titles)
    ),
    "YAML": framed("examples:\n", "- history: {h}\n  item: {i}\n  answer: {a}\n", "query:\n  history: {h}\n  item: {i}\n  answer:"),
    "one paragraph": framed("Some users: ", "someone with {h} picked {a}; ", "and someone with {h} picked"),
    "Roman numerals": framed(
        INSTRUCTION + "\n\n", "({n}) Someone who finished {h} was asked about {i} and said {a}.\n\n", "Someone who finished {h} is asked about {i} and says"
    ),
    "query first": lambda data: (
        (
            None,
            (
                ("query", f"Decide for a user who liked {listed(data.query.history)}: {data.query.item}?\n\n"),
                *(("demo", f"Past user {n}: {listed(s.history)}; {s.item}? {s.answer}\n") for n, s in data.numbered),
            ),
        ),
    ),
    "decorated headings": framed(
        INSTRUCTION + "\n\n", "#### Instance {n} ####\nLiked: {h}\nItem: {i}\nAnswer: {a}\n\n", "#### Your task ####\nLiked: {h}\nItem: {i}\nAnswer:"
    ),
    "stems inside a line": framed(INSTRUCTION + "\n", "Given: {h} Item: {i} Result: {a}\n", "Given: {h} Item: {i} Result:"),
    "numbered one-liners": framed(INSTRUCTION + "\n\n", "{n}) Input: {h}, {i}. Output: {a}\n", "{n}) Input: {h}, {i}. Output:"),
    "marks of Llama 2 in a text": framed("", "<s>[INST] {h}: {i}? [/INST] {a} </s>\n", "<s>[INST] {h}: {i}? [/INST]"),
    "assignments": framed("", "history = [{h}]\nitem = '{i}'\nanswer = '{a}'\n\n", "history = [{h}]\nitem = '{i}'\nanswer = '", history=quoted),
    "emoji": framed(INSTRUCTION + "\n\n", "👉 Liked: {h}\n🎬 Item: {i}\n✅ Answer: {a}\n\n", "👉 Liked: {h}\n🎬 Item: {i}\n✅ Answer:"),
    "headings with brackets": framed(
        INSTRUCTION + "\n\n", "Example {n} (from another user):\nLiked: {h}\nItem: {i}\nAnswer: {a}\n\n", "Now this user:\nLiked: {h}\nItem: {i}\nAnswer:"
    ),
    "pipes": framed(INSTRUCTION + "\n", "Sample #{n} | liked: {h} | item: {i} | answer: {a}\n", "Sample #{n} | liked: {h} | item: {i} | answer:"),
    "Hindi": framed("हाँ या नहीं में उत्तर दें।\n\n", "इतिहास: {h}\nफ़िल्म: {i}\nउत्तर: {a}\n\n", "इतिहास: {h}\nफ़िल्म: {i}\nउत्तर:"),
    "Vietnamese": framed("Trả lời có hoặc không.\n\n", "Ví dụ {n}:\nLịch sử: {h}\nPhim: {i}\nTrả lời: {a}\n\n", "Ví dụ {n}:\nLịch sử: {h}\nPhim: {i}\nTrả lời:"),
    "prompts of shells": framed("", "USER>>> {h}; {i}?\nBOT>>> {a}\n", "USER>>> {h}; {i}?\nBOT>>>"),
    "quoted blocks": framed(INSTRUCTION + "\n\n", "> Liked: {h}\n> Item: {i}\n> Answer: {a}\n\n", "> Liked: {h}\n> Item: {i}\n> Answer:"),
    "underlined headings": framed(
        INSTRUCTION + "\n\n", "EXAMPLE {n}\n---------\nLiked: {h}\nItem: {i}\nAnswer: {a}\n\n", "QUESTION\n---------\nLiked: {h}\nItem: {i}\nAnswer:"
    ),
    "an array over lines": framed(
        "[\n", '  {\n    "history": "{h}",\n    "item": "{i}",\n    "answer": "{a}"\n  },\n', '  {\n    "history": "{h}",\n    "item": "{i}",\n    "answer": "'
    ),
    "arrows as stems": framed(INSTRUCTION + "\n\n", "Liked → {h}\nItem → {i}\nDecision → {a}\n\n", "Liked → {h}\nItem → {i}\nDecision →"),
    "bullets before stems": framed(INSTRUCTION + "\n\n", "- Input: {h}, {i}\n- Output: {a}\n\n", "- Input: {h}, {i}\n- Output:"),
    "dots behind stems": framed(INSTRUCTION + "\n\n", "Scenario {n}. {h} came before {i}.\nOutcome. {a}\n\n", "Scenario {n}. {h} came before {i}.\nOutcome."),
    "equals": framed("", "liked = {h}; item = {i}; answer = {a}\n", "liked = {h}; item = {i}; answer ="),
    "Korean": framed("예 또는 아니요로 답하세요.\n\n", "입력: {h} / {i}\n출력: {a}\n\n", "입력: {h} / {i}\n출력:"),
    "lettered people": framed("Some people.\n\n", "Person {L} enjoyed {h}. Verdict on {i}: {a}\n", "Person {L} enjoyed {h}. Verdict on {i}:"),
    "acknowledged examples": acknowledged(framed(INSTRUCTION + "\n\n", *IO_)),
    "calls of a function": framed("", 'recommend([{h}], "{i}")  # {a}\n', 'recommend([{h}], "{i}")  #', history=quoted),
}  # fmt: skip
"""Styles that no cutter was written for, beside those that others bring."""
FOREIGN_SEEDS = SEEDS[:1]


def corpus() -> list[CutPrompt]:
    """Every style with two to eight demonstrations, hard titles in every third prompt, and one prompt with 200."""
    prompts = [_prompt(name, style, seed) for name, style in STYLES.items() for seed in SEEDS]
    prompts += [CutPrompt(name, _without_demos(style(material(seed, 0))), name=f"{name} {seed}")
                for name, style in NO_DEMOS.items() for seed in SEEDS]  # fmt: skip
    many = STYLES["input and output"](material(9, 30))
    prompts.append(CutPrompt("many demonstrations", many, name="many demonstrations"))
    return prompts + [
        _prompt(name, style, seed, foreign=True) for name, style in FOREIGN.items() for seed in FOREIGN_SEEDS
    ]


def _without_demos(turns: TrueTurns) -> TrueTurns:
    return tuple((role, tuple((kind, text) for kind, text in parts if text)) for role, parts in turns)


def _prompt(name: str, style: PromptStyle, seed: int, *, foreign: bool = False) -> CutPrompt:
    count = (2, 3, 6)[(seed + len(name)) % 3]
    labels = "{i}" in name or ("alike" not in name and "arrows" not in name and "sentences" not in name)
    data = material(seed, count, labels=labels and seed != 2, hard=seed == 3)
    return CutPrompt(name, style(data), foreign, f"{name} {seed}")
