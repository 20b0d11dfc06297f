"""The model that the project's examples use: SmolLM2-135M-Instruct, fetched and converted once."""

from __future__ import annotations

from pathlib import Path

from core.lm.loading.gguf_convert import converted, is_converted
from core.store.material import SMOLLM2, extracted, is_here


def sample_model_folder() -> Path:
    """Folder with the sample model as safetensors; the first call fetches and converts it (about half a minute).

    Raises `MaterialError` when it cannot be fetched and `ModelError` when it cannot be converted.
    """
    file = next(extracted(SMOLLM2).glob("*.gguf"))
    return converted(file, where="sample")


def sample_model_is_here() -> bool:
    """Whether it was fetched and converted on this machine."""
    return is_here(SMOLLM2) and is_converted(next(extracted(SMOLLM2).glob("*.gguf")), where="sample")
