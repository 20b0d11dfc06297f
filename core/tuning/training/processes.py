"""The processes of a parallel run: the share of each, and sums over all of them.

`accelerate launch` starts one process per GPU, `torchrun` any number of them on a CPU; each holds the whole model and
takes its share of every batch. A single process needs neither them nor this: it adds nothing and waits for no one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class Processes:
    """This process among all; the first one writes the files."""

    def __init__(self, device: str = "auto") -> None:
        """`device` is where the model will run; more than one process is there only when a launcher says so."""
        self.count, self.rank = 1, 0
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            from accelerate import PartialState

            state = PartialState(cpu=device == "cpu" or not torch.cuda.is_available())
            self.count, self.rank = state.num_processes, state.process_index

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, work: Sequence[T]) -> list[T]:
        """Every `count`-th piece of the work, from `rank` on."""
        return list(work[self.rank :: self.count])

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes; the tensor itself where there is one."""
        if self.count == 1:
            return tensor
        from accelerate import PartialState
        from accelerate.utils import reduce

        total: Tensor = reduce(tensor.to(PartialState().device), reduction="sum")
        return total.to(tensor.device)

    def add_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Give every process the sum of all gradients; a parameter without one counts as zero."""
        if self.count == 1:
            return
        chosen = list(parameters)
        parts = [torch.zeros_like(parameter) if parameter.grad is None else parameter.grad for parameter in chosen]
        whole = self.total(torch.cat([part.reshape(-1) for part in parts]))
        for parameter, part in zip(chosen, torch.split(whole, [part.numel() for part in parts]), strict=True):
            parameter.grad = part.view_as(parameter).clone()

    def wait(self) -> None:
        """Return when every process is here; there is nothing to add up after that."""
        if self.count > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()
            PartialState().destroy_process_group()
