"""A server that holds a model: what it can do, found by short calls, and the log-probabilities that it gives."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import ComputeError, ModelError, RequestError
from core.lm.server.address import SERVED_MODEL, SERVER_KEY, ServerAddress
from core.lm.server.calls import LABEL_CALLS, TITLE_CALLS, AnswerError, LogprobQuery, ServerCall
from core.lm.server.client import ClientLimits, ServerClient, ServerError

ASSUMED_CONTEXT = 4_096
"""Tokens of a prompt where the server does not say how many it reads."""
AGREEMENT = 0.5
"""Nats by which two calls may differ about the same token: more than any noise, far less than other texts differ."""
TRIES_BEFORE = 2
"""Tries of a request while the server is looked at: who waits for it sits before the screen."""
MOST_NAMES = 5
LABELS_ONLY = "the server gives no log-probabilities of given text, so titles cannot be scored"
NO_LABELS = "the server gives no log-probabilities"


@dataclass(frozen=True)
class ServerFacts:
    """What was found of a server before anything was scored."""

    address: str
    model: str
    """As the server names it."""
    software: str
    """Name and version, as far as the server says them."""
    context: int
    """Most tokens of a prompt."""
    context_assumed: bool
    """Whether the server does not say that number."""
    titles: str | None
    """How titles are scored; None where the server cannot."""
    labels: str | None
    """How labels such as Yes and No are scored; None where the server cannot."""
    tokenizer_compared: bool
    """Whether the server's own tokenizer gave the same ids as ours."""


@dataclass(frozen=True)
class ModelServer:
    """A server that was looked at; it scores tokens and keeps nothing."""

    client: ServerClient
    facts: ServerFacts
    title_call: ServerCall | None = field(repr=False)
    label_call: ServerCall | None = field(repr=False)

    def logprobs(
        self,
        queries: Sequence[LogprobQuery],
        *,
        between: Callable[[], None] = lambda: None,
        in_flight: int | None = None,
        shuffle: int | None = None,
    ) -> list[list[float]]:
        """Log-probabilities in nats of everything that is asked for, in its order.

        Requests leave in the order of their tokens, so that what prompts share is in the server's cache, or in an order
        drawn by the seed `shuffle`. `between` is called while they run. Raises `RequestError` for what this server
        cannot score, and `ComputeError` where an answer fails a check.
        """
        order = sorted(range(len(queries)), key=lambda place: queries[place].ids)
        if shuffle is not None:
            random.Random(shuffle).shuffle(order)
        parts = [(place, call, part) for place in order for call, part in self._parts(queries[place])]
        requests = [(call.path, call.body(self.facts.model, part)) for _, call, part in parts]
        answers = self.client.post_all(requests, between=between, in_flight=in_flight)
        values: list[list[float]] = [[] for _ in queries]
        for (place, call, part), answer in zip(parts, answers, strict=True):
            values[place] += self._read(call, answer, part)
        return values

    def _parts(self, query: LogprobQuery) -> list[tuple[ServerCall, LogprobQuery]]:
        """The calls that give what is asked for: one, or one for each label, scored as a text of one token."""
        longest = self.facts.context
        if len(query.ids) > longest:
            problem = f"a prompt of {len(query.ids)} tokens"
            raise RequestError(problem, expected=f"at most {longest}", where=self.facts.address)
        if not query.labels:
            if self.title_call is None:
                expected = "the prompt family yes_no, whose answers are labels"
                raise RequestError(LABELS_ONLY, expected=expected, where=self.facts.address)
            return [(self.title_call, query)]
        if self.label_call is not None:
            return [(self.label_call, query)]
        if self.title_call is None:
            raise RequestError(NO_LABELS, expected="one that gives them", where=self.facts.address)
        behind = len(query.ids)
        return [(self.title_call, LogprobQuery((*query.ids, label), behind)) for label in query.labels]

    def _read(self, call: ServerCall, answer: Any, query: LogprobQuery) -> list[float]:
        try:
            return call.read(answer, query)
        except AnswerError as error:
            expected = "log-probabilities of the tokens that were sent"
            raise ComputeError(str(error), expected=expected, where=self.facts.address) from None


def connected(address: ServerAddress, encode: Callable[[str], Sequence[int]]) -> ModelServer:
    """The server at an address, after short calls that show what it can do.

    `encode` gives the ids of a text by our tokenizer, without special tokens. Raises `ModelError` where the server does
    not answer, holds several models and none is named, has another tokenizer, or gives no log-probabilities.
    """
    key = os.environ.get(SERVER_KEY, "")
    probe = _Probe(ServerClient(address, key, ClientLimits(tries=TRIES_BEFORE)), encode)
    try:
        facts, titles, labels = probe.result()
    except ServerError as error:
        raise ModelError(error.problem, expected=error.expected, where=error.where) from None
    return ModelServer(ServerClient(address, key), facts, titles, labels)


class _Probe:
    """Looks at one server."""

    SAMPLE = "The user liked: Alien; Heat. Next: The Matrix"

    def __init__(self, client: ServerClient, encode: Callable[[str], Sequence[int]]) -> None:
        self.client, self.encode, self.where = client, encode, client.address.name
        self.ids = tuple(encode(self.SAMPLE))
        if len(self.ids) < 3:
            raise ModelError("a tokenizer that gives hardly any tokens", expected="the server's own", where=self.where)

    def result(self) -> tuple[ServerFacts, ServerCall | None, ServerCall | None]:
        """What the server is, and its calls for titles and for labels."""
        card = self._card()
        model = str(card["id"])
        compared = self._compare_tokenizer(model)
        titles, labels = self._calls(model)
        software, llama_context = self._software()
        context = next((size for size in (card.get("max_model_len"), llama_context) if _is_size(size)), None)
        facts = ServerFacts(
            self.where,
            model,
            software,
            ASSUMED_CONTEXT if context is None else context - 1,  # One token is always generated.
            context is None,
            None if titles is None else titles.words,
            _label_words(titles, labels),
            compared,
        )
        return facts, titles, labels

    def _card(self) -> dict[str, Any]:
        """What the server says of its model."""
        answer = self.client.get("/v1/models")
        cards = answer.get("data") if isinstance(answer, dict) else None
        rows = [row for row in cards or [] if isinstance(row, dict) and isinstance(row.get("id"), str)]
        name = os.environ.get(SERVED_MODEL)
        named = [row for row in rows if name is None or row["id"] == name]
        if len(named) == 1:
            return named[0]
        names = ", ".join(row["id"][:80] for row in rows[:MOST_NAMES]) or "none"
        problem = f"no model {name!r:.80}" if name and not named else f"{len(rows)} models"
        raise ModelError(f"{problem} (there are: {names})", expected=f"one of them in {SERVED_MODEL}", where=self.where)

    def _compare_tokenizer(self, model: str) -> bool:
        """Whether the server says its ids of a text; raises `ModelError` where they are not ours."""
        for body in ({"model": model, "prompt": self.SAMPLE, "add_special_tokens": False}, {"content": self.SAMPLE}):
            try:
                answer = self.client.post("/tokenize", body)
            except ServerError:
                continue
            ids = answer.get("tokens") if isinstance(answer, dict) else None
            if isinstance(ids, list) and all(isinstance(token, int) for token in ids):
                self._check_ids(tuple(ids))
                return True
        return False

    def _check_ids(self, ids: tuple[int, ...]) -> None:
        if ids != self.ids:
            problem = f"the server reads the same text as other tokens ({len(ids)} of them, ours are {len(self.ids)})"
            raise ModelError(problem, expected="the tokenizer of the server's model", where=self.where)

    def _calls(self, model: str) -> tuple[ServerCall | None, ServerCall | None]:
        """The first calls for titles and labels that stand every check, and agree about one token."""
        last = self.ids[-1]
        title, as_title = self._first(TITLE_CALLS, model, LogprobQuery(self.ids, len(self.ids) - 1))
        ahead = LogprobQuery(self.ids[:-1], len(self.ids) - 1, labels=(last, self.ids[0]))
        label, as_label = self._first(LABEL_CALLS, model, ahead)
        if title is None and label is None:
            expected = "a server that gives log-probabilities, such as vLLM or SGLang"
            raise ModelError(NO_LABELS, expected=expected, where=self.where)
        if title and label and abs(as_title[0] - as_label[0]) > AGREEMENT:
            problem = f"two calls give one token {as_title[0]:.3f} and {as_label[0]:.3f} nats"
            raise ModelError(problem, expected="the same number", where=self.where)
        return title, label

    def _first(
        self, rows: Sequence[ServerCall], model: str, query: LogprobQuery
    ) -> tuple[ServerCall | None, list[float]]:
        for call in rows:
            try:
                return call, call.read(self.client.post(call.path, call.body(model, query)), query)
            except AnswerError:
                continue
            except ServerError as error:
                if error.status is None or error.status in (401, 403, 429):
                    raise
        return None, []

    def _software(self) -> tuple[str, Any]:
        """Name and version, and the context of llama.cpp's server, which says it in its properties alone."""
        version = self._asked("/version").get("version")
        if isinstance(version, str):
            return f"vLLM {version:.40}", None
        version = self._asked("/get_server_info").get("version")
        if isinstance(version, str):
            return f"SGLang {version:.40}", None
        properties = self._asked("/props")
        settings = properties.get("default_generation_settings")
        context = settings.get("n_ctx") if isinstance(settings, dict) else None
        return (f"llama.cpp {properties['build_info']!s:.40}" if "build_info" in properties else "unknown"), context

    def _asked(self, path: str) -> dict[str, Any]:
        try:
            answer = self.client.get(path)
        except ServerError:
            return {}
        return answer if isinstance(answer, dict) else {}


def _label_words(titles: ServerCall | None, labels: ServerCall | None) -> str | None:
    """How labels are scored; where no call is for them, as a text of one token."""
    if labels is not None:
        return labels.words
    return None if titles is None else f"{titles.words}, the label being one of them"


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 1
