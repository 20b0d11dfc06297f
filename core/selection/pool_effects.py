"""Embeddings and label-free effects of a pool by the model, each demonstration encoded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from core.analysis.quality.pool import embeddings, label_free
from core.analysis.setting import Setting
from core.analysis.subject import items_of
from core.data.records import Demonstration
from core.lm.scoring.encoded import Encoded
from core.metrics.intervals import Floats
from core.prompt.spans import Prompt


class PoolEncoder:
    """A pool encoded behind the instruction, unless that may run more than `most_tokens`; 0 leaves it out silently.

    `between` is called before every pass and may raise `Cancelled`.
    """

    def __init__(
        self, setting: Setting, demos: Sequence[Demonstration], *, most_tokens: int, between: Callable[[], None]
    ) -> None:
        self._demos = len(demos)
        self.notices: tuple[str, ...] = ()
        """Why the pool is not encoded, or what a reader should know of how it was."""
        self._encoded: Encoded | None = None
        if not most_tokens:
            return
        alone = [prompt_with(setting, (demo,)).demos for demo in demos]
        if not all(alone):
            self.notices = ("The pool is not encoded: a demonstration is too long for the model's context.",)
            return
        spans = [spans_of_demo[0].token_ids for spans_of_demo in alone]
        bare = prompt_with(setting, ())
        encoded = Encoded(setting.model, bare.instruction.token_ids, [*spans, bare.query.token_ids], between=between)
        if encoded.each_once > most_tokens:
            reason = f"it may run {encoded.each_once} tokens, and {most_tokens} are half the budget"
            self.notices = (f"The pool is not encoded: {reason}.",)
        else:
            self._encoded = encoded

    @property
    def tokens_run(self) -> int:
        """Tokens that went through the model; what the disk held is free."""
        return 0 if self._encoded is None else self._encoded.tokens_run

    def embeddings(self) -> Floats | None:
        """Directions [demo + 1, width], the user's query last; None where the pool is not encoded."""
        if self._encoded is None:
            return None
        directions = np.asarray(embeddings(self._encoded), dtype=np.float64)
        self.notices = self._encoded.notices
        return directions

    def effects(self) -> Floats | None:
        """ln |dW_k|^2 [demo]; None where the pool is not encoded."""
        if self._encoded is None:
            return None
        return label_free(self._encoded).effect[: self._demos]


def prompt_with(setting: Setting, demos: Sequence[Demonstration]) -> Prompt:
    """The case's prompt with these demonstrations in place of its own."""
    demos = tuple(demos)
    return setting.write(setting.case, demos, items=items_of(setting.dataset, setting.case, demos))
