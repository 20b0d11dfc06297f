"""Real fine-tuning on copies, what is read from a network, the similarities, their controls and what they say."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from questions import LABELLED, explain_task
from references import Pair, language_model, random_prompt
from scipy import stats
from tiny_networks import shape, tiny_network
from transformers import GPT2Config, GPT2LMHeadModel, Phi3Config, Phi3ForCausalLM

from core.analysis.dual import tuning
from core.analysis.dual.material import Material, answer_tokens, material_of
from core.analysis.dual.tuning import Reading, Seen, Trainee, Tuned, layers_of, random_twin
from core.analysis.dual.updates_run import measures, notices, rank_correlation, similarity, updates
from core.analysis.dual.updates_task import (
    SUBJECTS,
    Learner,
    Measure,
    TuningRow,
    UpdateRow,
    UpdatesReport,
    UpdatesTask,
    conclusion,
    findings,
)
from core.analysis.explain.explain_task import Explain
from core.analysis.setting import set_up
from core.data.dataset import Dataset
from core.errors import Cancelled, ComputeError, ModelError, PromptError, RequestError
from core.lm.forward.attention import NAME
from core.lm.loading.load import LanguageModel
from core.prompt.spans import Span
from core.question.checked import checked
from core.question.command_line import command_line, task_of

RATE = 0.02


def material(family: Any = "yes_no", demos: int = 4) -> Material:
    """A random prompt; the last two tokens of each demonstration but one are its answer."""
    prompt = random_prompt(family, demos=demos)
    return Material(
        instruction=prompt.instruction.token_ids,
        demos=tuple(span.token_ids for span in prompt.demos),
        answers=tuple(range(len(span.token_ids) - 3, len(span.token_ids) - 1) for span in prompt.demos),
        query=(*prompt.query.token_ids, *prompt.candidates[0].token_ids),
    )


def state_hash(network: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


# Material


def test_a_sample_is_the_instruction_and_one_demonstration() -> None:
    made = material()
    for k, sample in enumerate(made.samples):
        assert sample.token_ids == (*made.instruction, *made.demos[k])
        assert [sample.token_ids[place] for place in sample.answer] == list(made.demos[k][-3:-1])
    assert made.few_shot[made.context] == tuple(token for demo in made.demos for token in demo)
    assert made.zero_shot == (*made.instruction, *made.query)


@given(seed=st.integers(0, 2**32), demos=st.integers(1, 6))
def test_shuffling_moves_every_token_once_and_says_where_from(seed: int, demos: int) -> None:
    made = material(demos=demos)
    every = made.few_shot[made.context]
    samples = made.shuffled(np.random.default_rng(seed))
    assert sorted(number for sample in samples for number in sample.origin) == list(range(len(every)))
    source = []
    for sample in samples:
        body = sample.token_ids[len(made.instruction) :]
        assert body == tuple(every[number] for number in sample.origin)
        places = [place - len(made.instruction) for place in sample.answer]
        answer = tuple(sample.origin[place] for place in places)
        source.append(next(k for k in range(demos) if answer == tuple(made._numbers(k)[-3:-1])))
    assert sorted(source) == list(range(demos))
    assert demos == 1 or source != list(range(demos)), "answers really change places"


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_the_trained_tokens_write_the_answer(planets: Dataset, model: LanguageModel, family: Any) -> None:
    setting = set_up(small(family=family), planets, model)
    made = material_of(setting)
    for row, demo, places in zip(setting.demo_rows(), made.demos, made.answers, strict=True):
        written = model.tokenizer._full.decode([demo[place] for place in places])
        assert written.strip() == (row.answer if family == "yes_no" else row.title)
    tail = setting.prompt.candidates[0].token_ids if family == "yes_no" else setting.prompt.query.token_ids
    assert len(made.query) >= len(tail)


def test_an_answer_without_a_token_is_one_sentence() -> None:
    span = Span("demo", 0, "Answer: Yes", (1,), ((0, 11),))
    assert list(answer_tokens(span, "Yes")) == [0]
    with pytest.raises(PromptError, match="without a token for 'No'"):
        answer_tokens(span, "No")


# Fine-tuning


def slow_epoch(reference: Any, samples: Any, rate: float) -> tuple[dict[str, torch.Tensor], list[float]]:
    """The same epoch by torch's own optimiser on a deep copy of the untouched network."""
    network = copy.deepcopy(reference)
    trained = {name: weight for name, weight in network.named_parameters() if "k_proj.w" in name or "v_proj.w" in name}
    for weight in trained.values():
        weight.requires_grad_(True)
    optimiser = torch.optim.SGD(list(trained.values()), lr=rate)

    def loss_of(sample: Any) -> torch.Tensor:
        labels = torch.full((1, len(sample.token_ids)), -100)
        for place in sample.answer:
            labels[0, place] = sample.token_ids[place]
        return network(torch.tensor([sample.token_ids]), labels=labels, use_cache=False).loss

    for sample in samples:
        optimiser.zero_grad()
        loss_of(sample).backward()
        optimiser.step()
    with torch.no_grad():
        return trained, [float(loss_of(sample)) for sample in samples]


def test_an_epoch_is_what_torch_s_own_optimiser_does(pair: Pair) -> None:
    samples = material().samples
    wanted, losses = slow_epoch(pair.reference, samples, RATE)
    made = Trainee(pair.model.network).tune(samples, rate=RATE, order=range(4))
    assert made.weights.keys() == wanted.keys()
    for name, weight in wanted.items():
        torch.testing.assert_close(made.weights[name].detach(), weight.detach(), atol=2e-5, rtol=1e-4)
    assert made.loss == pytest.approx(np.mean(losses), abs=2e-4)


def test_a_small_rate_lowers_the_loss_and_the_order_matters(exact: LanguageModel) -> None:
    trainee, samples = Trainee(exact.network), material().samples
    before = trainee.see(samples).loss
    made = trainee.tune(samples, rate=RATE, order=range(4))
    assert made.loss < before
    assert trainee.tune(samples, rate=RATE, order=[3, 2, 1, 0]).loss != made.loss


def test_a_tiny_step_changes_the_loss_as_its_gradient_says(exact: LanguageModel) -> None:
    """One sample, one step: the loss falls by rate x ||gradient||^2, and the step is rate x gradient."""
    trainee, samples, rate = Trainee(exact.network), material(demos=1).samples, 1e-6
    start = trainee.copies()
    made = trainee.tune(samples, rate=rate, order=[0])
    steps = [(made.weights[name] - start[name]).detach() / rate for name in start]
    squared = sum(float(step.square().sum()) for step in steps)
    assert trainee.see(samples).loss - made.loss == pytest.approx(rate * squared, rel=1e-3)


@pytest.mark.parametrize("fault", ["none", "cancelled", "broken"])
def test_the_shared_weights_are_never_touched(pair: Pair, fault: str) -> None:
    network, calls = pair.model.network, []
    before = state_hash(network)

    def between() -> None:
        calls.append(None)
        if len(calls) == 4 and fault == "cancelled":
            raise Cancelled("cancelled")
        if len(calls) == 4 and fault == "broken":
            raise RuntimeError("broken")

    def work() -> None:
        trainee = Trainee(network, between=between)
        made = trainee.tune(material().samples, rate=0.5, order=range(4))
        trainee.read(material().zero_shot, query_length=5, weights=made.weights)

    if fault == "none":
        work()
    else:
        with pytest.raises((Cancelled, RuntimeError)):
            work()
    assert state_hash(network) == before
    assert network.config._attn_implementation == NAME
    assert not any(weight.requires_grad for weight in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())


def test_an_exception_inside_a_pass_leaves_weights_hooks_and_attention(
    exact: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, trainee = exact.network, Trainee(exact.network)
    before, made = state_hash(network), trainee.tune(material().samples, rate=RATE, order=range(4))

    def broken(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(tuning, "attend", broken)
    with pytest.raises(ComputeError, match="out of memory on cpu in one pass over"):
        trainee.read(material().zero_shot, query_length=5, weights=made.weights)
    assert state_hash(network) == before
    assert network.config._attn_implementation == NAME
    assert not any(module._forward_hooks for module in network.modules())


def test_a_rate_that_destroys_the_model_is_one_sentence(exact: LanguageModel) -> None:
    with pytest.raises(ComputeError, match=r"not a finite number; expected a smaller learning rate"):
        Trainee(exact.network).tune(material().samples, rate=1e300, order=range(4))


def test_a_fused_projection_trains_its_key_and_value_rows_only() -> None:
    network = tiny_network(Phi3Config(**shape(384)), Phi3ForCausalLM)
    reference = copy.deepcopy(network)
    fused = language_model(network).network
    samples, trainee = material(demos=1).samples, Trainee(fused)
    name, first = trainee.layers[0].trained[0]
    assert (name, first) == ("model.layers.0.self_attn.qkv_proj.weight", 32)
    made = trainee.tune(samples, rate=RATE, order=[0])
    own = dict(reference.named_parameters())[name]
    own.requires_grad_(True)
    labels = torch.full((1, len(samples[0].token_ids)), -100)
    for place in samples[0].answer:
        labels[0, place] = samples[0].token_ids[place]
    reference(torch.tensor([samples[0].token_ids]), labels=labels, use_cache=False).loss.backward()
    torch.testing.assert_close(made.weights[name].detach(), (own - RATE * own.grad)[32:].detach(), atol=2e-5, rtol=1e-4)


def test_a_model_without_such_projections_is_one_sentence() -> None:
    config = GPT2Config(vocab_size=384, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=2)
    with pytest.raises(ModelError, match="0 of the model's 2 layers have separate key and value projections"):
        layers_of(GPT2LMHeadModel(config))


# Reading


def test_a_reading_is_the_untouched_network_s_own(pair: Pair) -> None:
    """Outputs are those of o_proj; scores up to a constant from the log of eager's attention weights."""
    made = material()
    read = Trainee(pair.model.network).read(made.few_shot, query_length=len(made.query), context=made.context)
    taken: list[torch.Tensor] = []
    attentions = [layer.self_attn for layer in pair.reference.model.layers]
    hooks = [one.o_proj.register_forward_hook(lambda _m, _g, out: taken.append(out[0, -1])) for one in attentions]
    queries: list[torch.Tensor] = []
    hooks += [one.q_proj.register_forward_hook(lambda _m, _g, out: queries.append(out[0, -1])) for one in attentions]
    with torch.no_grad():
        weights = pair.reference(torch.tensor([made.few_shot]), output_attentions=True, use_cache=False).attentions
    for hook in hooks:
        hook.remove()
    for layer, own in enumerate(weights):
        np.testing.assert_allclose(read.outputs[layer], taken[layer].double().numpy(), atol=1e-5)
        np.testing.assert_allclose(read.queries[layer], queries[layer].double().numpy(), atol=1e-5)
        last = np.log(
            own[0, :, -1].double().numpy(), where=own[0, :, -1].numpy() > 0, out=np.full(own.shape[1::2], np.nan)
        )
        tail = last[:, -len(made.query) :]
        assert np.array_equal(np.isnan(read.scores[layer]), np.isnan(tail))
        both = read.scores[layer] - tail
        np.testing.assert_allclose(both, np.broadcast_to(both[:, -1:], both.shape), atol=1e-4)
        context = last[:, made.context] + both[:, -1:]
        np.testing.assert_allclose(read.context[layer], context.sum(axis=0), atol=1e-3)


def test_the_samples_queries_stand_where_their_tokens_do_in_the_prompt(pair: Pair) -> None:
    """In the first layer a query vector depends on its token alone, so a shuffled sample shows the same ones."""
    trainee, made = Trainee(pair.model.network), material()
    plain, mixed = (trainee.see(samples) for samples in (made.samples, made.shuffled(np.random.default_rng(3))))
    np.testing.assert_allclose(plain.queries[0], mixed.queries[0], atol=1e-6)
    assert np.abs(plain.queries[1] - mixed.queries[1]).max() > 1e-3


def test_samples_seen_at_once_are_what_each_is_alone(pair: Pair) -> None:
    """One pass over all of them, their instruction run once, against the untouched network sample by sample."""
    samples = material().shuffled(np.random.default_rng(3))
    found = Trainee(pair.model.network).see(samples)
    losses = []
    for sample in samples:
        taken: list[torch.Tensor] = []
        hooks = [
            layer.self_attn.q_proj.register_forward_hook(lambda _m, _g, out, taken=taken: taken.append(out[0]))
            for layer in pair.reference.model.layers
        ]
        labels = torch.full((1, len(sample.token_ids)), -100)
        for place in sample.answer:
            labels[0, place] = sample.token_ids[place]
        with torch.no_grad():
            losses.append(float(pair.reference(torch.tensor([sample.token_ids]), labels=labels, use_cache=False).loss))
        for hook in hooks:
            hook.remove()
        for layer, rows in enumerate(taken):
            own = found.queries[layer][list(sample.origin)]
            np.testing.assert_allclose(own, rows[sample.start :].double().numpy(), atol=2e-5)
    assert found.loss == pytest.approx(np.mean(losses), abs=1e-5)


# Measures


def reading(seed: int, **replaced: Any) -> Reading:
    rng = np.random.default_rng(seed)
    one = {"outputs": rng.normal(size=6), "scores": rng.normal(size=(2, 5)), "context": rng.normal(size=7)}
    one |= {"queries": rng.normal(size=6), **replaced}
    return Reading(*((one[name],) for name in ("outputs", "scores", "context", "queries")))


def compared(few: Reading, zero: Reading, tuned: Reading, **more: Any) -> dict[Measure, tuple[float, float]]:
    table = np.random.default_rng(9).normal(size=(7, 6))
    start, trained = more.get("start", Seen(1.0, (table,))), more.get("trained", Tuned({}, (table + 0.1,), 0.5))
    made = measures(few, zero, tuned, start, trained, rng=np.random.default_rng(0), precision=1e-7)
    return {measure: (float(value[0]), float(baseline[0])) for measure, (value, baseline) in made.items()}


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_the_measures_are_their_formulas() -> None:
    few, zero, tuned = reading(1), reading(2), reading(3)
    made = compared(few, zero, tuned)
    unit = [one.outputs[0] / np.sqrt(one.outputs[0] @ one.outputs[0]) for one in (few, zero, tuned)]
    assert made["sim_aou"][0] == pytest.approx(cosine(unit[0] - unit[1], unit[2] - unit[1]))
    m = [one.scores[0] for one in (few, zero, tuned)]
    assert made["sim_am"][0] == pytest.approx(np.mean([cosine(m[0][h], m[2][h]) for h in range(2)]))
    assert made["sim_am"][1] == pytest.approx(np.mean([cosine(m[0][h], m[1][h]) for h in range(2)]))
    assert made["sim_am_change"][0] == pytest.approx(
        np.mean([cosine(m[0][h] - m[1][h], m[2][h] - m[1][h]) for h in range(2)])
    )
    table = np.random.default_rng(9).normal(size=(7, 6))
    tau = stats.kendalltau(few.context[0], (table + 0.1) @ tuned.queries[0]).statistic
    before = stats.kendalltau(few.context[0], table @ zero.queries[0]).statistic
    assert made["attention_rank"] == pytest.approx((tau, before))


def slow_outputs(network: Any, token_ids: tuple[int, ...]) -> list[np.ndarray]:
    """Each layer's attention output at the last token, of unit length, by plain hooks on an untouched network."""
    taken: list[np.ndarray] = []
    hooks = [
        layer.self_attn.o_proj.register_forward_hook(lambda _m, _g, out: taken.append(out[0, -1].numpy()))
        for layer in network.model.layers
    ]
    with torch.no_grad():
        network(torch.tensor([token_ids]), use_cache=False)
    for hook in hooks:
        hook.remove()
    return [one / np.sqrt(one @ one) for one in taken]


def test_sim_aou_is_that_of_slow_fine_tuning(tiny_llama: Any) -> None:
    """Cosine of h_ICL - h_ZSL and h_FT - h_ZSL, h the unit output of the attention layer (arXiv 2212.10559)."""
    made, reference = material(), copy.deepcopy(tiny_llama).double()
    reference.set_attn_implementation("eager")
    trainee = Trainee(language_model(copy.deepcopy(tiny_llama).double()).network)
    own = len(made.query)
    few = trainee.read(made.few_shot, query_length=own, context=made.context)
    trained = trainee.tune(made.samples, rate=RATE, order=range(4))
    zero = trainee.read(made.zero_shot, query_length=own)
    tuned = trainee.read(made.zero_shot, query_length=own, weights=trained.weights)
    start, rng = trainee.see(made.samples), np.random.default_rng(0)
    found = measures(few, zero, tuned, start, trained, rng=rng, precision=1e-15)["sim_aou"][0]

    fine_tuned = copy.deepcopy(reference)
    fine_tuned.load_state_dict(slow_epoch(reference, made.samples, RATE)[0], strict=False)
    icl, zsl = (slow_outputs(reference, ids) for ids in (made.few_shot, made.zero_shot))
    ft = slow_outputs(fine_tuned, made.zero_shot)
    wanted = [cosine(a - b, c - b) for a, b, c in zip(icl, zsl, ft, strict=True)]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    before = [trainee.network.model.layers[n].self_attn.o_proj.weight.numpy() for n in range(len(wanted))]
    assert all(np.abs(weight @ weight.T - np.eye(len(weight))).max() > 0.1 for weight in before), "not a rotation"


def test_equal_updates_are_wholly_alike_and_opposite_ones_wholly_unlike() -> None:
    zero, few = reading(2), reading(1)
    same = compared(few, zero, few)
    assert (same["sim_aou"][0], same["sim_am"][0], same["sim_am_change"][0]) == pytest.approx((1, 1, 1))
    away = reading(4, scores=2 * zero.scores[0] - few.scores[0])
    assert compared(few, zero, away)["sim_am_change"][0] == pytest.approx(-1)


def test_what_does_not_change_has_no_similarity() -> None:
    zero, few = reading(2), reading(1)
    still = compared(few, zero, zero)
    assert math.isnan(still["sim_aou"][0])
    assert math.isnan(still["sim_am_change"][0])
    assert math.isfinite(still["sim_am"][0])
    rounded = reading(5, scores=zero.scores[0] * (1 + 1e-5))
    assert math.isnan(compared(rounded, zero, few)["sim_am_change"][0]), "rotary rounding is no change"


def test_tokens_beyond_the_window_are_left_out() -> None:
    few, zero, tuned = reading(1), reading(2), reading(3)
    hidden = [one.scores[0].copy() for one in (few, zero, tuned)]
    for scores in hidden:
        scores[:, :2] = np.nan
    made = compared(*(reading(seed, scores=scores) for seed, scores in zip((1, 2, 3), hidden, strict=True)))
    assert made["sim_am"][0] == pytest.approx(
        np.mean([cosine(few.scores[0][h, 2:], tuned.scores[0][h, 2:]) for h in range(2)])
    )
    all_hidden = compared(reading(1, context=np.full(7, np.nan)), zero, tuned)
    assert math.isnan(all_hidden["attention_rank"][0])


@given(st.lists(st.floats(-1e6, 1e6), min_size=0, max_size=12))
def test_rank_correlation_is_a_correlation_or_nothing(values: list[float]) -> None:
    one = np.array(values)
    tau = rank_correlation(one, one**3)
    assert math.isnan(tau) or tau == pytest.approx(1.0) or len(set(values)) != len(set(one**3))
    assert math.isnan(rank_correlation(one, np.zeros(len(one))))


def test_similarity_of_nothing_is_nothing() -> None:
    assert math.isnan(similarity(np.zeros((2, 3)), np.ones((2, 3))))
    assert similarity(np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 1.0]])) == pytest.approx(0.5**0.5)


# Controls


def test_random_weights_are_fresh_seeded_and_leave_the_global_generator(pair: Pair) -> None:
    torch.manual_seed(5)
    expected = torch.get_rng_state().clone()
    one, same, other = (random_twin(pair.model.network, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), expected)
    assert state_hash(one) == state_hash(same)
    assert len({state_hash(pair.model.network), state_hash(one), state_hash(other)}) == 3
    assert {name: t.shape for name, t in one.named_parameters()} == {
        name: t.shape for name, t in pair.model.network.named_parameters()
    }
    assert one.config._attn_implementation == NAME


def test_no_room_for_random_weights_is_one_sentence(exact: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "free_bytes", lambda device: 10)
    with pytest.raises(ComputeError, match="for the control with random weights are not free"):
        random_twin(exact.network, 1)


# What the figures say


def row(measure: Measure, subject: Learner, mean: float | None, low: float | None, high: float | None) -> UpdateRow:
    layers = (mean,)
    return UpdateRow(
        measure=measure,
        subject=subject,
        by_layer=layers,
        mean=mean,
        low=low,
        high=high,
        baseline_by_layer=(0.0,),
        baseline=0.0,
    )


def rows_of(measure: Measure, model: float, random: float, shuffled: float, width: float) -> list[UpdateRow]:
    means = zip(SUBJECTS, (model, random, shuffled), strict=True)
    return [row(measure, subject, mean, mean - width / 2, mean + width / 2) for subject, mean in means]


def test_only_a_margin_larger_than_the_spread_counts() -> None:
    rows = [
        *rows_of("sim_aou", 0.5, 0.1, 0.2, 0.1),
        *rows_of("sim_am", 0.9, 0.85, 0.2, 0.1),
        *rows_of("sim_am_change", 0.1, 0.4, 0.0, 0.01),
        row("attention_rank", "model", None, None, None),
    ]
    found = {one.measure: one for one in findings(rows, 3)}
    assert found["sim_aou"].exceeds is True
    assert found["sim_aou"].stronger == "shuffled"
    assert found["sim_aou"].margin == pytest.approx(0.3)
    assert found["sim_am"].exceeds is False
    assert found["sim_am_change"].margin == pytest.approx(-0.3)
    assert found["sim_am_change"].exceeds is False
    assert found["attention_rank"].exceeds is None
    said = conclusion(tuple(found.values()))
    assert "In 1 of 4 measures the in-context update is more like real fine-tuning than both controls" in said
    assert "SimAOU 0.500 against 0.200 for shuffled demonstrations, spread 0.100" in said
    assert (
        "In 2 of 4 measures it does not stand out from its controls, so the similarity is no sign of learning" in said
    )
    assert "SimAM of changes 0.100 against 0.400 for random weights" in said
    assert said.endswith("Not judged: attention rank correlation.")


def test_nothing_above_its_controls_is_said_as_such() -> None:
    said = conclusion(findings(rows_of("sim_aou", 0.1, 0.2, 0.0, 0.05), 2))
    assert said.startswith("In 1 of 4 measures the in-context update does not stand out from its controls, so the")
    assert "more like" not in said


def test_one_repeat_concludes_nothing() -> None:
    rows = [
        row("sim_aou", subject, value, None, None) for subject, value in zip(SUBJECTS, (0.9, 0.1, 0.1), strict=True)
    ]
    found = findings(rows, 1)
    assert found[0].margin == pytest.approx(0.8)
    assert found[0].exceeds is None
    assert conclusion(found).startswith("No conclusion: the figures have no spread over repeats to be judged by.")


# The task


@pytest.fixture(scope="module")
def planets(planets_of: Any) -> Iterator[Dataset]:
    """Two users over nine items."""
    titles = ("Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune", "Pluto")
    with planets_of({"u": 0, "v": 3}, titles, step=2) as dataset:
        yield dataset


@pytest.fixture(scope="module")
def model(tiny_llama: Any, tiny_tokenizer: Any) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama), tiny_tokenizer)


def small(**choices: Any) -> Explain:
    return explain_task(**{"user": "u", "demos": 3, "candidates": 4, "history": 2, **choices})


def asked(**choices: Any) -> UpdatesTask:
    return task_of(
        UpdatesTask, {**LABELLED, "user": "u", "demos": 3, "candidates": 4, "history": 2, "repeats": 2, **choices}
    )


def run(task: UpdatesTask, planets: Dataset, model: LanguageModel, **more: Any) -> list[UpdatesReport]:
    return list(updates(task, dataset=planets, model=model, **more))


@pytest.mark.parametrize("family", ["yes_no", "next_item"])
def test_a_task_tells_all_measures_with_both_controls(planets: Dataset, model: LanguageModel, family: Any) -> None:
    before = state_hash(model.network)
    reports = run(asked(family=family), planets, model)
    assert [report.stage for report in reports] == ["partial", "complete"]
    assert [report.repeats for report in reports] == [1, 2]
    assert state_hash(model.network) == before
    for report in reports:
        assert [(one.measure, one.subject) for one in report.rows] == [
            (measure, subject)
            for measure in ("sim_aou", "sim_am", "sim_am_change", "attention_rank")
            for subject in SUBJECTS
        ]
    done = reports[-1]
    for one in done.rows:
        assert len(one.by_layer) == len(one.baseline_by_layer) == model.layers
        known = [value for value in one.by_layer if value is not None]
        assert all(-1 <= value <= 1 for value in known)
        assert one.low is not None
        assert one.high is not None
        assert one.mean is not None
        assert one.low <= one.mean <= one.high
        assert one.mean == pytest.approx(np.mean(known))
        assert (one.by_layer[0] is None) == (one.measure == "sim_am_change")
    assert any("SimAM of changes is not defined in layer 0 for the model, random" in text for text in done.notices)
    assert {one.subject for one in done.tunings} == set(SUBJECTS)
    assert all(one.steps == 3 for one in done.tunings)
    assert done.conclusion == conclusion(findings(done.rows, 2))
    assert done.passes > 0
    assert done.provenance.command == command_line(asked(family=family))
    assert UpdatesReport.model_validate_json(done.model_dump_json()) == done


def test_the_model_s_own_losses_fall(planets: Dataset, model: LanguageModel) -> None:
    first = run(asked(repeats=1, learning_rate=0.02), planets, model)[-1]
    own = next(one for one in first.tunings if one.subject == "model")
    assert own.loss_after < own.loss_before
    assert first.rows[0].low is None
    assert "no spread" in first.conclusion


def test_a_rate_that_raises_the_loss_is_told() -> None:
    lowered = TuningRow(subject="model", loss_before=2.0, loss_after=1.0, steps=4)
    raised = TuningRow(subject="random_weights", loss_before=2.0, loss_after=3.25, steps=4)
    told = list(notices((), (lowered, raised), 0.5, material()))
    assert told == [
        "Fine-tuning random weights at learning rate 0.5 raised the loss it trains, from 2.000 to 3.250 nats per "
        "token: try a smaller rate."
    ]


def test_half_precision_runs_and_says_what_it_loses(planets: Dataset, tiny_llama: Any, tiny_tokenizer: Any) -> None:
    half = language_model(copy.deepcopy(tiny_llama).bfloat16(), tiny_tokenizer)
    done = run(asked(repeats=1), planets, half)[-1]
    assert any("In bfloat16 small steps of the fine-tuning are rounded away" in text for text in done.notices)
    assert all(one.mean is not None for one in done.rows if one.measure == "sim_am")


def test_equal_tasks_have_equal_figures(planets: Dataset, model: LanguageModel) -> None:
    one, other = (run(asked(), planets, model)[-1] for _ in range(2))
    assert one.rows == other.rows
    assert one.conclusion == other.conclusion


def test_the_forecast_is_near_the_cost(planets: Dataset, model: LanguageModel) -> None:
    task = asked()
    assert 0.5 < run(task, planets, model)[-1].passes / task.predicted_passes < 2


def test_no_demonstrations_is_an_answer(planets: Dataset, model: LanguageModel) -> None:
    (only,) = run(asked(demos=0), planets, model)
    assert only.stage == "complete"
    assert only.rows == ()
    assert "There are no demonstrations in the prompt, so there is no update to compare." in only.notices


def test_one_demonstration_has_only_one_answer(planets: Dataset, model: LanguageModel) -> None:
    done = run(asked(demos=1, chat=True), planets, model)[-1]
    assert all(one.mean is not None for one in done.rows)
    assert any("one answer only" in text for text in done.notices)


def test_cancelling_leaves_the_model_as_it_was(planets: Dataset, model: LanguageModel) -> None:
    before, told = state_hash(model.network), []

    def stop(label: str, fraction: float) -> None:
        told.append((label, fraction))
        if label == "fine-tuning random weights":
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        run(asked(), planets, model, progress=stop)
    assert told[0][0] == "reading the prompts"
    assert "fine-tuning the model" in {label for label, _ in told}
    assert all(0 <= fraction < 1 for _, fraction in told)
    assert state_hash(model.network) == before
    assert model.network.config._attn_implementation == NAME


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"learning_rate": 0}, "learning_rate is 0"),
        ({"learning_rate": -0.1}, "learning_rate is -0.1"),
        ({"learning_rate": 1.5}, "learning_rate is 1.5"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"repeats": 0}, "repeats is 0"),
        ({"repeats": 21}, "repeats is 21"),
        ({"rate": 1}, "an unknown choice 'rate'"),
    ],
)
def test_wrong_choices_are_one_sentence(choices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        checked(UpdatesTask, "updates", choices)
