"""Which tokens of a prompt are read, and which are fine-tuned on: the demonstrations as samples, plain and shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.analysis.setting import Setting
from core.errors import PromptError
from core.prompt.families import ANSWERS, FAMILIES
from core.prompt.spans import Span
from core.prompt.titles import prompt_title


@dataclass(frozen=True)
class Sample:
    """One demonstration as one training sample: the instruction, then the demonstration."""

    token_ids: tuple[int, ...]
    answer: range
    """Places in `token_ids` of the answer's tokens (a title's, for `next_item`), whose loss is trained."""
    origin: tuple[int, ...]
    """For each token after the instruction, its number among all demonstration tokens of the prompt."""

    @property
    def start(self) -> int:
        """Tokens of the instruction."""
        return len(self.token_ids) - len(self.origin)


@dataclass(frozen=True)
class Material:
    """Token ids of a prompt, cut as the comparison needs them."""

    instruction: tuple[int, ...]
    demos: tuple[tuple[int, ...], ...]
    answers: tuple[range, ...]
    """Places of the answer's tokens inside each demonstration."""
    query: tuple[int, ...]
    """All tokens after the demonstrations, up to the one whose successor is scored."""

    @property
    def few_shot(self) -> tuple[int, ...]:
        """The prompt with its demonstrations."""
        return (*self.instruction, *(token for demo in self.demos for token in demo), *self.query)

    @property
    def zero_shot(self) -> tuple[int, ...]:
        """The prompt without them."""
        return (*self.instruction, *self.query)

    @property
    def context(self) -> slice:
        """Where the demonstrations stand in `few_shot`."""
        return slice(len(self.instruction), len(self.few_shot) - len(self.query))

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The demonstrations as training samples, in prompt order."""
        return tuple(self._sample(self._numbers(k), answer) for k, answer in enumerate(self.answers))

    def shuffled(self, rng: np.random.Generator) -> tuple[Sample, ...]:
        """The control: answers change places among the demonstrations, tokens before them stand in random order."""
        places = rng.permutation(len(self.demos))
        if np.array_equal(places, np.arange(len(places))):
            places = np.roll(places, 1)
        samples = []
        for k, source in enumerate(places.tolist()):
            tokens, other = self._numbers(k), self._numbers(source)
            before = rng.permutation(tokens[: self.answers[k].start]).tolist()
            answer = other[self.answers[source].start : self.answers[source].stop]
            origin = [*before, *answer, *tokens[self.answers[k].stop :]]
            samples.append(self._sample(origin, range(len(before), len(before) + len(answer))))
        return tuple(samples)

    def _numbers(self, demo: int) -> list[int]:
        """Numbers of a demonstration's tokens among those of all demonstrations."""
        first = sum(len(tokens) for tokens in self.demos[:demo])
        return list(range(first, first + len(self.demos[demo])))

    def _sample(self, origin: Sequence[int], answer: range) -> Sample:
        every = [token for tokens in self.demos for token in tokens]
        start = len(self.instruction)
        return Sample(
            token_ids=(*self.instruction, *(every[number] for number in origin)),
            answer=range(start + answer.start, start + answer.stop),
            origin=tuple(origin),
        )


def material_of(setting: Setting) -> Material:
    """The token ids of a case's prompt; raises `PromptError` when a demonstration's answer has no token of its own."""
    prompt, labelled = setting.prompt, FAMILIES[setting.spec.family].labelled
    demos = [setting.demos[index] for index in prompt.kept_demos]
    texts = [prompt_title(setting.items[demo.item_id].title) for demo in demos]
    if labelled:
        texts = [ANSWERS[0] if demo.liked else ANSWERS[1] for demo in demos]
    target, _ = setting.targets
    tail = prompt.candidates[target].token_ids if labelled else ()
    return Material(
        instruction=prompt.instruction.token_ids,
        demos=tuple(span.token_ids for span in prompt.demos),
        answers=tuple(answer_tokens(span, text) for span, text in zip(prompt.demos, texts, strict=True)),
        query=(*prompt.query.token_ids, *tail),
    )


def answer_tokens(span: Span, answer: str) -> range:
    """Places in the span of the tokens that write the last occurrence of `answer`."""
    start = span.text.rfind(answer)
    stop = start + len(answer)
    places = [place for place, (low, high) in enumerate(span.offsets) if low < stop and high > start >= 0]
    if not places:
        raise PromptError(f"a demonstration without a token for {answer[:60]!r}", expected="an answer to train on")
    return range(places[0], places[-1] + 1)
