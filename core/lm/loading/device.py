"""Which processor and number format a model runs on, and how much memory is free there."""

from __future__ import annotations

import psutil
import torch

from core.errors import ModelError

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def device_for(device: str) -> str:
    """`cuda`, `mps` or `cpu`: the requested device, or the best for `auto`; raises `ModelError` for an absent one."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, there in present.items() if there)
    if device not in present:
        raise ModelError(f"device {device[:40]!r}", expected=f"auto, {', '.join(present)}")
    if not present[device]:
        there = ", ".join(name for name, usable in present.items() if usable)
        raise ModelError(f"no {device} device on this machine", expected=f"one of: {there}")
    return device


def dtype_for(device: str, dtype: str) -> tuple[str, tuple[str, ...]]:
    """The number format to use on a device, and a notice when it is not the requested one.

    The default is float32 on the CPU, bfloat16 (float16 on older ones) on CUDA, float16 on MPS.
    """
    usable = _usable(device)
    if dtype == "auto":
        return usable[0], ()
    if dtype not in BYTES:
        raise ModelError(f"dtype {dtype[:40]!r}", expected=f"auto, {', '.join(BYTES)}")
    if dtype in usable:
        return dtype, ()
    return usable[0], (f"{dtype} cannot be used on this {device} device; {usable[0]} is used instead.",)


def free_bytes(device: str) -> int:
    """Memory that is free for a model: of the GPU, or of the machine."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    return int(psutil.virtual_memory().available)


def _usable(device: str) -> tuple[str, ...]:
    """Formats that work, the default first. float16 on a CPU overflows in sums and is slower than float32."""
    if device == "cpu":
        return "float32", "bfloat16"
    if device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bfloat16", "float16", "float32"
    return "float16", "float32"
