"""A loaded model as a reader of items and choices, for strategies whose demonstrations it picks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.data.dataset import Dataset
from core.data.model_reader import ModelVectors
from core.data.records import Case, Demonstration, Interaction, Item
from core.lm.loading.load import LanguageModel
from core.lm.reading.vector_store import remembered_head_gradients, remembered_text_vectors
from core.lm.scoring.sweep import Cost
from core.prompt.spans import Prompt
from core.prompt.titles import prompt_title

WritePrompt = Callable[[Case, dict[str, Item]], Prompt]
"""The prompt of a case without demonstrations, every interaction of whose history is liked."""


class PromptReader:
    """Implements `ModelReader` with one model under the choices of one question.

    `cost` counts what is run; `between` is called before every pass and may raise `Cancelled`. What was read is not
    read again (see `VectorStore`).
    """

    def __init__(
        self,
        dataset: Dataset,
        model: LanguageModel,
        write: WritePrompt,
        *,
        cost: Cost | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self._dataset, self._model, self._write, self._between = dataset, model, write, between
        self.cost = Cost() if cost is None else cost
        self.notices: tuple[str, ...] = ()
        """What a reader of the report should know, such as a disk that cannot be written."""

    def item_vectors(self, item_ids: Sequence[str]) -> ModelVectors:
        """Mean last hidden state of each item's title and categories, [item, hidden]; see `text_vectors`."""
        items = self._dataset.items(dict.fromkeys(item_ids))
        vectors, self.notices = remembered_text_vectors(
            self._model,
            [_text(items[item_id]) for item_id in item_ids],
            dataset_id=self._dataset.dataset_id,
            cue=f"{prompt_title(self._dataset.noun).capitalize()}:",
            cost=self.cost,
            between=self._between,
        )
        return vectors

    def choice_gradients(self, choices: Sequence[Demonstration]) -> ModelVectors:
        """Gradient of the log-probability of each choice in a prompt without demonstrations; see `head_gradients`."""
        prompts = [self._prompt(choice) for choice in choices]
        gradients, self.notices = remembered_head_gradients(
            self._model,
            prompts,
            [choice.liked for choice in choices],
            dataset_id=self._dataset.dataset_id,
            cost=self.cost,
            between=self._between,
        )
        return gradients

    def _prompt(self, choice: Demonstration) -> Prompt:
        history = tuple(Interaction(item_id, place) for place, item_id in enumerate(choice.history))
        dataset_id = self._dataset.dataset_id
        case = Case(dataset_id, choice.user_id, "last", history, (choice.item_id,), None, None, seed=0)
        return self._write(case, self._dataset.items(dict.fromkeys((*choice.history, choice.item_id))))


def _text(item: Item) -> str:
    """Title and categories as text."""
    return prompt_title(". ".join(filter(None, (item.title, ", ".join(item.categories)))))
