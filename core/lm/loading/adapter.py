"""Finds a LoRA adapter by its name and checks its files before a library opens them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import ModelError
from core.lm.loading.code_table import CODES, codes_beside
from core.lm.loading.json_files import read_object, refuse_code
from core.lm.loading.lora_rule import LoraRule, lora_rule
from core.lm.loading.places import allowed_path
from core.lm.loading.weights import PICKLES, tensor_shapes
from core.prompt.codes import Codes

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
LONGEST_CONFIG = 1_000_000
"""Bytes."""
SHIPPED: tuple[Literal["recicl", "tallrec"], ...] = ("recicl", "tallrec")
"""Adapters of the sample model that come with DemoLens; these names never mean a folder (`./recicl` would)."""
ADAPTERS = Path(__file__).resolve().parents[3] / "assets" / "adapters"
"""Folder of the shipped adapters, one folder each."""
_PLAIN_OPTIONS = frozenset(
    (
        *("task_type", "peft_type", "peft_version", "base_model_name_or_path", "revision", "inference_mode"),
        *("r", "lora_alpha", "lora_dropout", "target_modules", "fan_in_fan_out", "bias", "init_lora_weights"),
        *("use_rslora", "use_dora", "rank_pattern", "alpha_pattern", "layers_to_transform", "layers_pattern"),
        *("exclude_modules", "auto_mapping"),  # the latter names the class of the base model, and is never followed
        *("megatron_core", "qalora_group_size"),  # their defaults; without effect unless another option is on
    )
)
"""Options of LoRA that say nothing but numbers and layer names; any other option must be off."""
_BESIDE = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_(A|B|embedding_A|embedding_B|magnitude_vector))"
    r"(\.(?P<adapter>(?!weight$)\w+))?(?P<end>\.weight)?"
)
"""Names of tensors that stand beside the model's own; some savers leave the adapter's name in them."""
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class AdapterFiles:
    """An adapter folder that passed every check that needs no model."""

    path: Path
    where: str
    base: str
    """Name of the model it was trained on, as its configuration says."""
    inputs: Mapping[str, int]
    """Layer name -> width of its input."""
    outputs: Mapping[str, int]
    rule: LoraRule
    """Which layers its configuration means."""
    names: Mapping[str, str]
    """Name of each tensor in the file -> the name that PEFT gives it in a file."""
    codes: Codes | None = None
    """What its prompts say about users and items, if anything."""

    @property
    def layers(self) -> frozenset[str]:
        """Names of the layers that the weights are for."""
        matches = (_BESIDE.fullmatch(name) for name in self.names.values())
        return frozenset(match["module"].removeprefix(_PREFIX) for match in matches if match)

    @property
    def files(self) -> tuple[Path, ...]:
        """What makes an adapter the one it is."""
        files = (self.path / CONFIG, self.path / WEIGHTS)
        return files if self.codes is None else (*files, self.path / CODES)


def is_there(name: str) -> bool:
    """Whether the shipped adapter of that name lies in this checkout."""
    return name in SHIPPED and (ADAPTERS / name / WEIGHTS).is_file()


def adapter_folder(name: str) -> Path:
    """The folder that an adapter's name stands for: a shipped adapter's own, else the path itself.

    Raises `ModelError` for a shipped adapter that is not there, and for a path whose form is refused or that lies
    outside the folders for models; those folders do not bind what is shipped.
    """
    if name not in SHIPPED:
        path = allowed_path(name)
        if not path.is_dir():
            raise ModelError("no such adapter folder", expected=f"a folder with {CONFIG} and {WEIGHTS}", where=name)
        return path
    if not is_there(name):
        raise ModelError(
            "this shipped adapter is not in the checkout", expected=f"assets/adapters/{name}/{WEIGHTS}", where=name
        )
    return ADAPTERS / name


def checked_adapter(name: str) -> AdapterFiles:
    """The LoRA adapter of that name: `recicl` or `tallrec`, which are shipped, or a folder.

    Raises `ModelError` for pickle weights, foreign code, other kinds of adapter, and one that replaces weights of the
    model itself. Other files in the folder, such as its card, are not opened.
    """
    path = adapter_folder(name)
    config = read_object(path / CONFIG, longest=LONGEST_CONFIG, where=name)
    _check_options(config, f"{name}, {CONFIG}")
    rule = lora_rule(config, where=f"{name}, {CONFIG}")
    if not (path / WEIGHTS).is_file():
        pickled = sorted(file.name for file in path.iterdir() if file.suffix in PICKLES)
        problem = f"the adapter is only there as {pickled[0]}, which can run code" if pickled else f"no {WEIGHTS}"
        raise ModelError(problem, expected=f"{WEIGHTS} (PEFT writes it with safe_serialization=True)", where=name)
    shapes = tensor_shapes(path / WEIGHTS, where=name)
    names = _tensor_names(shapes, name)
    shapes = {names[tensor]: shape for tensor, shape in shapes.items()}
    inputs, outputs = _widths(shapes, "A", name), _widths(shapes, "B", name)
    base = str(config.get("base_model_name_or_path") or "another model")[:200]
    return AdapterFiles(path, name, base, inputs, outputs, rule, names, codes_beside(path, where=name))


def _check_options(config: Mapping[str, Any], where: str) -> None:
    refuse_code(dict(config), where=where)
    if config.get("peft_type") != "LORA":
        raise ModelError(f"an adapter of type {str(config.get('peft_type'))[:40]}", expected="LORA", where=where)
    extra = next((key for key, value in config.items() if value and key not in _PLAIN_OPTIONS), None)
    if extra is not None:
        raise ModelError(f"the option {extra[:60]} is in use", expected="plain LoRA", where=where)
    start = config.get("init_lora_weights")
    if start not in (True, False, None, "gaussian"):
        raise ModelError(f"init_lora_weights is {str(start)[:40]}", expected="true, false or gaussian", where=where)


def _tensor_names(tensors: Iterable[str], where: str) -> dict[str, str]:
    """The names without an adapter's own (`lora_A.default.weight`); refuses weights of the model and two adapters."""
    names, adapters = {}, set()
    for tensor in tensors:
        match = _BESIDE.fullmatch(tensor)
        if match is None:
            problem = f"the adapter replaces {tensor[:200]} of the model"
            raise ModelError(problem, expected="LoRA layers alone", where=where)
        names[tensor] = f"{match['module']}.{match['part']}{match['end'] or ''}"
        adapters.add(match["adapter"])
    if len(adapters) > 1:
        listed = " and ".join(sorted(str(adapter or "no name")[:60] for adapter in adapters))
        raise ModelError(f"weights of several adapters ({listed})", expected="one adapter", where=f"{where}, {WEIGHTS}")
    return names


def _widths(shapes: Mapping[str, tuple[int, ...]], side: str, where: str) -> dict[str, int]:
    """Input widths (A is [rank, input]) or output widths (B is [output, rank]) by layer name."""
    widths = {}
    for tensor, shape in shapes.items():
        module = tensor.removeprefix(_PREFIX).removesuffix(f".lora_{side}.weight")
        if tensor == f"{_PREFIX}{module}.lora_{side}.weight" and len(shape) == 2:
            widths[module] = shape[1] if side == "A" else shape[0]
    if not widths:
        raise ModelError(
            f"no lora_{side} weights", expected="the weights of a LoRA adapter", where=f"{where}, {WEIGHTS}"
        )
    return widths
