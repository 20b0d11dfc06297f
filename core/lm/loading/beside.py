"""A LoRA adapter beside the weights of a loaded model: two networks, one copy of the weights."""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import linear
from transformers.pytorch_utils import Conv1D

from core.errors import ModelError, short_of_memory, too_large
from core.lm.forward.output_head import WideHead
from core.lm.loading.adapter import CONFIG, WEIGHTS, AdapterFiles

_PLAIN = (torch.nn.Linear, WideHead, Conv1D)
"""Layers that take our layer in their place; GPT-2's are transposed, and compute the same kind of product."""


class BesideLinear(torch.nn.Module):
    """W x + b + s B (A x): a linear layer (or GPT-2's transposed one) with an adapter (arXiv 2106.09685, equation 3).

    The product is added into the layer's output where it lies. PEFT's own layer passes over the output three times
    more, which made a forward pass of SmolLM2-135M about a fifth slower on a processor.
    """

    def __init__(self, base_layer: torch.nn.Linear | Conv1D, down: Tensor, up: Tensor) -> None:
        """`down` is A [rank, input], `up` is s B [output, rank]."""
        super().__init__()
        self.base_layer = base_layer
        self.lora_A, self.lora_B = torch.nn.Parameter(down), torch.nn.Parameter(up)

    @property
    def weight(self) -> Tensor:
        """W, for whoever asks a layer for its weight."""
        weight: Tensor = self.base_layer.weight
        return weight

    def forward(self, x: Tensor) -> Tensor:
        """[..., output] from [..., input]."""
        output: Tensor = self.base_layer(x)
        rows = output.view(-1, output.shape[-1])  # A view, never a copy: the sum must arrive in what is returned.
        x, down, up = (part.to(output.dtype) for part in (x, self.lora_A, self.lora_B))  # Logits are wider.
        rows.addmm_(linear(x, down).reshape(-1, down.shape[0]), up.t())
        return output


def attached(network: Any, adapter: AdapterFiles) -> Any:
    """A second network with the adapter's layers beside the very weights of `network`, which stays as it is.

    Modules are copied, weights and buffers are shared: a copy costs kilobytes, and both networks stay plain modules
    whose output depends on nothing but their input. One network with its adapter switched on and off would have a
    state that another caller may have left behind; here there is nothing to switch, the base network never passes
    through a library's layer, and any number of adapters can be attached at once. A and B take the number type of W.
    Raises `ModelError` if the adapter was made for another model or its numbers are not finite.
    """
    _check_fits(network, adapter)
    from peft import PeftModel
    from peft.utils import set_peft_model_state_dict

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft uses old names of transformers; what is missing is checked below
            wrapped = PeftModel(
                _sharing(network),
                _explicit(adapter),
                autocast_adapter_dtype=False,
                low_cpu_mem_usage=True,  # on the meta device until they are read: no random numbers are drawn
            )
            report = set_peft_model_state_dict(wrapped, _weights(network, adapter), low_cpu_mem_usage=True)
        adapted = wrapped.get_base_model().eval().requires_grad_(False)
    except ModelError:
        raise
    except Exception as error:  # a damaged adapter can fail in any of the library's classes
        if short_of_memory(error):
            raise too_large(adapter.where) from None
        problem = f"the adapter cannot be added ({type(error).__name__})"
        raise ModelError(
            problem, expected=f"an adapter trained on this model, not on {adapter.base}", where=adapter.where
        ) from None
    _check_attached(adapted, report.unexpected_keys, adapter)
    _fuse(adapted)
    return adapted


def _explicit(adapter: AdapterFiles) -> Any:
    """The adapter's configuration with every layer written out: no pattern of a stranger's is left to be run."""
    from peft import LoraConfig

    config = LoraConfig.from_pretrained(str(adapter.path))
    rule, where = adapter.rule, adapter.where
    config.inference_mode, config.auto_mapping = True, None
    config.target_modules, config.exclude_modules = set(adapter.layers), None
    config.layers_to_transform = config.layers_pattern = None
    config.rank_pattern = rule.different(rule.ranks, adapter.layers, where=where)
    config.alpha_pattern = rule.different(rule.alphas, adapter.layers, where=where)
    return config


def _weights(network: Any, adapter: AdapterFiles) -> dict[str, Tensor]:
    tensors = load_file(adapter.path / WEIGHTS)
    return {adapter.names[name]: tensor.to(network.device, network.dtype) for name, tensor in tensors.items()}


def _sharing(network: Any) -> Any:
    """A copy of the modules around the same parameters and buffers, without hooks that someone set for a while."""
    shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    unhooked: dict[int, Any] = {id(module._forward_pre_hooks): OrderedDict() for module in network.modules()}
    return copy.deepcopy(network, {**shared, **unhooked})


def _fuse(network: Any) -> None:
    """Put our layer in the place of PEFT's where that is plain LoRA on a linear layer; DoRA stays as it is."""
    from peft.tuners.lora import Linear

    for name, layer in list(network.named_modules()):
        if isinstance(layer, Linear) and not layer.lora_variant and type(layer.base_layer) in _PLAIN:
            (adapter,) = layer.active_adapters
            up = layer.lora_B[adapter].weight * layer.scaling[adapter]
            fused = BesideLinear(layer.base_layer, layer.lora_A[adapter].weight, up).eval().requires_grad_(False)
            network.set_submodule(name, fused)


def _check_fits(network: Any, adapter: AdapterFiles) -> None:
    layers = dict(network.named_modules())
    for widths, side, word in ((adapter.inputs, 0, "input"), (adapter.outputs, 1, "output")):
        for name, width in widths.items():
            sizes = _sizes(layers.get(name))
            if sizes is None or sizes[side] != width:
                has = "has no such layer" if sizes is None else f"has an {word} of {sizes[side]} there"
                raise ModelError(
                    f"the adapter for {adapter.base} changes {name} with an {word} of {width}; this model {has}",
                    expected="an adapter trained on this model",
                    where=adapter.where,
                )
    if adapter.rule.lists_layers:
        names = [name for name, layer in layers.items() if _sizes(layer) or isinstance(layer, torch.nn.Embedding)]
        _check_layers(adapter.rule.layers(names, where=f"{adapter.where}, {CONFIG}"), adapter)


def _sizes(layer: Any) -> tuple[int, int] | None:
    """Widths of a layer's input and output; None for what is no linear layer."""
    if isinstance(layer, torch.nn.Linear):
        return layer.in_features, layer.out_features
    return (layer.nx, layer.nf) if isinstance(layer, Conv1D) else None


def _check_layers(meant: frozenset[str], adapter: AdapterFiles) -> None:
    """Refuse an adapter whose two files disagree about its layers."""
    for name in sorted(meant ^ adapter.layers):
        problem = f"{CONFIG} asks for {name}, {WEIGHTS} lacks it"
        if name not in meant:
            problem = f"{WEIGHTS} has {name}, {CONFIG} does not"
        raise ModelError(problem, expected=f"one and the same in {CONFIG} and {WEIGHTS}", where=adapter.where)


def _check_attached(network: Any, unexpected: Sequence[str], adapter: AdapterFiles) -> None:
    """Refuse weights without a place, places without weights, and numbers that are not finite."""
    expected = f"one and the same in {CONFIG} and {WEIGHTS}"
    if unexpected:
        raise ModelError(f"{WEIGHTS} has {unexpected[0]}, {CONFIG} does not", expected=expected, where=adapter.where)
    beside = {name: weight for name, weight in network.named_parameters() if ".lora_" in name}
    empty = next((name for name, weight in beside.items() if weight.is_meta), None)
    if empty is not None:
        raise ModelError(f"{CONFIG} asks for {empty}, {WEIGHTS} lacks it", expected=expected, where=adapter.where)
    broken = next((name for name, weight in beside.items() if not weight.isfinite().all()), None)
    if broken is not None:
        raise ModelError(f"{broken} holds a number that is not finite", expected="finite ones", where=adapter.where)
