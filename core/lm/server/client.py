"""JSON over HTTP to one host: bounded answers, several requests in flight, retries with limits, no redirects."""

from __future__ import annotations

import json
import math
import random
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import httpx2

from core.errors import ComputeError
from core.lm.server.address import SERVER_KEY, ServerAddress

RETRIED = (408, 425, 429, 500, 502, 503, 504)
"""Status codes after which the same request may succeed."""
MOST_WORDS = 160
"""Characters of a server's own words in a sentence."""
LOOK_SECONDS = 0.2
"""How often a wait for answers looks whether somebody stopped the run."""


@dataclass(frozen=True)
class ClientLimits:
    """What a client waits for and reads."""

    in_flight: int = 8
    """Requests at the same time."""
    connect_seconds: float = 5.0
    answer_seconds: float = 120.0
    """For one whole answer."""
    answer_bytes: int = 16 * 2**20
    tries: int = 5
    """Of one request."""
    first_pause: float = 0.25
    """Seconds before the second try; each later pause is twice as long."""
    longest_pause: float = 20.0
    """Seconds; a server that asks for more is not waited for."""


class ServerError(ComputeError):
    """A server did not give a usable answer; `status` is its status code, where there is one."""

    def __init__(self, problem: str, *, expected: str = "", where: str = "", status: int | None = None) -> None:
        super().__init__(problem, expected=expected, where=where)
        self.status = status


class _TryAgainError(Exception):
    """One try failed in a way that another may not."""

    def __init__(self, words: str, *, pause: float | None = None, status: int | None = None) -> None:
        super().__init__(words)
        self.words, self.pause, self.status = words, pause, status


class ServerClient:
    """Asks one server; safe to use from several threads.

    `key` goes into the header of requests to this server and nowhere else.
    """

    def __init__(self, address: ServerAddress, key: str = "", limits: ClientLimits | None = None) -> None:
        self.address, self.limits, self._key = address, limits or ClientLimits(), key
        self.requests = 0
        """Answers so far."""
        self._counting = threading.Lock()
        timeout = httpx2.Timeout(self.limits.answer_seconds, connect=self.limits.connect_seconds)
        self._http = httpx2.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
            limits=httpx2.Limits(max_connections=self.limits.in_flight),
        )
        weakref.finalize(self, self._http.close)

    def get(self, path: str) -> Any:
        """The JSON that a path gives; raises `ServerError`."""
        return self._asked("GET", path, None, threading.Event())

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON that answers `body`; raises `ServerError`."""
        return self._asked("POST", path, body, threading.Event())

    def post_all(
        self,
        requests: Sequence[tuple[str, Mapping[str, Any]]],
        *,
        between: Callable[[], None] = lambda: None,
        in_flight: int | None = None,
    ) -> list[Any]:
        """The answers to all requests, sent in order, in order; `between` is called while they run and may raise.

        The first error stops the rest.
        """
        stopped, count = threading.Event(), in_flight or self.limits.in_flight
        with ThreadPoolExecutor(count, thread_name_prefix="server") as pool:
            futures = [pool.submit(self._asked, "POST", path, body, stopped) for path, body in requests]
            try:
                _watch(futures, between)
                return [future.result() for future in futures]
            finally:
                stopped.set()
                for future in futures:
                    future.cancel()

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None, stopped: threading.Event) -> Any:
        tries = self.limits.tries
        for number in range(1, tries + 1):
            try:
                answer = self._once(method, path, body)
            except _TryAgainError as fault:
                pause = self._pause(number, fault)
                if number == tries or math.isinf(pause) or stopped.wait(pause):
                    raise self._error(f"{fault.words}, {number} of {tries} tries", status=fault.status) from None
            else:
                with self._counting:
                    self.requests += 1
                return answer
        raise AssertionError("a client without tries")

    def _pause(self, number: int, fault: _TryAgainError) -> float:
        """Seconds before the next try, with some chance in it so that many do not come back together."""
        if fault.pause is not None:
            return fault.pause if fault.pause <= self.limits.longest_pause else math.inf
        pause: float = self.limits.first_pause * 2.0 ** (number - 1) * random.uniform(0.75, 1.25)
        return min(pause, self.limits.longest_pause)

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        url = f"{self.address.root}{path}"
        try:
            with self._http.stream(method, url, json=body) as response:
                raw = self._read(response)
                return self._json(response, raw)
        except httpx2.TimeoutException:
            raise _TryAgainError("the server did not answer in time") from None
        except httpx2.ConnectError:
            raise _TryAgainError("the server cannot be reached") from None
        except httpx2.TransportError as error:
            raise _TryAgainError(f"the connection broke ({type(error).__name__})") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise self._error(f"no usable answer ({type(error).__name__})") from None

    def _read(self, response: httpx2.Response) -> bytes:
        parts, size, end = [], 0, time.monotonic() + self.limits.answer_seconds
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > self.limits.answer_bytes:
                raise self._error("an answer that does not end", expected=f"at most {self.limits.answer_bytes} bytes")
            if time.monotonic() > end:
                raise _TryAgainError("the server did not answer in time")
        return b"".join(parts)

    def _json(self, response: httpx2.Response, raw: bytes) -> Any:
        status = response.status_code
        if status in RETRIED:
            raise _TryAgainError(f"the server answers {status}", pause=_asked_pause(response), status=status)
        if 300 <= status < 400:
            raise self._error("the server sends elsewhere", expected="an address that answers itself", status=status)
        if status >= 400:
            words = self._masked(_words_of(raw))
            raise self._error(f"the server answers {status}{f' ({words})' if words else ''}", status=status)
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            raise _TryAgainError("the server's answer is cut or no JSON") from None

    def _masked(self, words: str) -> str:
        """A server's own words on one line, without the key."""
        hidden = words.replace(self._key, "***") if self._key else words
        return "".join(letter if letter.isprintable() else " " for letter in hidden)[:MOST_WORDS]

    def _error(self, problem: str, *, expected: str = "", status: int | None = None) -> ServerError:
        if status in (401, 403):
            expected = f"the server's key in {SERVER_KEY}"
        return ServerError(problem, expected=expected, where=self.address.name, status=status)


def _watch(futures: Sequence[Future[Any]], between: Callable[[], None]) -> None:
    """Wait until all are done or one failed."""
    left = set(futures)
    while left:
        between()
        done, left = wait(left, timeout=LOOK_SECONDS, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()


def _asked_pause(response: httpx2.Response) -> float | None:
    """Seconds that the server asks to wait; None where it says none, or a date."""
    try:
        pause = float(response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return pause if math.isfinite(pause) and pause >= 0 else None


def _words_of(raw: bytes) -> str:
    """What a refusal says, in the shapes that servers use."""
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(answer, dict):
        return ""
    error = answer.get("error")
    message = error.get("message") if isinstance(error, dict) else error or answer.get("message")
    return message if isinstance(message, str) else ""
