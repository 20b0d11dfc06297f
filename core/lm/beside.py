"""A LoRA adapter beside the weights of a loaded model: two networks, one copy of the weights."""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from core.errors import ModelError
from core.lm.adapter import CONFIG, WEIGHTS, AdapterFiles
from core.lm.head import WideHead

_PLAIN = (torch.nn.Linear, WideHead)


class BesideLinear(torch.nn.Module):
    """W x + b + s B (A x): a linear layer with an adapter (arXiv 2106.09685, equation 3).

    The product is added into the layer's output where it lies. PEFT's own layer passes over the output three times
    more, which made a forward pass of SmolLM2-135M about a fifth slower on a processor.
    """

    def __init__(self, base_layer: torch.nn.Linear, down: Tensor, up: Tensor) -> None:
        """`down` is A [rank, input], `up` is s B [output, rank]."""
        super().__init__()
        self.base_layer = base_layer
        self.lora_A, self.lora_B = torch.nn.Parameter(down), torch.nn.Parameter(up)

    @property
    def weight(self) -> Tensor:
        """W, for whoever asks a layer for its weight."""
        return self.base_layer.weight

    def forward(self, x: Tensor) -> Tensor:
        """[..., output] from [..., input]."""
        made: Tensor = self.base_layer(x)
        rows = made.view(-1, made.shape[-1])  # A view, never a copy: the sum must arrive in what is returned.
        x, down, up = (part.to(made.dtype) for part in (x, self.lora_A, self.lora_B))  # Logits are wider.
        rows.addmm_(linear(x, down).reshape(-1, down.shape[0]), up.t())
        return made


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

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft uses old names of transformers; what is missing is checked below
            wrapped = PeftModel.from_pretrained(
                _sharing(network),
                str(adapter.path),
                is_trainable=False,
                autocast_adapter_dtype=False,
                low_cpu_mem_usage=True,  # on the meta device until they are read: no random numbers are drawn
                torch_device=str(network.device),
                use_safetensors=True,
            )
        made = wrapped.get_base_model().eval().requires_grad_(False)
    except Exception as error:  # a damaged adapter can fail in any of the library's classes
        found = f"the adapter cannot be added ({type(error).__name__})"
        raise ModelError(
            found, expected=f"an adapter trained on this model, not on {adapter.base}", where=adapter.where
        ) from None
    _check_attached(made, adapter)
    _fuse(made)
    return made


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
            (one,) = layer.active_adapters
            up = layer.lora_B[one].weight * layer.scaling[one]
            fused = BesideLinear(layer.base_layer, layer.lora_A[one].weight, up).eval().requires_grad_(False)
            network.set_submodule(name, fused)


def _check_fits(network: Any, adapter: AdapterFiles) -> None:
    layers = dict(network.named_modules())
    sides = ((adapter.inputs, "in_features", "input"), (adapter.outputs, "out_features", "output"))
    for widths, attribute, word in sides:
        for name, width in widths.items():
            found = getattr(layers.get(name), attribute, None)
            if found != width:
                has = "has no such layer" if found is None else f"has an {word} of {found} there"
                raise ModelError(
                    f"the adapter for {adapter.base} changes {name} with an {word} of {width}; this model {has}",
                    expected="an adapter trained on this model",
                    where=adapter.where,
                )


def _check_attached(network: Any, adapter: AdapterFiles) -> None:
    """Refuse an adapter whose files disagree about its layers, or with numbers that are not finite."""
    expected = f"one and the same in {CONFIG} and {WEIGHTS}"
    layers = dict(network.named_modules())
    idle = next((name for name in adapter.inputs if not hasattr(layers[name], "base_layer")), None)
    if idle is not None:
        raise ModelError(f"{WEIGHTS} has {idle}, {CONFIG} does not", expected=expected, where=adapter.where)
    beside = {name: weight for name, weight in network.named_parameters() if ".lora_" in name}
    empty = next((name for name, weight in beside.items() if weight.is_meta), None)
    if empty is not None:
        raise ModelError(f"{CONFIG} asks for {empty}, {WEIGHTS} lacks it", expected=expected, where=adapter.where)
    broken = next((name for name, weight in beside.items() if not weight.isfinite().all()), None)
    if broken is not None:
        raise ModelError(f"{broken} holds a number that is not finite", expected="finite ones", where=adapter.where)
