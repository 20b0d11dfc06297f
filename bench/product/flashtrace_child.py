"""FlashTrace on one prompt; run by the environment of `bench.product.rival_environment`.

`python flashtrace_child.py QUESTION ANSWER`: QUESTION is JSON with `folder` of the model, `adapter` (a folder or null),
`spans` (texts that joined are the prompt), and the `answer`. ANSWER is JSON with the `scores` [span]: the sum of the
scores of a span's tokens.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def network_of(folder: str, adapter: str | None) -> Any:
    """The model in single precision, the adapter merged into its weights."""
    import torch
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    )
    if adapter is not None:
        from peft import PeftModel

        network = PeftModel.from_pretrained(network, adapter).merge_and_unload()
    return network.eval()


def span_scores(spans: list[str], offsets: list[tuple[int, int]], scores: list[float]) -> list[float]:
    """Sum of the token scores of each span, by where the tokens begin in the joined text."""
    if len(offsets) != len(scores):
        raise ValueError(f"{len(scores)} scores for {len(offsets)} tokens")
    sums, place, end = [0.0] * len(spans), 0, len(spans[0])
    for (start, _), score in zip(offsets, scores, strict=True):
        while start >= end and place + 1 < len(spans):
            place += 1
            end += len(spans[place])
        sums[place] += score
    return sums


def traced(question: dict[str, Any]) -> dict[str, Any]:
    """The scores of every span for the whole answer."""
    from flashtrace import FlashTrace
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(question["folder"], local_files_only=True)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    prompt = "".join(question["spans"])
    tracer = FlashTrace(network_of(question["folder"], question["adapter"]), tokenizer)
    answer = tokenizer(question["answer"], add_special_tokens=False)["input_ids"]
    trace = tracer.trace(prompt=prompt, target=question["answer"], output_span=(0, len(answer) - 1), hops=1)
    offsets = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return {"scores": span_scores(question["spans"], offsets, trace.scores)}


def main() -> None:
    """Answer the question of the command line."""
    question = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(traced(question)), encoding="utf-8")


if __name__ == "__main__":
    main()
