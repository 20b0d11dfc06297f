"""One call in the form of every program that logs it: two demonstrations as turns or in one text."""

from __future__ import annotations

import json
from typing import Any

SYSTEM = "Answer Yes or No."
FIRST = 'Liked: "Tin Harbour", "Paper Moons". Next: "Glass Orchard"?'
SECOND = 'Liked: "Iron Lullaby". Next: "Salt Parade"?'
QUERY = 'Liked: "Blue Kettle", "North Lamp". Next: "Small Thunder"?'
MESSAGES = [
    {"role": "system", "content": SYSTEM},
    {"role": "user", "content": FIRST},
    {"role": "assistant", "content": "Yes"},
    {"role": "user", "content": SECOND},
    {"role": "assistant", "content": "No"},
    {"role": "user", "content": QUERY},
]
SHOWN = f"{SYSTEM}\n\n#Example 1:\nInput: {FIRST}\nOutput: Yes\n\n#Example 2:\nInput: {SECOND}\nOutput: No"
PROMPT = f"{SHOWN}\n\n#Example 3:\nInput: {QUERY}\nOutput:"
GEN_AI = json.dumps([{"role": "user", "parts": [{"type": "text", "content": PROMPT}]}])


def flat_messages(prefix: str, role: str, content: str) -> dict[str, str]:
    """Messages as numbered attributes."""
    pairs = [(place, turn) for place, turn in enumerate(MESSAGES)]
    return {f"{prefix}.{place}.{role}": turn["role"] for place, turn in pairs} | {
        f"{prefix}.{place}.{content}": turn["content"] for place, turn in pairs
    }


def otlp(**attributes: str) -> dict[str, Any]:
    listed = [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in attributes.items()]
    span = {"spanId": "b7ad6b7169203331", "name": "chat m", "attributes": listed}
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {}, "spans": [span]}]}]}


def otlp_logs(*messages: dict[str, str]) -> dict[str, Any]:
    """The events of one call, a log record each; the last one is the answer."""
    names = [*(f"gen_ai.{turn['role']}.message" for turn in messages[:-1]), "gen_ai.choice"]
    bodies = [_pairs(content=turn["content"]) for turn in messages[:-1]]
    answer = {"key": "message", "value": {"kvlistValue": _pairs(content=messages[-1]["content"])}}
    bodies.append({"values": [answer]})
    entries = [
        {
            "traceId": "t",
            "spanId": "b7ad6b7169203331",
            "timeUnixNano": "1",
            "attributes": _pairs(**{"event.name": name, "gen_ai.system": "openai"})["values"],
            "body": {"kvlistValue": body},
        }
        for name, body in zip(names, bodies, strict=True)
    ]
    other = {"traceId": "t", "spanId": "x", "body": {"stringValue": "started"}}
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [other, *entries]}]}]}


def _pairs(**texts: str) -> dict[str, Any]:
    return {"values": [{"key": name, "value": {"stringValue": text}} for name, text in texts.items()]}


DSPY = {
    "rank": {
        "traces": [],
        "train": [],
        "demos": [
            {"augmented": True, "history": "Tin Harbour; Paper Moons", "item": "Glass Orchard", "answer": "Yes"},
            {"history": "Iron Lullaby", "item": "Salt Parade", "answer": "No"},
        ],
        "signature": {
            "instructions": SYSTEM,
            "fields": [
                {"prefix": "History:", "description": "${history}"},
                {"prefix": "Item:", "description": "${item}"},
                {"prefix": "Answer:", "description": "${answer}"},
            ],
        },
        "lm": None,
    },
    "metadata": {"dependency_versions": {"dspy": "3.4"}},
}

RECORDS: dict[str, tuple[str, Any]] = {
    "fine-tuning": ("openai_chat", {"messages": [*MESSAGES, {"role": "assistant", "content": "Yes"}]}),
    "request": ("openai_requests", {"model": "m", "messages": MESSAGES}),
    "completions request": ("openai_requests", {"model": "m", "prompt": PROMPT, "max_tokens": 1}),
    "responses": (
        "openai_responses",
        {
            "model": "m",
            "instructions": SYSTEM,
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": FIRST}]},
                {"role": "assistant", "content": [{"type": "output_text", "text": "Yes"}]},
                *MESSAGES[3:],
            ],
        },
    ),
    "preference": (
        "openai_preference",
        {
            "input": {"messages": MESSAGES},
            "preferred_output": [{"role": "assistant", "content": "Yes"}],
            "non_preferred_output": [{"role": "assistant", "content": "No"}],
        },
    ),
    "Phoenix frame": (
        "openinference",
        {
            "context.span_id": "s1",
            "span_kind": "LLM",
            "status_code": "OK",
            "attributes.llm.model_name": "m",
            "attributes.llm.input_messages": [{"message.role": "user", "message.content": PROMPT}],
            "attributes.llm.prompt_template.template": "{demos}\n\n#Example 3:\nInput: {query}\nOutput:",
            "attributes.llm.prompt_template.variables": {"demos": SHOWN, "query": QUERY},
            "attributes.llm.output_messages": [{"message.role": "assistant", "message.content": "Yes"}],
        },
    ),
    "flat span": (
        "openinference",
        {
            "context": {"trace_id": "t", "span_id": "s"},
            "span_kind": "LLM",
            "attributes": flat_messages("llm.input_messages", "message.role", "message.content"),
        },
    ),
    "OTLP": ("otlp", otlp(gen_ai__request__model="m", gen_ai__input__messages=GEN_AI)),
    "OTLP of OpenLLMetry": ("otlp", otlp(**flat_messages("gen_ai.prompt", "role", "content"))),
    "OTLP logs": ("otlp_logs", otlp_logs(*MESSAGES, {"role": "assistant", "content": "Yes"})),
    "console": (
        "otel_console",
        {
            "name": "chat",
            "context": {"trace_id": "0x1", "span_id": "0x2"},
            "kind": "SpanKind.CLIENT",
            "resource": {},
            "attributes": {"gen_ai.input.messages": GEN_AI, "gen_ai.request.model": "m"},
        },
    ),
    "Langfuse": (
        "langfuse",
        {"id": "o1", "trace_id": "t1", "type": "GENERATION", "input": json.dumps(MESSAGES), "output": "Yes"},
    ),
    "LangSmith": (
        "langsmith",
        {
            "id": "r1",
            "run_type": "llm",
            "inputs": {
                "messages": [[{"lc": 1, "type": "constructor", "kwargs": {"content": PROMPT, "type": "human"}}]]
            },
            "outputs": {"generations": [[{"text": "Yes"}]]},
        },
    ),
    "lm-eval": (
        "lm_eval",
        {
            "doc_id": 7,
            "doc": {"user": "u7"},
            "target": "0",
            "arguments": {
                "gen_args_0": {"arg_0": PROMPT, "arg_1": " Yes"},
                "gen_args_1": {"arg_0": PROMPT, "arg_1": " No"},
            },
            "resps": [[["-0.2", "True"]], [["-1.9", "False"]]],
        },
    ),
    "Inspect": (
        "inspect",
        {
            "eval": {"task": "rec", "model": "m"},
            "samples": [{"id": 7, "epoch": 1, "target": "Yes", "messages": MESSAGES, "output": {"completion": "Yes"}}],
        },
    ),
    "promptfoo": (
        "promptfoo",
        {
            "evalId": "e",
            "results": {
                "version": 3,
                "results": [
                    {
                        "promptIdx": 0,
                        "testIdx": 0,
                        "prompt": {"raw": PROMPT},
                        "provider": {"id": "openai:m"},
                        "response": {"output": "Yes"},
                        "testCase": {"assert": [{"type": "equals", "value": "Yes"}]},
                    }
                ],
            },
        },
    ),
    "table row": ("table", {"prompt": PROMPT, "label": "Yes", "user_id": "007"}),
}
"""Name of the format and a record of it, all with the same two demonstrations."""
