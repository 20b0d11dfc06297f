"""Child process of `core.lm.loading.gguf_convert`: opens one GGUF file and saves it as a safetensors folder.

Run by `core.store.child` with FILE FOLDER ADDRESS_SPACE [CONFIG, SPACE]. Prints one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

_KINDS = ("model_type", "architectures")
"""What a configuration calls itself."""


def limit(address_space: int) -> None:
    """Bound this process's memory, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))


def alone(file: Path, folder: Path) -> None:
    """Put the file into `folder` under a plain name: what lies beside it is not to be read."""
    target = folder / "model.gguf"
    for put in (os.symlink, os.link, shutil.copyfile):
        with contextlib.suppress(OSError, NotImplementedError):
            put(file.absolute(), target)
            return


def save_tokenizer(tokenizer: Any, target: Path, space: bool) -> None:
    """Save the tokenizer; without `space` it does not write a space before a text, as the library would."""
    from tokenizers import normalizers, pre_tokenizers

    if not space and tokenizer.backend_tokenizer.normalizer is not None:
        tokenizer.backend_tokenizer.normalizer = normalizers.Replace(" ", "▁")
    elif not space:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    tokenizer.save_pretrained(target)


def convert(folder: Path, target: Path, settings: dict[str, Any], space: bool = True) -> None:
    """Load `model.gguf` of `folder` as float32 and save network and tokenizer to `target`.

    `settings` go into the configuration, `space` is for `save_tokenizer`. Raises `ValueError` where the network needs a
    weight that is not there.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaConfig

    options: dict[str, Any] = {"gguf_file": "model.gguf", "local_files_only": True, "trust_remote_code": False}
    save_tokenizer(AutoTokenizer.from_pretrained(folder, **options), target, space)
    config = AutoConfig.from_pretrained(folder, **options)
    if config.model_type == "mistral":  # what the library makes of a Llama file whose name is that word
        sizes = config.to_dict()
        config = LlamaConfig(
            **{name: sizes[name] for name in LlamaConfig().to_dict() if name in sizes and name not in _KINDS}
        )
    for name, value in settings.items():
        setattr(config, name, value)
    network, report = AutoModelForCausalLM.from_pretrained(
        folder, config=config, dtype=torch.float32, output_loading_info=True, **options
    )
    missing = sorted(map(str, (*report["missing_keys"], *report["mismatched_keys"])))
    if missing:
        raise ValueError(f"{missing[0]} is missing or has another shape")
    # save_pretrained refuses a model that still calls itself quantised, though its weights are plain numbers now
    network.config.__dict__.pop("quantization_config", None)
    network.hf_quantizer = None
    network.is_quantized = False
    network.save_pretrained(target)


def main() -> None:
    """Convert and say how it went."""
    file, target, address_space = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    settings, space = json.loads(sys.argv[4])
    limit(address_space)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            alone(file, Path(folder))
            convert(Path(folder), target, settings, space)
        answer: dict[str, Any] = {"done": True}
    except BaseException as error:  # also MemoryError, and exits of the libraries
        answer = {"done": False, "error": f"{type(error).__name__}: {error}".replace(str(file.parent), "")}
    print("\n" + json.dumps(answer))


if __name__ == "__main__":
    main()
