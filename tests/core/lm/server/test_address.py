"""Which names stand for the owner's server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.errors import ModelError
from core.lm.server.address import SERVER, address_of, alias_of, is_address, names_server, parsed_address


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("HTTPS://Models.Example/team/v1/", "https://models.example/team"),
        ("http://[::1]:80/v1", "http://[::1]:80"),
    ],
)
def test_addresses_have_one_form(text: str, root: str) -> None:
    assert parsed_address(text).root == root
    assert parsed_address(parsed_address(text).name) == parsed_address(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ftp://host/v1", "neither http nor https"),
        ("http:///v1", "without a host"),
        ("http://me:key@host/v1", "the key belongs into DEMOLENS_SERVER_KEY"),
        ("http://host/v1?key=1", "a query"),
        ("http://host/v1#x", "a fragment"),
        ("http://host:99999/v1", "cannot be read"),
        ("http://host:port/v1", "cannot be read"),
        ("http://ho st/v1", "spaces"),
        ("http://host/" + "a" * 400, "characters"),
        ("http://[::1/v1", "cannot be read"),
    ],
)
def test_other_texts_are_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        parsed_address(text)


@given(some.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = parsed_address(f"http://{text}")
    except ModelError:
        return
    assert "@" not in address.root
    assert parsed_address(address.name) == address


def test_the_alias_stands_for_a_server_only_where_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SERVER, raising=False)
    assert not names_server("server")
    assert is_address("http://host/v1")
    monkeypatch.setenv(SERVER, "http://Host:8000")
    assert names_server("server")
    assert address_of("server") == address_of("http://host:8000/v1")
    assert [alias_of(name) for name in ("http://HOST:8000/v1", "http://other/v1", "http://", "sample", "")] == [
        *("server", "http://other/v1", "http://", "sample", "")
    ]
