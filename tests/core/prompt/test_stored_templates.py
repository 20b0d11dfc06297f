"""A template that a person brings: checked at the door, stored under its content's hash, never run."""

from __future__ import annotations

from pathlib import Path

import film_case
import pytest
from film_case import YES_NO
from hypothesis import example, given
from hypothesis import strategies as some

from core.errors import PromptError
from core.prompt.stored_templates import (
    MOST_BYTES,
    checked_template,
    store_template,
    stored_template,
    stored_templates,
    template_of,
    template_taken_in,
)
from core.prompt.template import LONGEST_TEMPLATE, template_for

NEXT = f"# Short.\n{film_case.NEXT}"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))


def test_a_file_is_stored_and_read_again_by_the_hash_of_its_four_texts(tmp_path: Path) -> None:
    file = tmp_path / "short.txt"
    file.write_text(NEXT, encoding="utf-8")
    content_hash = template_taken_in(str(file))
    file.unlink()
    stored = stored_template(content_hash)
    assert (stored.name, stored.family, stored.text) == ("short.txt", "next_item", NEXT)
    assert stored.template.content_hash == content_hash == template_taken_in(content_hash)
    assert template_of(content_hash, "next_item") == stored.template
    assert template_of(None, "next_item") is None


def test_equal_texts_are_one_template_with_its_first_name() -> None:
    first = store_template(NEXT.encode(), "a.txt")
    again = store_template(NEXT.replace("# Short.", "# Another comment.").encode(), "b.txt")
    other = store_template(YES_NO.encode(), "c.txt")
    assert again == first
    assert [row.name for row in stored_templates()] == ["a.txt", "c.txt"]
    assert other.family == "yes_no"


@pytest.mark.parametrize("family", ["next_item", "yes_no"])
def test_a_shipped_template_brought_as_a_file_is_the_same_template(family: str) -> None:
    shipped = template_for(family)  # type: ignore[arg-type]
    text = Path("assets/prompts", f"{family}.txt").read_bytes()
    assert checked_template(text, "x").content_hash == shipped.content_hash
    assert checked_template(text, "x").family == family


REFUSED = [
    (NEXT.replace("{noun}", "{user.__class__}"), r"line 3: placeholder \{user.__class__\} in \[instruction\]"),
    (NEXT.replace("{noun}", "{history!r}"), r"line 3: placeholder \{history!r\}"),
    (NEXT.replace("{noun}", "{item:>99999999}"), r"line 3: placeholder \{item:>99999999\}"),
    (NEXT.replace("{noun}", "{{ cycler.__init__.__globals__ }}"), r"line 3: placeholder \{ cycler"),
    (NEXT.replace("{noun}", "{% for i in range(9) %}"), r"line 3: placeholder \{% for i in range\(9\) %\}"),
    (NEXT.replace("{noun}", "{noun"), r"line 3: an unpaired \{ in \[instruction\]"),
    (NEXT.replace("{noun}", "noun}"), r"line 3: an unpaired \} in \[instruction\]"),
    (NEXT.replace("{noun}", "{{noun}}"), r"line 3: an unpaired \{ in \[instruction\]"),
    (NEXT.replace("Seen {history}, then\n", "Seen {history\n}\n"), r"line 7: an unpaired \{ in \[query\]"),
    (NEXT.replace("{history}, then {item}", "nothing"), r"line 5: no \{history\} or \{wish\} in \[demo\]"),
    (NEXT.replace("[candidate]\n{item}", "[candidate]\n"), r"line 9: no \{item\} in \[candidate\]"),
    (NEXT.replace("[candidate]\n{item}", "[candidate]\nThe {item}"), r"\[candidate\] is 'The \{item\}'"),
    (NEXT.replace("Pick", "Pick\0"), r"line 3: the control character U\+0000"),
    (NEXT.replace("Pick", "Pick\x1b[2J"), r"line 3: the control character U\+001B"),
    (NEXT + "#" * LONGEST_TEMPLATE, r"characters; expected at most 20000"),
    ("", r"no \[instruction\] section"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_what_is_no_template_is_refused_with_file_and_line(text: str, words: str) -> None:
    with pytest.raises(PromptError, match=rf"^brought\.txt(, |: ).*{words.removeprefix('line')}") as error:
        checked_template(text.encode(), "/somewhere/else/brought.txt")
    assert "\n" not in str(error.value)


def test_bytes_that_are_not_utf_8_are_refused_with_their_line() -> None:
    with pytest.raises(PromptError, match=r"^t\.txt, line 3: the byte 0xE9, which is not UTF-8"):
        checked_template(NEXT.replace("Pick", "Sélection").encode("latin-1"), "t.txt")
    with pytest.raises(PromptError, match=r"line 1: the byte 0xFF"):
        checked_template(NEXT.encode("utf-16"), "t.txt")


def test_a_byte_order_mark_and_line_ends_of_windows_change_nothing() -> None:
    windows = b"\xef\xbb\xbf" + NEXT.replace("\n", "\r\n").encode()
    assert checked_template(windows, "t").template == checked_template(NEXT.encode(), "t").template


@pytest.mark.parametrize(
    "name", ["/dev/zero", "/dev", "no such file", "\0", "//host/share", "0123456789abcdef", "~x/y"]
)
def test_what_is_no_file_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(PromptError, match="template") as error:
        template_taken_in(name)
    assert "\n" not in str(error.value)


def test_an_endless_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    with file.open("wb") as stream:
        stream.truncate(10**12)
    with pytest.raises(PromptError, match=f"more than {MOST_BYTES} bytes"):
        template_taken_in(str(file))


def test_a_template_of_the_other_family_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    stored = store_template(NEXT.encode(), "a.txt")
    with pytest.raises(PromptError, match=r"a\.txt: \[demo\] without \{answer\}"):
        template_of(stored.content_hash, "yes_no")
    path = tmp_path / "home" / "templates" / f"{stored.content_hash}.json"
    path.write_bytes(path.read_bytes().replace(b"Pick", b"Take"))
    with pytest.raises(PromptError, match="damaged"):
        stored_template(stored.content_hash)
    assert stored_templates() == ()
    assert store_template(NEXT.encode(), "a.txt") == stored == stored_template(stored.content_hash)


@given(content=some.binary(max_size=300) | some.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
@example(b"\xff")
def test_any_bytes_are_a_template_or_one_sentence(content: bytes) -> None:
    sentence = ""
    try:
        checked_template(content, "t.txt")
    except PromptError as error:
        sentence = str(error)
    assert "\n" not in sentence


PIECES = some.sampled_from(
    ["{", "}", "{item}", "{history}", "{{", "}}", "{noun", "noun}", "{x}", "{item.a}", "{0}", " a "]
)


@given(pieces=some.lists(PIECES, max_size=6))
def test_only_whole_fields_of_the_fixed_set_pass(pieces: list[str]) -> None:
    """Reference: with the allowed fields taken out, from left to right, no brace may be left."""
    line = "".join(pieces)
    rest = line.replace("{noun}", "").replace("{item}", "").replace("{history}", "").replace("{answer}", "")
    text = NEXT.replace("[demo]\nSeen {history}, then {item}", f"[demo]\nSeen {{history}}, then {{item}}{line}")
    if "{" in rest or "}" in rest:
        with pytest.raises(PromptError, match="line 5"):
            checked_template(text.encode(), "t")
    else:
        assert checked_template(text.encode(), "t").template.demo.endswith(line.strip() or "{item}")


@given(name=some.text(max_size=200))
def test_a_name_is_only_shown(name: str) -> None:
    label = checked_template(NEXT.encode(), name).name
    assert 0 < len(label) <= 80
    assert "/" not in label
