"""How many prompts of the own corpus are cut right?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.own.cut_corpus import CutPrompt, corpus
from core.prompt.imported.calls import Call
from core.prompt.imported.segments import segments_of


@dataclass(frozen=True)
class CutShare:
    """How many prompts were cut right, and which were not."""

    right: int
    prompts: int
    wrong: tuple[str, ...]
    """Names of the prompts."""

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.right / self.prompts


def cut_share(prompts: Iterable[CutPrompt] | None = None) -> CutShare:
    """The share of prompts whose demonstrations are exactly the true ones, blank space around them aside.

    A prompt without demonstrations is right when none is proposed.
    """
    right, wrong = 0, []
    for prompt in corpus() if prompts is None else prompts:
        if cut_demos(prompt) == [demo.strip() for demo in prompt.demos]:
            right += 1
        else:
            wrong.append(prompt.name)
    return CutShare(right, right + len(wrong), tuple(wrong))


def cut_demos(prompt: CutPrompt) -> list[str]:
    """The proposed demonstrations of a prompt; those of a chat turn by turn."""
    segments = segments_of(Call(text=prompt.text, messages=prompt.messages))
    return [part.text.strip() for part in segments.parts if part.kind == "demo"]
