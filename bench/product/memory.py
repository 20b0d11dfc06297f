"""The memory that the dual parts of every head take as prompts grow. Alone: `python -m bench.product.memory`."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.results_table import ResultRow, as_row, table_text
from bench.spread import extremes
from bench.timing import Clock

if TYPE_CHECKING:
    from core.lm.loading.load import LanguageModel
    from core.prompt.spans import Prompt, SpanKind

TOKENS = (1_000, 2_000, 4_000, 8_000)
LAYERS, HEADS, KV_HEADS, WIDTH = 4, 8, 4, 64
DEMOS = 8
ROUNDS = 3
WARM = 64
"""Tokens of the prompt that is run first, for what any first pass allocates."""
AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "131072"}
"""Freed tensors go back to the system at once, so that the peak is what was held and not the allocator's reserve:
without it the peak at 4,000 tokens came out above that at 8,000 (72 and 49 MB)."""
KILOBYTE = 1_024
"""Bytes in a unit of `ru_maxrss` on Linux."""


def memory() -> Iterator[list[ResultRow]]:
    """Rows so far, after every length; each run has a process of its own, as a peak never falls again."""
    clock = Clock("memory", len(TOKENS) * ROUNDS)
    measured: dict[int, list[float]] = {}
    rows: list[ResultRow] = []
    for tokens in TOKENS:
        for _ in range(ROUNDS):
            measured.setdefault(tokens, []).append(_in_child(tokens))
            clock.tick(f"{tokens} tokens")
        peaks = np.array(measured[tokens])
        label = f"extra peak memory of the dual parts at {tokens} prompt tokens, MB"
        rows.append(as_row(label, extremes(float(np.median(peaks)), peaks)))
        yield rows
    yield [*rows, *_growth({tokens: float(np.median(megabytes)) for tokens, megabytes in measured.items()})]


def _growth(peaks: dict[int, float]) -> list[ResultRow]:
    """Linear growth leaves memory per token as it is; with maps of tokens x tokens the ratio would come to 8."""
    few, many = TOKENS[0], TOKENS[-1]
    ratio = peaks[many] / many / (peaks[few] / few)
    steepest = np.polyfit(np.log(list(peaks)), np.log(list(peaks.values())), 1)[0]
    maps = LAYERS * HEADS * many**2 * 4 / 1e6
    return [
        as_row(f"memory per token, {many} / {few} tokens", [ratio], "<= 1.5"),
        as_row("exponent of the growth of memory with tokens (1 is linear)", [float(steepest)], "<= 1.2"),
        as_row(f"memory at {many} tokens / what the maps of all layers and heads would hold", [peaks[many] / maps]),
    ]


def _in_child(tokens: int) -> float:
    command = [sys.executable, "-m", "bench.product.memory", str(tokens)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **AT_ONCE})
    return float(done.stdout.split()[-1])


def extra_peak(tokens: int) -> float:
    """Megabytes by which the dual parts of a random Llama raise this process's peak, after a short prompt's."""
    import torch

    from core.analysis.dual.parts import dual_parts

    torch.set_num_threads(1)
    model = _model()
    dual_parts(model, _prompt(WARM))
    before = _peak()
    parts = dual_parts(model, _prompt(tokens))
    after = _peak()
    if float(parts.residual.max()) > 1e-5:
        raise SystemExit("bench: the dual parts do not add up")
    return after - before


def _peak() -> float:
    """Peak resident memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE / 1e6


def _model() -> LanguageModel:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from core.lm.forward.attention import prepare
    from core.lm.loading.load import LanguageModel

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=512,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=2 * TOKENS[-1],
        initializer_range=0.2,
    )
    network = LlamaForCausalLM(config).eval().requires_grad_(False)
    prepare(network)
    return LanguageModel(
        network=network,
        tokenizer=None,  # type: ignore[arg-type]  # The prompts are token ids.
        model_id="random",
        name="random Llama",
        folder=Path(),
        device="cpu",
        dtype="float32",
        layers=LAYERS,
        heads=HEADS,
        context=2 * TOKENS[-1],
        adapter=None,
        notices=(),
    )


def _prompt(tokens: int) -> Prompt:
    """Random tokens: an instruction, `DEMOS` demonstrations of equal length, a query and a candidate of 4 tokens."""
    from core.prompt.spans import Prompt, Span
    from core.seeds import generator

    ids = iter(generator("memory", tokens).integers(10, 500, tokens).tolist())

    def span(kind: SpanKind, index: int, length: int) -> Span:
        return Span(kind, index, "", tuple(next(ids) for _ in range(length)), ())

    each = tokens // (DEMOS + 2)
    return Prompt(
        family="yes_no",
        instruction=span("instruction", 0, each),
        demos=tuple(span("demo", place, each) for place in range(DEMOS)),
        query=span("query", 0, tokens - (DEMOS + 1) * each - 4),
        candidates=(span("candidate", 0, 4),),
        answer_ids=(1, 2),
        kept_demos=tuple(range(DEMOS)),
    )


def main() -> None:
    """Print the rows, or with a number of tokens the megabytes of one run in this process."""
    if len(sys.argv) > 1:
        print(extra_peak(int(sys.argv[1])))
        return
    (rows,) = deque(memory(), maxlen=1)
    print(table_text(rows))


if __name__ == "__main__":
    main()
