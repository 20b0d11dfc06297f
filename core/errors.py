"""The errors of DemoLens: each says in one sentence what is wrong, what was expected, and where."""

from __future__ import annotations

import errno
import re

_NO_MEMORY = re.compile(
    r"(cannot|can't|failed to) (allocate|map)|not enough memory|out of memory|bad_alloc|os error 12\b", re.IGNORECASE
)
"""What libraries say when memory is short: the allocator of torch, the loader of shared libraries, Rust, C++."""


SHORT_OF_MEMORY = "the memory is too small for this; try fewer demonstrations or candidates, or a smaller model"


class DemoLensError(Exception):
    """A fault that a person can act on; its text is one plain sentence without paths of this package.

    `problem` says what is wrong in the user's own words, `expected` what would have been right,
    `where` the file and line, option, URL parameter or model folder.
    """

    def __init__(self, problem: str, *, expected: str = "", where: str = "") -> None:
        self.problem, self.expected, self.where = problem, expected, where
        sentence = f"{where}: {problem}" if where else problem
        super().__init__(f"{sentence}; expected {expected}" if expected else sentence)


class DataError(DemoLensError):
    """A data file, a user or an item is not what it should be."""


class MaterialError(DemoLensError):
    """Sample material cannot be fetched, verified or stored."""


class RequestError(DemoLensError):
    """A choice (option, URL parameter, widget) is not one that can be run."""


class PromptError(DemoLensError):
    """A template or a prompt cannot be built."""


class ModelError(DemoLensError):
    """A model folder, file or name cannot be loaded safely."""


def too_large(where: str) -> ModelError:
    """The error to raise when memory does not suffice to open the model `where`."""
    problem = "the memory is too small to open this model"
    return ModelError(problem, expected="a smaller model or more memory", where=where)


class ComputeError(DemoLensError):
    """The model ran and did not give a usable number (out of memory, not finite, time limit)."""


class WorkerError(DemoLensError):
    """The worker process died or did not answer."""


class Cancelled(DemoLensError):  # noqa: N818  (not a fault: the user asked for it)
    """The job was cancelled between two forward passes."""


def short_of_memory(error: BaseException | None) -> bool:
    """Whether `error`, or what it came from, says that memory is short; libraries say so in many ways."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, MemoryError) or type(error).__name__.startswith("OutOfMemory"):
            return True
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return True
        if not isinstance(error, DemoLensError) and _NO_MEMORY.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False
