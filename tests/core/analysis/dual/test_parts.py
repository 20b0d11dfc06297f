"""The dual model's parts against the network's own eager attention, on four architectures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from references import Pair, random_prompt

from core.analysis.dual.parts import attention_mass, dual_parts
from core.lm.attention import NAME
from core.lm.score import Scorer


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_parts_add_up_to_the_model_s_own_attention_output(pair: Pair, family: str) -> None:
    parts = dual_parts(pair.model, random_prompt(family), candidate=1)  # type: ignore[arg-type]
    assert parts.residual.shape == (pair.model.layers, pair.model.heads)
    assert float(parts.residual.max()) <= 1e-5
    np.testing.assert_allclose(parts.masses.sum(axis=-1), 1.0, atol=1e-5)


def test_the_start_weights_are_the_zero_shot_attention_times_their_mass(pair: Pair) -> None:
    """W0 phi(q) = (Z_T / Z) x attention over the non-demonstration tokens alone, on the same keys: first layer."""
    prompt = random_prompt("yes_no")
    parts = dual_parts(pair.model, prompt)
    masked = _parts_with_gates(pair, 0.0)
    np.testing.assert_allclose(parts.outputs[0, :, -1], parts.masses[0, :, -1, None] * masked[0, :, -1], atol=1e-5)


def _parts_with_gates(pair: Pair, gate: float) -> np.ndarray:
    from core.analysis.dual.parts import _probe

    prompt = random_prompt("yes_no")
    scorer, probe = Scorer(pair.model, prompt), _probe(prompt, 0)
    with torch.no_grad():
        scorer.gated(torch.full((4,), gate), candidates=[0], probe=probe)
    return np.stack([probe.outputs[layer][:, 0].numpy() for layer in sorted(probe.outputs)])


def test_checking_leaves_the_network_with_our_attention(pair: Pair) -> None:
    dual_parts(pair.model, random_prompt("yes_no"))
    assert pair.model.network.config._attn_implementation == NAME


def test_attention_mass_is_a_share(pair: Pair) -> None:
    mass = attention_mass(Scorer(pair.model, random_prompt("yes_no")), 0)
    assert mass.shape == (4,)
    assert np.all(mass >= 0)
    assert mass.sum() < 1
