"""The calls by which servers give log-probabilities: one row each, with its request and how its answer is read.

Every number is taken from the answer by our own token id, and what the server says it read is held against what was
sent: another tokenizer, a cut prompt or a text that was put before it is refused, never scored. Requests and answers
follow vLLM 0.33, SGLang 0.5 and llama.cpp's server as their sources and documents describe them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

SENTINEL = -9000.0
"""Servers write -9999 for "outside of what I list", which is no log-probability."""
TOP = 20
"""Alternatives of a token that OpenAI-like servers list by default at most."""
TOP_LLAMA = 200
ROUNDING = 1e-3
"""Nats by which a log-probability may lie above 0."""


class AnswerError(Exception):
    """An answer lacks what was asked for, or is about another prompt; its text says which."""


@dataclass(frozen=True)
class LogprobQuery:
    """Log-probabilities that are asked for after a prompt, or of its own end."""

    ids: tuple[int, ...]
    """Tokens of the whole prompt."""
    first: int
    """Where the tokens begin that are scored; the length of `ids` where labels are."""
    labels: tuple[int, ...] = ()
    """Tokens, each of which may follow `ids`."""


@dataclass(frozen=True)
class ServerCall:
    """One kind of call."""

    name: str
    words: str
    """On the screen: how a number comes about."""
    path: str
    body: Callable[[str, LogprobQuery], dict[str, Any]]
    """The request to a model of that name."""
    values: Callable[[Any, LogprobQuery], list[float]]
    """Log-probabilities, one for each token from `first` on or for each label; raises `AnswerError`."""
    spent: Callable[[Any], Any]
    """How many tokens the server read, as it says."""

    def read(self, answer: Any, query: LogprobQuery) -> list[float]:
        """The log-probabilities in nats after every check; raises `AnswerError`."""
        try:
            spent = self.spent(answer)
            if spent != len(query.ids):
                raise AnswerError(f"the server read {str(spent)[:20]} tokens of a prompt of {len(query.ids)}")
            values = self.values(answer, query)
        except (KeyError, IndexError, TypeError, AttributeError, ValueError):
            raise AnswerError("the answer lacks log-probabilities of the tokens that were asked for") from None
        count = len(query.labels) or len(query.ids) - query.first
        if len(values) != count:
            raise AnswerError(f"the answer holds {len(values)} log-probabilities of {count}")
        return [_checked(value) for value in values]


def _checked(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise AnswerError("a log-probability that is no number")
    if value <= SENTINEL:
        raise AnswerError("the server writes -9999 where a log-probability should stand")
    if value > ROUNDING:
        raise AnswerError(f"a log-probability of {value:.3g}, which is above 0")
    return float(value)


# ---- OpenAI's completions, as vLLM and others have them


def _completion(model: str, query: LogprobQuery, **more: Any) -> dict[str, Any]:
    return {"model": model, "prompt": list(query.ids), "max_tokens": 1, "temperature": 0, **more}


def _choice(answer: Any) -> Any:
    return answer["choices"][0]


def _usage(answer: Any) -> Any:
    return answer["usage"]["prompt_tokens"]


def _prompt_logprobs(answer: Any, query: LogprobQuery) -> list[float]:
    rows = _choice(answer)["prompt_logprobs"]
    if len(rows) != len(query.ids):
        raise AnswerError(f"log-probabilities of {len(rows)} tokens of a prompt of {len(query.ids)}")
    return [rows[place][str(query.ids[place])]["logprob"] for place in range(query.first, len(rows))]


def _by_token_id(answer: Any, query: LogprobQuery) -> list[float]:
    listed = _choice(answer)["logprobs"]["top_logprobs"][0]
    missing = [token for token in query.labels if f"token_id:{token}" not in listed]
    if missing:
        raise AnswerError(f"the label with token id {missing[0]} is not among the {len(listed)} that the server lists")
    return [listed[f"token_id:{token}"] for token in query.labels]


def _echoed(answer: Any, query: LogprobQuery) -> list[float]:
    listed = _choice(answer)["logprobs"]
    values, names = listed["token_logprobs"], listed["tokens"]
    if len(values) not in (len(query.ids), len(query.ids) + 1) or values[0] is not None:
        raise AnswerError("the answer does not repeat the prompt")
    ids = [f"token_id:{token}" for token in query.ids]
    if str(names[0]).startswith("token_id:") and names[: len(ids)] != ids:
        raise AnswerError("the answer repeats another prompt")
    return list(values[query.first : len(query.ids)])


# ---- SGLang


def _generate(query: LogprobQuery, **more: Any) -> dict[str, Any]:
    sampling = {"max_new_tokens": 1, "temperature": 0}
    return {"input_ids": list(query.ids), "sampling_params": sampling, "return_logprob": True, **more}


def _pairs(rows: Sequence[Any], ids: Sequence[int]) -> list[float]:
    if [row[1] for row in rows] != list(ids):
        raise AnswerError("log-probabilities of other tokens than those that were sent")
    return [row[0] for row in rows]


def _input_logprobs(answer: Any, query: LogprobQuery) -> list[float]:
    """The entry at the start of what is listed, the last token of the prefix, has no value itself."""
    rows = answer["meta_info"]["input_token_logprobs"]
    return _pairs(rows, query.ids[query.first - 1 :])[1:]


def _output_ids(answer: Any, query: LogprobQuery) -> list[float]:
    by_id = {row[1]: row[0] for row in answer["meta_info"]["output_token_ids_logprobs"][0]}
    return [by_id[token] for token in query.labels]


# ---- llama.cpp


def _llama_top(answer: Any, query: LogprobQuery) -> list[float]:
    if answer.get("truncated"):
        raise AnswerError("the server cut the prompt")
    by_id = {row["id"]: row["logprob"] for row in answer["completion_probabilities"][0]["top_logprobs"]}
    missing = [token for token in query.labels if token not in by_id]
    if missing:
        raise AnswerError(f"the label with token id {missing[0]} is not among the {len(by_id)} that the server lists")
    return [by_id[token] for token in query.labels]


# ---- the rows

COMPLETIONS = "/v1/completions"
TITLE_CALLS = (
    ServerCall(
        "prompt_logprobs",
        "log-probabilities of the prompt's own tokens",
        COMPLETIONS,
        lambda model, query: _completion(model, query, prompt_logprobs=0),
        _prompt_logprobs,
        _usage,
    ),
    ServerCall(
        "generate",
        "log-probabilities of the input's last tokens",
        "/generate",
        lambda _model, query: _generate(query, logprob_start_len=query.first - 1),
        _input_logprobs,
        lambda answer: answer["meta_info"]["prompt_tokens"],
    ),
    ServerCall(
        "echo",
        "log-probabilities of the prompt as the answer repeats it",
        COMPLETIONS,
        lambda model, query: _completion(
            model, query, max_tokens=1, echo=True, logprobs=1, return_tokens_as_token_ids=True
        ),
        _echoed,
        _usage,
    ),
)
"""Calls that score given tokens, the fastest first."""
LABEL_CALLS = (
    ServerCall(
        "logprob_token_ids",
        "log-probabilities of named tokens",
        COMPLETIONS,
        lambda model, query: _completion(
            model,
            query,
            logprobs=len(query.labels),
            logprob_token_ids=list(query.labels),
            return_tokens_as_token_ids=True,
        ),
        _by_token_id,
        _usage,
    ),
    ServerCall(
        "token_ids_logprob",
        "log-probabilities of named tokens",
        "/generate",
        lambda _model, query: _generate(query, token_ids_logprob=list(query.labels)),
        _output_ids,
        lambda answer: answer["meta_info"]["prompt_tokens"],
    ),
    ServerCall(
        "top_logprobs",
        f"the {TOP} likeliest next tokens",
        COMPLETIONS,
        lambda model, query: _completion(model, query, logprobs=TOP, return_tokens_as_token_ids=True),
        _by_token_id,
        _usage,
    ),
    ServerCall(
        "n_probs",
        f"the {TOP_LLAMA} likeliest next tokens",
        "/completion",
        lambda _model, query: {
            "prompt": list(query.ids),
            "n_predict": 1,
            "temperature": 0,
            "n_probs": TOP_LLAMA,
            "cache_prompt": True,
        },
        _llama_top,
        lambda answer: answer["tokens_evaluated"],
    ),
)
"""Calls that say how probable each of some next tokens is, the most exact first."""
