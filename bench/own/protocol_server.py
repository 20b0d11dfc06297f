"""A small real server: the protocols of vLLM, SGLang and llama.cpp over a network in memory, with faults on demand.

It listens on 127.0.0.1, holds a transformers network and its tokenizer, and answers as the sources of those servers say
they do, as far as log-probabilities go. Faults are taken one a request, in order; noise is drawn anew for each answer.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import numpy as np
import torch

Style = Literal["vllm", "vllm_old", "sglang", "llama", "echo", "chat_only"]
"""Which protocol: `vllm_old` knows no `logprob_token_ids` and no `prompt_logprobs`, `echo` repeats the prompt only,
`chat_only` gives no log-probabilities."""
FaultKind = Literal["slow", "status", "cut", "count", "missing", "sentinel", "redirect", "huge", "reset", "other_ids"]
MODEL = "tiny"


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer."""

    kind: FaultKind
    seconds: float = 0.0
    """Of `slow`."""
    status: int = 500
    retry_after: str | None = None


@dataclass
class ProtocolServer:
    """Serves one network while it is open as a context; `address` says where."""

    network: Any
    tokenizer: Any
    """A transformers tokenizer."""
    style: Style = "vllm"
    noise: float = 0.0
    """Standard deviation in nats of what is added to every log-probability."""
    context: int = 1024
    key: str = ""
    models: tuple[str, ...] = (MODEL,)
    faults: deque[Fault] = field(default_factory=deque)
    """Of the next answers that hold log-probabilities, one each."""
    seen: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    """Path, body and authorisation of every request."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._rng = np.random.default_rng(0)
        self._pieces: dict[int, str] = {}
        self._rows: dict[tuple[int, ...], np.ndarray[Any, np.dtype[np.float64]]] = {}

    def __enter__(self) -> ProtocolServer:
        served = self

        class Handler(_Handler):
            server_of = served

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        """Such as `http://127.0.0.1:40123/v1`."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def next_fault(self) -> Fault | None:
        """The fault of this answer."""
        with self._lock:
            return self.faults.popleft() if self.faults else None

    def piece(self, token: int) -> str:
        """The text of a token."""
        if token not in self._pieces:
            self._pieces[token] = self.tokenizer.decode([token])
        return self._pieces[token]

    def logprobs(self, ids: list[int]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Log-probabilities [token, vocab] after each token of a prompt, by one plain pass in the network's precision,
        with this answer's noise."""
        with self._lock:
            rows = self._rows.get(tuple(ids))
            if rows is None:
                with torch.no_grad():
                    logits = self.network(torch.tensor([ids]), use_cache=False).logits[0].double()
                rows = self._rows[tuple(ids)] = logits.log_softmax(-1).numpy()
            shift = self._rng.normal(0.0, self.noise, size=rows.shape) if self.noise else 0.0
        return np.minimum(rows + shift, 0.0) if self.noise else rows


class _Handler(BaseHTTPRequestHandler):
    """Answers requests for one `ProtocolServer`."""

    server_of: ProtocolServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing on the terminal."""

    def do_GET(self) -> None:
        """What the server says of itself."""
        served = self.server_of
        served.seen.append((self.path, {}, self.headers.get("Authorization", "")))
        limit = {} if served.style in ("llama", "echo", "chat_only") else {"max_model_len": served.context}
        settings = {"default_generation_settings": {"n_ctx": served.context}, "build_info": "b9000-test"}
        answers: dict[str, Any] = {
            "/v1/models": {
                "object": "list",
                "data": [{"id": name, "object": "model", **limit} for name in served.models],
            }
        }
        own: dict[str, tuple[str, Any]] = {}
        own |= {"vllm": ("/version", {"version": "0.33.0"}), "sglang": ("/get_server_info", {"version": "0.5.23"})}
        own |= {"llama": ("/props", settings)}
        if served.style in own:
            answers |= [own[served.style]]
        self._answer(*((200, answers[self.path]) if self.path in answers else (404, {"error": "no such path"})))

    def do_POST(self) -> None:
        """Tokens or log-probabilities."""
        served, body = self.server_of, json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        served.seen.append((self.path, body, self.headers.get("Authorization", "")))
        if served.key and self.headers.get("Authorization") != f"Bearer {served.key}":
            self._answer(401, {"error": {"message": f"wrong key {self.headers.get('Authorization', '')}"}})
            return
        text = body.get({"vllm": "prompt", "llama": "content"}.get(served.style, ""))
        if self.path == "/tokenize" and isinstance(text, str):
            self._answer(200, {"tokens": served.tokenizer(text, add_special_tokens=False)["input_ids"]})
            return
        answer = _ANSWERS.get((served.style, self.path))
        if answer is None:
            self._answer(404, {"error": {"message": "no such path"}})
            return
        self._faulty(served.next_fault(), answer(served, body))

    def _faulty(self, fault: Fault | None, answer: dict[str, Any]) -> None:
        kind = None if fault is None else fault.kind
        if fault is None:
            self._answer(200, answer)
        elif kind == "slow":
            time.sleep(fault.seconds)
            self._answer(200, answer)
        elif kind == "status":
            headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            self._answer(fault.status, {"error": {"message": "busy"}}, headers)
        elif kind == "redirect":
            self._answer(307, {}, {"Location": "http://127.0.0.1:9/elsewhere"})
        elif kind == "reset":
            self.close_connection = True
            self.connection.close()
        elif kind in ("cut", "huge"):
            self._broken(kind, json.dumps(answer).encode())
        else:
            self._answer(200, _damaged(answer, str(kind)))

    def _broken(self, kind: str, raw: bytes) -> None:
        """A valid head with half a body behind it, or with a body that does not end."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if kind == "cut":
            raw = raw[: len(raw) // 2]
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)
            return
        self.close_connection = True
        self.end_headers()
        try:
            while True:
                self.wfile.write(b" " * 65536)
        except OSError:
            return

    def _answer(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)


# ---- answers, by style and path


def _completions(served: ProtocolServer, body: dict[str, Any]) -> dict[str, Any]:
    """vLLM's `/v1/completions`, for one prompt of ids."""
    ids = body["prompt"]
    rows, new = served.logprobs(ids), served.style == "vllm"
    best = int(rows[-1].argmax())
    choice: dict[str, Any] = {"index": 0, "text": served.tokenizer.decode([best]), "finish_reason": "length"}
    if new and body.get("prompt_logprobs") is not None:
        choice["prompt_logprobs"] = [None, *(_entry(served, rows, ids, place) for place in range(1, len(ids)))]
    if body.get("logprobs") is not None and not body.get("echo"):
        named = body.get("logprob_token_ids") if new else None
        listed = named if named is not None else np.argsort(-rows[-1])[: body["logprobs"]].tolist()
        top = {f"token_id:{token}": float(rows[-1][token]) for token in [best, *listed]}
        own = {"tokens": [f"token_id:{best}"], "token_logprobs": [float(rows[-1][best])]}
        choice["logprobs"] = {**own, "top_logprobs": [top], "text_offset": [0]}
    return _completion_of(served, choice, ids)


def _echo(served: ProtocolServer, body: dict[str, Any]) -> dict[str, Any]:
    """An older completions route: the prompt repeated with its log-probabilities, and the generated token behind."""
    ids = body["prompt"]
    rows = served.logprobs(ids)
    best = int(rows[-1].argmax())
    choice: dict[str, Any] = {"index": 0, "text": "", "logprobs": None}
    if body.get("echo"):
        values = [float(rows[place - 1][ids[place]]) for place in range(1, len(ids))]
        names = [f"token_id:{token}" for token in [*ids, best]]
        choice["logprobs"] = {"tokens": names, "token_logprobs": [None, *values, float(rows[-1][best])]}
    return _completion_of(served, choice, ids)


def _plain(served: ProtocolServer, body: dict[str, Any]) -> dict[str, Any]:
    """A completions route that knows no log-probabilities."""
    return _completion_of(served, {"index": 0, "text": "x"}, body["prompt"])


def _completion_of(served: ProtocolServer, choice: dict[str, Any], ids: list[int]) -> dict[str, Any]:
    usage = {"prompt_tokens": len(ids), "completion_tokens": 1, "total_tokens": len(ids) + 1}
    return {"object": "text_completion", "model": served.models[0], "choices": [choice], "usage": usage}


def _entry(served: ProtocolServer, rows: Any, ids: list[int], place: int) -> dict[str, Any]:
    """The prompt's own token, beside the likeliest one, which stands first as it may in vLLM's answers."""
    before = rows[place - 1]
    best = int(before.argmax())
    tokens = dict.fromkeys([best, ids[place]])
    return {
        str(token): {"logprob": float(before[token]), "rank": 1, "decoded_token": served.piece(token)}
        for token in tokens
    }


def _generate(served: ProtocolServer, body: dict[str, Any]) -> dict[str, Any]:
    """SGLang's `/generate`."""
    ids, start = body["input_ids"], body.get("logprob_start_len", -1)
    rows = served.logprobs(ids)
    first = len(ids) if start < 0 else start
    listed = [
        [None if n == 0 else float(rows[place - 1][ids[place]]), ids[place], None] for n, place in _numbered(first, ids)
    ]
    best = int(rows[-1].argmax())
    meta: dict[str, Any] = {"prompt_tokens": len(ids), "input_token_logprobs": listed}
    meta["output_token_logprobs"] = [[float(rows[-1][best]), best, None]]
    if (tokens := body.get("token_ids_logprob")) is not None:
        meta["output_token_ids_logprobs"] = [[[float(rows[-1][token]), token, None] for token in tokens]]
    return {"text": "", "meta_info": meta}


def _numbered(first: int, ids: list[int]) -> Iterator[tuple[int, int]]:
    yield from enumerate(range(first, len(ids)))


def _llama(served: ProtocolServer, body: dict[str, Any]) -> dict[str, Any]:
    """llama.cpp's `/completion`."""
    ids = body["prompt"]
    last = served.logprobs(ids)[-1]
    top = [
        {"id": int(token), "token": "", "logprob": float(last[token])}
        for token in np.argsort(-last)[: body.get("n_probs", 0)]
    ]
    return {
        "content": "",
        "tokens_evaluated": len(ids),
        "truncated": False,
        "completion_probabilities": [{"id": top[0]["id"], "logprob": top[0]["logprob"], "top_logprobs": top}],
    }


_ANSWERS = {
    ("vllm", "/v1/completions"): _completions,
    ("vllm_old", "/v1/completions"): _completions,
    ("echo", "/v1/completions"): _echo,
    ("chat_only", "/v1/completions"): _plain,
    ("llama", "/v1/completions"): _plain,
    ("sglang", "/generate"): _generate,
    ("llama", "/completion"): _llama,
}


def _damaged(answer: dict[str, Any], kind: str) -> dict[str, Any]:
    """The answer with one thing wrong in it."""
    if kind == "count":
        return answer | {"usage": {"prompt_tokens": answer["usage"]["prompt_tokens"] - 1}}
    choice = dict(answer["choices"][0])
    rows = choice.get("prompt_logprobs")
    if kind == "missing":
        choice |= {"prompt_logprobs": None, "logprobs": None}
    elif rows is not None:
        last = next(iter(rows[-1].values()))
        rows[-1] = (
            {"999999": last} if kind == "other_ids" else {token: {**last, "logprob": -9999.0} for token in rows[-1]}
        )
    elif choice.get("logprobs"):
        listed = choice["logprobs"]["top_logprobs"][0]
        wrong = {"token_id:999999": -1.0} if kind == "other_ids" else dict.fromkeys(listed, -9999.0)
        choice["logprobs"] = choice["logprobs"] | {"top_logprobs": [wrong]}
    return answer | {"choices": [choice]}
