"""What a run learns from and how it is judged: single answers, or whole lists. A new loss is a class here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.data.dataset import Dataset
from core.lm.forward.rotation import turning_point
from core.metrics.binary import auc
from core.metrics.ranking import expected_ndcg
from core.prompt.families import FAMILIES, Family
from core.seeds import generator
from core.tuning.examples import Example
from core.tuning.list_examples import ListExample, with_candidates, with_demonstrations
from core.tuning.training.answer_loss import losses, micro_batches, query_results
from core.tuning.training.answer_tokens import EncodedPrompt
from core.tuning.training.batches import TrainingSet
from core.tuning.training.list_loss import (
    EncodedList,
    list_groups,
    list_losses,
    list_scores,
    ranking_loss,
    spread_share,
)
from core.tuning.training.training_settings import Loss, TuningSettings

TrainingPiece = TypeVar("TrainingPiece")
"""One prompt or one list, written out."""
BestMeasure = Literal["validation_auc", "validation_loss", "validation_ndcg"]
"""By which the best weights of a run are chosen."""
VALIDATION_CANDIDATES = 20
"""Candidates of a validation list: the item really liked next, and items drawn uniformly."""

EncodeAnswer = Callable[[Family, Example, Loss], EncodedPrompt]
EncodeList = Callable[[Family, ListExample], EncodedList]


class ValidationFigures(NamedTuple):
    """A validation, as a point of the curve holds it."""

    loss: float
    """Mean loss of the validation rows, in nats."""
    auc: float | None = None
    ndcg: float | None = None
    gain: float | None = None
    """NDCG minus that of the same lists without demonstrations."""
    attention: float | None = None
    effect: float | None = None

    @property
    def result(self) -> float:
        """Higher is better."""
        return next((value for value in (self.ndcg, self.auc) if value is not None), -self.loss)


class TrainingObjective(Protocol[TrainingPiece]):
    """The loss of a run, and its validation."""

    @property
    def figures(self) -> int:
        """Numbers that `results` gives of a validation row."""
        ...

    @property
    def validation(self) -> Sequence[TrainingPiece]:
        """The rows that the run is judged on; empty without validation."""
        ...

    def batch(self, step: int) -> list[TrainingPiece]:
        """What a step learns from, counted from 0."""
        ...

    def weight(self, piece: TrainingPiece) -> float:
        """What its loss is divided by, together with those of the whole batch."""
        ...

    def groups(self, network: Any, pieces: Sequence[TrainingPiece]) -> Iterator[list[TrainingPiece]]:
        """The pieces in portions that are run at once."""
        ...

    def loss(self, network: Any, group: Sequence[TrainingPiece]) -> Tensor:
        """Sum of the losses of a group, a scalar in nats."""
        ...

    def results(self, network: Any, group: Sequence[TrainingPiece]) -> NDArray[np.float64]:
        """Figures of each validation row, [figure, row]."""
        ...

    def judgement(self, results: NDArray[np.float64]) -> ValidationFigures:
        """The validation, from the figures of all rows."""
        ...


@dataclass(frozen=True)
class AnswerObjective:
    """Each answer or title on its own (RecICL, arXiv 2410.23136)."""

    examples: TrainingSet
    encode: EncodeAnswer
    validation: tuple[EncodedPrompt, ...]
    figures: int = 2

    def batch(self, step: int) -> list[EncodedPrompt]:
        """The prompts of a step."""
        loss = self.examples.settings.loss
        return [self.encode(family, example, loss) for family, example in self.examples.batch(step)]

    def weight(self, piece: EncodedPrompt) -> float:
        """The weights of its answers."""
        return float(piece.weights.sum())

    def groups(self, _network: Any, pieces: Sequence[EncodedPrompt]) -> Iterator[list[EncodedPrompt]]:
        """Prompts of about one length, padded to one batch."""
        return micro_batches(pieces, self.examples.settings.micro_tokens)

    def loss(self, network: Any, group: Sequence[EncodedPrompt]) -> Tensor:
        """Sum of the weighted cross entropies of all answers."""
        return losses(network, group, autocast=self.examples.settings.autocast).sum()

    def results(self, network: Any, group: Sequence[EncodedPrompt]) -> NDArray[np.float64]:
        """Score and loss of each query."""
        return np.stack(query_results(network, group, autocast=self.examples.settings.autocast))

    def judgement(self, results: NDArray[np.float64]) -> ValidationFigures:
        """AUC of the answers (None where only one occurs, or of titles), and their mean loss."""
        scores, wrong = results
        value = auc(scores, [prompt.liked for prompt in self.validation])
        judged = FAMILIES[self.examples.judged].labelled and math.isfinite(value)
        return ValidationFigures(float(wrong.mean()), auc=value if judged else None)


class ValidationList(NamedTuple):
    """A list with its demonstrations and without."""

    full: EncodedList
    bare: EncodedList


@dataclass(frozen=True)
class ListObjective:
    """The place of the item really liked next among candidates that are scored behind one prompt.

    The cross entropy of a softmax over a list is the loss of ListNet's top-one model (Cao et al. 2007).
    """

    examples: TrainingSet
    dataset: Dataset
    encode: EncodeList
    validation: tuple[ValidationList, ...]
    figures: int = 5

    @property
    def settings(self) -> TuningSettings:
        """The run's choices."""
        return self.examples.settings

    def batch(self, step: int) -> list[EncodedList]:
        """The lists of a step: candidates, demonstrations and the length of the own history are drawn by its number."""
        return [
            self.encode(family, self._drawn(family, place, example))
            for family, place, example in self.examples.rows(step)
        ]

    def weight(self, _piece: EncodedList | ValidationList) -> float:
        """Every list weighs the same."""
        return 1.0

    def groups(self, network: Any, pieces: Sequence[Any]) -> Iterator[list[Any]]:
        """Lists packed into one pass; validation lists one by one."""
        if pieces and isinstance(pieces[0], ValidationList):
            return ([piece] for piece in pieces)
        return list_groups(pieces, self.settings.micro_tokens, turning_point(network.config))

    def loss(self, network: Any, group: Sequence[EncodedList]) -> Tensor:
        """Sum of the losses of the lists."""
        settings = self.settings
        return list_losses(
            network,
            group,
            answer_weight=settings.answer_weight,
            temperature=settings.temperature,
            autocast=settings.autocast,
        ).sum()

    def results(self, network: Any, group: Sequence[ValidationList]) -> NDArray[np.float64]:
        """Loss, NDCG, NDCG without demonstrations, share of attention and of effect of each list."""
        return np.array([self._result(network, row) for row in group]).T

    def judgement(self, results: NDArray[np.float64]) -> ValidationFigures:
        """Means over the lists."""
        loss, with_demos, without, attention, effect = results.mean(axis=1).tolist()
        return ValidationFigures(loss, ndcg=with_demos, gain=with_demos - without, attention=attention, effect=effect)

    def _result(self, network: Any, row: ValidationList) -> tuple[float, ...]:
        autocast = self.settings.autocast
        full = list_scores(network, [row.full], autocast=autocast, look=True)
        bare = list_scores(network, [row.bare], autocast=autocast).scores[0].numpy()
        scores = full.scores[0].numpy()
        loss = float(ranking_loss(full.scores[0] / self.settings.temperature))
        assert full.attention is not None
        places = expected_ndcg(scores, 0), expected_ndcg(bare, 0)
        return loss, *places, full.attention, spread_share(scores, bare)

    def _drawn(self, family: Family, place: int, example: Example) -> ListExample:
        settings = self.settings
        random = generator(self.examples.dataset_id, "list", settings.seed, family, place)
        titles = len(example.history)
        if random.random() < settings.shorten:
            titles = int(random.integers(0, titles + 1))
        count = settings.demos
        if random.random() < settings.dropped:
            count = int(random.integers(0, count + 1))
        strategy = settings.strategies[int(random.integers(len(settings.strategies)))]
        picked = with_demonstrations(self.dataset, example, strategy, count=count, history=settings.history)
        return with_candidates(
            self.dataset,
            picked.with_titles(titles),
            count=settings.candidates,
            popular=settings.popular,
            random=random,
        )


def validation_list(settings: TuningSettings, dataset: Dataset, example: Example) -> tuple[ListExample, ListExample]:
    """A validation list with demonstrations of the first strategy, and without any; its other items are uniform."""
    random = generator(dataset.dataset_id, "validation list", settings.seed, example.user_id, example.position)
    bare = with_candidates(dataset, example, count=VALIDATION_CANDIDATES, popular=0.0, random=random)
    first, how = settings.strategies[0], {"count": settings.demos, "history": settings.history}
    return ListExample(with_demonstrations(dataset, example, first, **how), bare.candidates), bare
