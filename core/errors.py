"""What can go wrong, said in one sentence: what was found, what was expected, and where."""

from __future__ import annotations


class DemoLensError(Exception):
    """A fault that a person can act on; its text is one plain sentence without paths of this package.

    `found` says what is wrong in the user's own words, `expected` what would have been right,
    `where` the file and line, option, URL parameter or model folder.
    """

    def __init__(self, found: str, *, expected: str = "", where: str = "") -> None:
        self.found, self.expected, self.where = found, expected, where
        sentence = f"{where}: {found}" if where else found
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


class ComputeError(DemoLensError):
    """The model ran and did not give a usable number (out of memory, not finite, time limit)."""


class WorkerError(DemoLensError):
    """The worker process died or did not answer."""


class Cancelled(DemoLensError):  # noqa: N818  (not a fault: the user asked for it)
    """The job was cancelled between two forward passes."""
