"""An adapter stands beside the weights: base and adapted model are both there, from one copy of them."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from adapters import loaded_copy, merged_copy, saved_adapter, saved_model
from references import language_model
from safetensors.torch import load_file, save_file
from tiny_networks import tiny_network
from transformers import GPT2Config, GPT2LMHeadModel

from core.errors import ModelError
from core.lm.forward.forest import Forest, Segment
from core.lm.forward.forward_pass import run
from core.lm.forward.output_head import widen
from core.lm.loading import adapter as module
from core.lm.loading.adapter import adapter_folder, checked_adapter, is_there
from core.lm.loading.beside import BesideLinear, attached
from core.lm.loading.hashes import weights_sha256
from core.lm.loading.load import LanguageModel, load
from core.lm.scoring.encoded import attention_scales

IDS = torch.tensor([[1, 50, 7, 300, 9, 33, 120, 4, 77, 8, 51]])


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DEMOLENS_MODEL_ROOTS", raising=False)


@pytest.fixture
def base(tiny_llama: Any) -> LanguageModel:
    return language_model(copy.deepcopy(tiny_llama))


@pytest.fixture
def folder(tiny_llama: Any, tiny_transformers_tokenizer: Any, tmp_path: Path) -> Path:
    return saved_model(tiny_llama, tiny_transformers_tokenizer, tmp_path / "model")


@pytest.fixture
def adapter(tiny_llama: Any, tmp_path: Path) -> Path:
    return saved_adapter(tiny_llama, tmp_path / "adapter")


def output(network: Any) -> torch.Tensor:
    """Logits of every token by an ordinary call."""
    with torch.no_grad():
        return network(IDS, use_cache=False).logits


def tensors(network: Any) -> dict[str, torch.Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def put(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def rename(adapter: Path, pattern: str, name: str) -> None:
    weights = load_file(adapter / "adapter_model.safetensors")
    save_file({re.sub(pattern, name, key): one for key, one in weights.items()}, adapter / "adapter_model.safetensors")


def rewrite(adapter: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    weights = load_file(adapter / "adapter_model.safetensors")
    change(weights)
    save_file(weights, adapter / "adapter_model.safetensors")


# On and off


@pytest.mark.parametrize(
    ("family", "options"),
    [
        *((family, {}) for family in ("tiny_llama", "tiny_qwen3", "tiny_gemma2", "tiny_gemma3")),
        ("tiny_llama", {"use_rslora": True, "r": 3}),
        ("tiny_qwen3", {"use_dora": True}),
        ("tiny_gemma2", {"rank_pattern": {"up_proj": 4}, "alpha_pattern": {"q_proj": 3}}),
    ],
)
def test_it_computes_what_a_merged_copy_computes(
    family: str, options: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    network = request.getfixturevalue(family)
    folder = saved_adapter(network, tmp_path / "adapter", **options)
    model = language_model(copy.deepcopy(network))
    merged = language_model(merged_copy(network, folder))
    made = output(model.with_adapter(str(folder)).network)
    torch.testing.assert_close(made, output(merged.network), atol=1e-5, rtol=1e-5)
    assert (made - output(model.network)).abs().max() > 1e-2, "the adapter matters"


MAPPING = {"base_model_class": "LlamaForCausalLM", "parent_library": "transformers.models.llama.modeling_llama"}


@pytest.mark.parametrize(
    ("targets", "options"),
    [
        (r".*\.layers\.[02]\..*\.(q|up)_proj", {}),
        (r"model\.layers\.\d+\.self_attn\.[qv]_proj", {"exclude_modules": r".*\.1\..*"}),
        (["q_proj", "v_proj", "gate_proj"], {"exclude_modules": ["v_proj", "layers.0.self_attn.q_proj"]}),
        (["q_proj", "up_proj"], {"layers_to_transform": [0, 2], "layers_pattern": "layers"}),
        (["q_proj", "up_proj"], {"layers_to_transform": 1}),
        (["q_proj", "mlp.up_proj"], {"task_type": None}),
        (
            ["q_proj", "k_proj"],
            {"rank_pattern": {r".*\.[01]\..*q_proj": 4, "k_proj": 1}, "alpha_pattern": {"^model.*k_proj": 5}},
        ),
        ("all-linear", {}),
    ],
)
def test_layers_are_those_that_the_library_means(
    targets: Any, options: dict[str, Any], tiny_llama: Any, base: LanguageModel, tmp_path: Path
) -> None:
    folder = saved_adapter(tiny_llama, tmp_path / "adapter", targets=targets, **options)
    put(folder / "adapter_config.json", auto_mapping=MAPPING)
    made = output(base.with_adapter(str(folder)).network)
    torch.testing.assert_close(made, output(loaded_copy(tiny_llama, folder)), atol=1e-5, rtol=1e-5)
    assert (made - output(tiny_llama)).abs().max() > 1e-2, "the adapter matters"


def test_an_adapter_s_name_in_the_keys_is_left_out(tiny_llama: Any, base: LanguageModel, adapter: Path) -> None:
    expected = output(loaded_copy(tiny_llama, adapter))
    for name in ("default", "weights_2"):
        rename(adapter, r"(lora_[AB])(\.\w+)?\.weight", rf"\1.{name}.weight")
        torch.testing.assert_close(output(base.with_adapter(str(adapter)).network), expected, atol=1e-5, rtol=1e-5)
    rename(adapter, r"(layers\.1.*lora_[AB])\.\w+\.weight", r"\1.other.weight")
    with pytest.raises(ModelError, match=r"weights of several adapters \(other and weights_2\); expected one"):
        checked_adapter(str(adapter))


@pytest.mark.parametrize("options", [{}, {"use_dora": True}, {"use_rslora": True}])
def test_transposed_layers_of_gpt_2_take_an_adapter(
    options: dict[str, Any], tiny_transformers_tokenizer: Any, tmp_path: Path
) -> None:
    config = GPT2Config(vocab_size=len(tiny_transformers_tokenizer), n_positions=64, n_embd=32, n_layer=2, n_head=4,
                        initializer_range=0.25, bos_token_id=1, eos_token_id=2)  # fmt: skip
    network = tiny_network(config, GPT2LMHeadModel)
    targets = ["c_attn", "c_proj", "c_fc"]
    folder = saved_adapter(network, tmp_path / "adapter", targets=targets, fan_in_fan_out=True, **options)
    made = attached(network, checked_adapter(str(folder)))
    torch.testing.assert_close(output(made), output(loaded_copy(network, folder)), atol=1e-5, rtol=1e-5)
    assert (output(made) - output(network)).abs().max() > 1e-2, "the adapter matters"
    fused = sum(isinstance(layer, BesideLinear) for layer in made.modules())
    assert fused == (0 if options.get("use_dora") else 8)


def test_a_pattern_that_takes_for_ever_is_stopped(
    base: LanguageModel, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.lm.loading.lora_rule.MATCH_SECONDS", 0.1)
    for option in ("target_modules", "exclude_modules"):
        before = (adapter / "adapter_config.json").read_text()
        put(adapter / "adapter_config.json", **{option: r"(.|\w|[a-z_.])+\s"})
        with pytest.raises(ModelError, match="takes too long"):
            base.with_adapter(str(adapter))
        (adapter / "adapter_config.json").write_text(before)
    put(adapter / "adapter_config.json", rank_pattern={r"(.|\w|[a-z_.])+\s": 4})
    with pytest.raises(ModelError, match="takes too long"):
        base.with_adapter(str(adapter))


def test_the_delta_is_the_scaled_product_of_its_matrices(base: LanguageModel, adapter: Path) -> None:
    adapted, name = base.with_adapter(str(adapter)).network, "model.layers.1.mlp.down_proj"
    weights = load_file(adapter / "adapter_model.safetensors")
    down, up = (weights[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
    given = torch.randn(1, 5, down.shape[1], generator=torch.Generator().manual_seed(0))
    alpha, rank = 8, 2
    expected = base.network.get_submodule(name)(given) + alpha / rank * given @ down.T @ up.T
    torch.testing.assert_close(adapted.get_submodule(name)(given), expected, atol=1e-5, rtol=1e-5)


def test_a_gradient_is_that_of_a_merged_copy(tiny_llama: Any, adapter: Path) -> None:
    plain = copy.deepcopy(tiny_llama).double()
    networks = (
        language_model(plain).with_adapter(str(adapter)).network,
        language_model(merged_copy(plain, adapter)).network,
    )
    forest = Forest((Segment(tuple(IDS[0].tolist()), None, 0),))
    grads = []
    for network in networks:
        gates = torch.ones(3, 4, IDS.shape[1], dtype=torch.float64, requires_grad=True)
        logits, _ = run(network, forest, [IDS.shape[1] - 1], gates=gates)
        grads.append(torch.autograd.grad(logits[0, 7], gates)[0])
    torch.testing.assert_close(*grads, atol=1e-9, rtol=1e-6)


def test_plain_lora_takes_our_layer_and_dora_the_library_s(base: LanguageModel, adapter: Path, tmp_path: Path) -> None:
    dora = saved_adapter(base.network, tmp_path / "dora", use_dora=True, targets=("q_proj",))
    for folder, count in ((adapter, 21), (dora, 0)):
        modules = [*base.with_adapter(str(folder)).network.modules()]
        assert sum(isinstance(one, BesideLinear) for one in modules) == count


@pytest.mark.parametrize("shape", [(5,), (2, 3), (1, 2, 3)])
def test_any_number_of_rows_is_transformed(shape: tuple[int, ...]) -> None:
    rng = torch.Generator().manual_seed(0)
    weight, down, up, x = (torch.randn(*size, generator=rng) for size in ((4, 6), (2, 6), (4, 2), (*shape, 6)))
    plain = torch.nn.Linear(6, 4)
    plain.weight.data = weight
    made = BesideLinear(plain, down, up)(x)
    torch.testing.assert_close(made, x @ (weight + up @ down).T + plain.bias)


def test_off_is_the_untouched_model_bit_for_bit(base: LanguageModel, adapter: Path, tiny_llama: Any) -> None:
    untouched = output(base.network)
    names = [*tensors(base.network)]
    adapted = base.with_adapter(str(adapter))
    assert adapted.with_adapter(None) is base
    assert base.with_adapter(None) is base
    assert torch.equal(output(base.network), untouched)
    assert [*tensors(base.network)] == names
    assert all(torch.equal(one, tiny_llama.state_dict()[name]) for name, one in base.network.state_dict().items())
    assert type(base.network) is type(adapted.network) is type(tiny_llama)


def test_on_and_off_in_turn_is_bitwise_stable(base: LanguageModel, adapter: Path) -> None:
    adapted = base.with_adapter(str(adapter))
    both = (base.network, adapted.network)
    first, hashes = [output(one) for one in both], [weights_sha256(one) for one in both]
    for _ in range(3):
        for network, made, known in zip(both, first, hashes, strict=True):
            assert torch.equal(output(network), made)
            assert weights_sha256(network) == known
    assert hashes[0] != hashes[1]


def test_two_adapters_at_once(base: LanguageModel, adapter: Path, tiny_llama: Any, tmp_path: Path) -> None:
    before = weights_sha256(base.network)
    other = saved_adapter(tiny_llama, tmp_path / "other", seed=1, targets=("q_proj", "v_proj"))
    models = [base.with_adapter(str(adapter)), base.with_adapter(str(other)).with_adapter(str(adapter))]
    models.append(models[0].with_adapter(str(other)))
    one, same, second = (output(model.network) for model in models)
    assert torch.equal(one, same)
    for made, folder in ((one, adapter), (second, other)):
        merged = language_model(merged_copy(tiny_llama, folder)).network
        torch.testing.assert_close(made, output(merged), atol=1e-5, rtol=1e-5)
    assert {model.base for model in models} == {base}
    assert len({model.model_id for model in (base, *models)}) == 3
    assert weights_sha256(base.network) == before


def test_weights_are_in_memory_once(base: LanguageModel, adapter: Path) -> None:
    adapted, own = base.with_adapter(str(adapter)).network, tensors(base.network)
    shared = {name.replace(".base_layer", ""): one for name, one in tensors(adapted).items() if ".lora_" not in name}
    assert shared.keys() == own.keys()
    assert all(shared[name] is one for name, one in own.items())
    added = sum(one.numel() for name, one in tensors(adapted).items() if ".lora_" in name)
    assert added == sum(one.numel() for one in load_file(adapter / "adapter_model.safetensors").values())
    assert not any(one.requires_grad for one in adapted.parameters())
    assert not adapted.training


def test_attaching_draws_no_random_number(base: LanguageModel, adapter: Path) -> None:
    before = torch.random.get_rng_state()
    base.with_adapter(str(adapter))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_prefix_memory_and_attention_work_as_without(base: LanguageModel, adapter: Path) -> None:
    model = base.with_adapter(str(adapter))
    ids, cut = IDS[0].tolist(), 6
    with torch.no_grad():
        _, memory = run(model.network, Forest((Segment(tuple(ids[:cut]), None, 0),)), [0], keep=True)
        rest = Segment(tuple(ids[cut:]), 0, cut)
        assert memory is not None
        logits, _ = run(model.network, Forest((rest,), memory), [len(ids) - cut - 1])
    torch.testing.assert_close(logits[0], output(model.network)[0, -1], atol=1e-5, rtol=1e-5)
    assert attention_scales(model) == attention_scales(base)


def test_a_hook_that_was_set_for_a_while_is_not_attached_for_good(base: LanguageModel, adapter: Path) -> None:
    seen: list[str] = []
    handle = base.network.model.layers[0].register_forward_pre_hook(lambda *_: seen.append("layer"))
    adapted = base.with_adapter(str(adapter))
    output(adapted.network)
    assert seen == []
    output(base.network)
    assert seen == ["layer"]
    handle.remove()


def test_half_precision_stays_half(tiny_llama: Any, adapter: Path) -> None:
    model = language_model(copy.deepcopy(tiny_llama).bfloat16()).with_adapter(str(adapter))
    assert {one.dtype for one in model.network.parameters()} == {torch.bfloat16}
    near = output(language_model(merged_copy(tiny_llama, adapter)).network)
    assert (output(model.network).float() - near).abs().mean() < 0.05 * near.abs().mean()


def test_beside_an_output_layer_of_half_precision_logits_are_single(tiny_llama: Any) -> None:
    random = torch.Generator().manual_seed(0)
    network = copy.deepcopy(tiny_llama).bfloat16()
    widen(network)
    sizes = ((2, 32), (len(network.lm_head.weight), 2), (1, 5, 32))
    down, up, given = (torch.randn(*size, generator=random).bfloat16() for size in sizes)
    logits = BesideLinear(network.lm_head, down, up)(given)
    expected = given.double() @ (network.lm_head.weight.double() + up.double() @ down.double()).T
    torch.testing.assert_close(logits, expected.float(), atol=1e-4, rtol=1e-5)


# Records and names


def test_a_loaded_model_has_its_adapter(folder: Path, adapter: Path) -> None:
    plain, model = load(str(folder), device="cpu"), load(str(folder), adapter=str(adapter), device="cpu")
    assert (plain.adapter, plain.base) == (None, None)
    assert model.adapter == str(adapter)
    assert model.base is not None
    assert (model.base.model_id, model.name, model.notices) == (plain.model_id, plain.name, plain.notices)
    assert model.model_id == plain.with_adapter(str(adapter)).model_id != plain.model_id
    assert torch.equal(output(model.network), output(plain.with_adapter(str(adapter)).network))


def test_the_same_adapter_is_the_same_record_until_its_files_change(base: LanguageModel, adapter: Path) -> None:
    model = base.with_adapter(str(adapter))
    assert model.with_adapter(str(adapter)) is model
    rewrite(adapter, lambda weights: [one.mul_(2) for one in weights.values()])
    changed = model.with_adapter(str(adapter))
    assert changed.model_id != model.model_id
    assert not torch.equal(output(changed.network), output(model.network))


def test_files_that_change_during_loading_are_noticed(
    base: LanguageModel, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(network: Any, files: Any) -> Any:
        made = attached(network, files)
        rewrite(adapter, lambda weights: [one.mul_(2) for one in weights.values()])
        return made

    monkeypatch.setattr("core.lm.loading.load.attached", change)
    with pytest.raises(ModelError, match="the files changed while they were read"):
        base.with_adapter(str(adapter))


def test_shipped_adapters_have_names(
    base: LanguageModel, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ADAPTERS", tmp_path / "shipped")
    monkeypatch.setenv("DEMOLENS_MODEL_ROOTS", str(tmp_path / "roots"))
    assert not is_there("recicl")
    with pytest.raises(ModelError, match=r"^recicl: this shipped adapter is not in the checkout"):
        base.with_adapter("recicl")
    (tmp_path / "shipped").mkdir()
    adapter.rename(tmp_path / "shipped" / "recicl")
    (tmp_path / "shipped" / "recicl" / "card.json").write_text("{}")
    (tmp_path / "shipped" / "recicl" / "README.md").write_text("A card.")
    assert is_there("recicl")
    assert not is_there("tallrec")
    assert not is_there(str(tmp_path / "shipped" / "recicl"))
    assert base.with_adapter("recicl").adapter == "recicl"
    with pytest.raises(ModelError, match="outside the folders that models may be taken from"):
        adapter_folder(str(tmp_path / "shipped" / "recicl"))


# What is refused


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"peft_type": "PROMPT_TUNING"}, "an adapter of type PROMPT_TUNING; expected LORA"),
        ({"megatron_config": {"x": 1}}, "the option megatron_config is in use"),
        ({"modules_to_save": ["lm_head"]}, "the option modules_to_save is in use"),
        ({"target_modules": "("}, r"the pattern '\(' is no regular expression; expected one for names of layers"),
        ({"target_modules": [1]}, r"target_modules is \[1\]; expected names of layers, or a pattern"),
        ({"target_modules": None}, "no target_modules"),
        ({"exclude_modules": "["}, r"the pattern '\[' is no regular expression"),
        ({"layers_pattern": "("}, r"the pattern '\(' is no regular expression"),
        ({"layers_to_transform": ["1"]}, "layers_to_transform is no list of numbers"),
        ({"rank_pattern": {"(": 4}}, r"the pattern '\(' is no regular expression"),
        ({"alpha_pattern": {"q_proj": "4"}}, "alpha_pattern is .*; expected a number for each pattern"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is pissa"),
        ({"x": {"trust_remote_code": True}}, "asks to run code"),
    ],
)
def test_adapters_with_more_than_weights_are_refused(adapter: Path, values: dict[str, Any], said: str) -> None:
    put(adapter / "adapter_config.json", **values)
    with pytest.raises(ModelError, match=said):
        checked_adapter(str(adapter))


def test_a_wrong_adapter_is_told_before_the_model_is_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.lm.loading.load._network", lambda *_: pytest.fail("the weights were read"))
    with pytest.raises(ModelError, match="no such adapter folder"):
        load(str(folder), adapter=str(tmp_path / "none"))


def test_adapter_files_are_checked(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"only there as adapter_model\.bin, which can run code"):
        checked_adapter(str(adapter))
    (adapter / "adapter_config.json").unlink()
    with pytest.raises(ModelError, match=r"adapter_config\.json: cannot be read"):
        checked_adapter(str(adapter))


def test_a_file_cut_short_is_refused(adapter: Path) -> None:
    file = adapter / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(ModelError, match="the file is cut short"):
        checked_adapter(str(adapter))


@pytest.mark.parametrize(
    "name",
    [
        "base_model.model.lm_head.weight",
        "base_model.model.model.embed_tokens.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.bias",
        "model.norm.weight",
        "lora_A.weight",
    ],
)
def test_weights_of_the_model_itself_are_not_replaced(adapter: Path, name: str) -> None:
    rewrite(adapter, lambda weights: weights.update({name: torch.zeros(2)}))
    with pytest.raises(ModelError, match=f"the adapter replaces {name} of the model; expected LoRA layers alone"):
        checked_adapter(str(adapter))


def test_an_adapter_of_another_model_is_refused(
    adapter: Path, base: LanguageModel, tiny_qwen3: Any, tmp_path: Path
) -> None:
    foreign = language_model(copy.deepcopy(tiny_qwen3))
    with pytest.raises(
        ModelError, match=r"changes model\.layers\.2\.\S+ with an input of \d+; this model has no such layer"
    ):
        foreign.with_adapter(str(adapter))
    key = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"
    rewrite(adapter, lambda weights: weights.update({key: torch.zeros(99, 2)}))
    with pytest.raises(ModelError, match="with an output of 99; this model has an output of 32 there"):
        base.with_adapter(str(adapter))


def test_ranks_that_do_not_fit_are_refused_and_leave_the_model(base: LanguageModel, adapter: Path) -> None:
    before = weights_sha256(base.network)
    put(adapter / "adapter_config.json", r=3)
    with pytest.raises(
        ModelError, match=r"the adapter cannot be added \(RuntimeError\); expected an adapter trained on"
    ):
        base.with_adapter(str(adapter))
    assert weights_sha256(base.network) == before


NAME = "base_model.model.model.layers.0.mlp.up_proj.lora_{}.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda weights: weights.pop(NAME.format("B")),
            r"asks for model\.layers\.0\.mlp\.up_proj\.lora_B\S+, adapter_mod",
        ),
        (
            lambda weights: weights[NAME.format("A")].fill_(torch.nan),
            "up_proj.lora_A.default.weight holds a number that",
        ),
        (
            lambda weights: weights[NAME.format("B")].fill_(torch.inf),
            "up_proj.lora_B.default.weight holds a number that",
        ),
    ],
)
def test_missing_and_broken_numbers_are_never_made_up(
    base: LanguageModel, adapter: Path, change: Any, said: str
) -> None:
    rewrite(adapter, change)
    with pytest.raises(ModelError, match=said):
        base.with_adapter(str(adapter))


def test_layers_that_the_configuration_leaves_out_are_told(base: LanguageModel, adapter: Path) -> None:
    put(adapter / "adapter_config.json", target_modules=["q_proj", "v_proj"])
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors has model\.\S+, adapter_config\.json does not"):
        base.with_adapter(str(adapter))
