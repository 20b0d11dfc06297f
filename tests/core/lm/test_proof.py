"""A model is taken only where a forest of segments gives what plain passes of the same network give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from families import small_network
from transformers import PreTrainedTokenizerFast

from core.errors import ModelError
from core.lm.load import load


def saved(kind: str, tokenizer: PreTrainedTokenizerFast, folder: Path, **more: Any) -> str:
    small_network(kind, **more).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("kind", ["stablelm", "nemotron"])
def test_layers_that_drop_arguments_read_forests_all_the_same(
    kind: str, tiny_transformers_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    proof = load(saved(kind, tiny_transformers_tokenizer, tmp_path), device="cpu").proof
    assert proof is not None
    assert max(proof.packed, proof.remembered, proof.gate_one, proof.gate_zero) < 1e-5


def test_a_recurrent_state_that_runs_through_branches_is_refused(
    tiny_transformers_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    folder = saved("falcon_h1", tiny_transformers_tokenizer, tmp_path)
    with pytest.raises(ModelError, match="falcon_h1, branches packed into one pass") as refused:
        load(folder, device="cpu")
    assert str(refused.value).startswith(folder)
