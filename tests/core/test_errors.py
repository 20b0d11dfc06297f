"""Short memory is told from damaged files, whatever library says so."""

from __future__ import annotations

import errno

import pytest

from core.errors import ComputeError, DemoLensError, ModelError, short_of_memory


def chained(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. can't allocate memory: you tried"),
        RuntimeError("std::bad_alloc"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        type("SafetensorError", (Exception,), {})("Error while deserializing: Cannot allocate memory (os error 12)"),
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA"),
        chained(ValueError("the weights cannot be loaded"), MemoryError()),
    ],
)
def test_short_memory_is_recognised(error: Exception) -> None:
    assert short_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        None,
        ValueError("invalid header"),
        OSError(errno.ENOENT, "No such file or directory"),
        ModelError("the tokenizer knows more words than the model has memory for"),
        DemoLensError("no such user: out of memory"),
        ComputeError("not finite"),
    ],
)
def test_other_faults_are_not(error: Exception | None) -> None:
    assert not short_of_memory(error)


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert not short_of_memory(first)
