"""SASRec (arXiv 1808.09781): the next item by the order of the items that a user liked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.data.dataset import Dataset
from core.errors import RequestError
from core.seeds import seed_of
from core.tuning.classical.references import TrainingRows, best_number, training_rows
from core.tuning.examples import Window

REDRAWS = 20
"""How often a negative that the user has met is drawn again before it is accepted."""
PATIENCE = 5
"""Epochs without a better validation before the search for their number ends."""
PIECES = 1_024
"""Sequences that are judged at once."""


@dataclass(frozen=True)
class Shape:
    """Size and training of the network."""

    width: int = 50
    """Numbers per item (the paper's d)."""
    blocks: int = 2
    length: int = 50
    """Latest items that are read (the paper's n)."""
    dropout: float = 0.2
    rate: float = 1e-3
    """Learning rate of Adam."""
    batch: int = 128
    """Sequences per step."""
    epochs: int = 40
    """Passes over the sequences; the most when their number is chosen by validation."""


@dataclass(frozen=True)
class Sequences:
    """Pieces of the users' sequences, filled up with 0 at the end; arrays have shape (pieces, length)."""

    inputs: NDArray[np.int64]
    """Item number plus 1."""
    targets: NDArray[np.int64]
    """What came next after each input; 0 where nothing did."""
    late: NDArray[np.bool_]
    """Whether the target lies in the latest tenth of the window (`TrainingRows.recent`)."""
    user: NDArray[np.int64]
    """(pieces,)"""
    met: NDArray[np.int64]
    """Sorted `user * (items + 1) + item + 1` of every interaction, liked or not."""
    items: int


class Network(nn.Module):
    """Item and place embeddings, blocks of causal self-attention, and a last norm.

    Each block is `x + Dropout(g(LayerNorm(x)))` for attention and then for a feed-forward layer of the same width, as
    in the paper; PyTorch's attention has one more linear map at its end. Sequences begin at place 0 and are filled up
    behind, which causal attention never sees.
    """

    def __init__(self, items: int, shape: Shape) -> None:
        super().__init__()
        self.item = nn.Embedding(items + 1, shape.width, padding_idx=0)
        self.place = nn.Embedding(shape.length, shape.width)
        self.dropout = nn.Dropout(shape.dropout)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                shape.width, 1, shape.width, shape.dropout, activation="relu", batch_first=True, norm_first=True
            )
            for _ in range(shape.blocks)
        )
        self.norm = nn.LayerNorm(shape.width)
        for embedding in (self.item, self.place):
            nn.init.xavier_normal_(embedding.weight)
        with torch.no_grad():
            self.item.weight[0] = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """State after each input; (sequences, length) -> (sequences, length, width)."""
        length = inputs.shape[1]
        scale = self.item.embedding_dim**0.5
        states = self.dropout(self.item(inputs) * scale + self.place.weight[:length])
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        for block in self.blocks:
            states = block(states, src_mask=later)
        return torch.as_tensor(self.norm(states))


@dataclass(frozen=True)
class SasRec:
    """A trained network with the ids of its items: a `Reference`."""

    name: str
    needs: str
    network: Network
    items: Mapping[str, int]
    length: int

    def scores(self, user_id: str, history: Sequence[str], item_ids: Sequence[str]) -> NDArray[np.float64]:  # noqa: ARG002
        """Log-odds that the item comes next, against a random one; (items,).

        An unknown item is left out of the history and scores 0; a history without any known item gives 0 for all.
        """
        met = [self.items[item] + 1 for item in history if item in self.items][-self.length :]
        if not met:
            return np.zeros(len(item_ids))
        numbers = torch.tensor([self.items.get(item, -1) + 1 for item in item_ids], dtype=torch.long)
        with torch.inference_mode():
            state = self.network(torch.tensor([met]))[0, -1]
            return np.asarray((self.network.item(numbers) @ state).double().numpy())


def sasrec(dataset: Dataset, window: Window, seed: int = 0, shape: Shape | None = None) -> SasRec:
    """SASRec trained on the window's liked interactions in their order (all of them in data without ratings).

    The number of epochs is the best on the targets in the latest tenth of the window, by how often the next item
    scores above a random one; the whole window is then learned for as many. Runs on the CPU.
    Raises `RequestError` when no user liked two items there, and as `seen` does.
    """
    shape = shape or Shape()
    rows = training_rows(dataset, window)
    sequences = sequences_of(rows, shape.length)
    number = seed_of("sasrec", dataset.dataset_id, window.since, window.until, seed)
    epochs, how = best_epoch(sequences, shape, number)
    network = train_network(sequences, shape, number, epochs)
    needs = (
        f"the order of {int(rows.liked.sum()):,} liked training interactions; width {shape.width}, "
        f"{shape.blocks} blocks, latest {shape.length} items, {epochs} epochs, {how}"
    )
    return SasRec("SASRec", needs, network, rows.item_places, shape.length)


def sequences_of(rows: TrainingRows, length: int) -> Sequences:
    """Every user's liked items in order, parted from the end into pieces of at most `length` steps.

    Raises `RequestError` when no user has two.
    """
    user, item, late = rows.user[rows.liked], rows.item[rows.liked] + 1, rows.recent[rows.liked]
    pieces = []
    for start, end in _runs(user):
        pieces += [(max(start, stop - length), stop) for stop in range(end - 1, start, -length)]
    if not pieces:
        raise RequestError("no user liked two items in the training window", expected="a longer training window")
    inputs, targets = (np.zeros((len(pieces), length), dtype=np.int64) for _ in range(2))
    after = np.zeros((len(pieces), length), dtype=bool)
    for place, (start, stop) in enumerate(pieces):
        size = stop - start
        inputs[place, :size] = item[start:stop]
        targets[place, :size] = item[start + 1 : stop + 1]
        after[place, :size] = late[start + 1 : stop + 1]
    items = len(rows.items)
    met = np.unique(rows.user * (items + 1) + rows.item + 1)
    return Sequences(inputs, targets, after, user[[start for start, _ in pieces]], met, items)


def best_epoch(sequences: Sequences, shape: Shape, seed: int) -> tuple[int, str]:
    """How many epochs are best on the late targets when the others are learned, and how that was chosen, in words."""
    late = sequences.late & (sequences.targets > 0)
    if not late.any() or not ((sequences.targets > 0) & ~late).any():
        return shape.epochs, "not validated, as there are too few"
    some = np.flatnonzero(late.any(axis=1))
    negatives = _negatives(np.random.default_rng(seed), sequences, some)
    networks = islice(_epochs(sequences, shape, seed, ~late), shape.epochs)
    values = (_pairs_won(network, sequences, some, late, negatives) for network in networks)
    best, reached = best_number(values, PATIENCE)
    return best, f"where the next item beats a random one in {reached:.3f} of the latest tenth"


def train_network(sequences: Sequences, shape: Shape, seed: int, epochs: int) -> Network:
    """The network after `epochs` passes over all sequences, in evaluation mode."""
    steps = _epochs(sequences, shape, seed, sequences.targets > 0)
    network = next(steps)
    for _ in range(epochs - 1):
        network = next(steps)
    return network.eval()


def _epochs(sequences: Sequences, shape: Shape, seed: int, used: NDArray[np.bool_]) -> Iterator[Network]:
    """Train on the `used` targets, without end, and hand out the network after each epoch, in evaluation mode.

    Binary cross entropy of each target against one item that the user never met, drawn anew in every epoch.
    torch's own random numbers are put back after each epoch.
    """
    random = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(sequences.items, shape)
    adam = torch.optim.Adam(network.parameters(), lr=shape.rate, betas=(0.9, 0.98))
    pieces = np.flatnonzero((used & (sequences.targets > 0)).any(axis=1))
    while True:
        order = random.permutation(pieces)
        network.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(random.integers(2**62)))
            for batch in np.split(order, range(shape.batch, len(order), shape.batch)):
                adam.zero_grad()
                _loss(network, sequences, batch, used, random).backward()  # type: ignore[no-untyped-call]
                adam.step()
        yield network.eval()


def _loss(
    network: Network,
    sequences: Sequences,
    batch: NDArray[np.int64],
    used: NDArray[np.bool_],
    random: np.random.Generator,
) -> torch.Tensor:
    negatives = _negatives(random, sequences, batch)
    there = sequences.targets[batch] > 0
    size = int(there.sum(axis=1).max())
    counted = (used[batch] & there)[:, :size]
    target_logits, negative_logits = _logits(network, sequences, batch, counted, negatives)
    return -(nn.functional.logsigmoid(target_logits) + nn.functional.logsigmoid(-negative_logits)).mean()


def _pairs_won(
    network: Network,
    sequences: Sequences,
    some: NDArray[np.int64],
    late: NDArray[np.bool_],
    negatives: NDArray[np.int64],
) -> float:
    """How often a late target of the pieces `some` scores above its negative, ties half."""
    margins = []
    with torch.inference_mode():
        for part in np.split(np.arange(len(some)), range(PIECES, len(some), PIECES)):
            batch, counted = some[part], late[some[part]]
            target_logits, negative_logits = _logits(network, sequences, batch, counted, negatives[part])
            margins.append((target_logits - negative_logits).sign())
    return float((1 + torch.cat(margins).mean()) / 2)


def _logits(
    network: Network,
    sequences: Sequences,
    batch: NDArray[np.int64],
    counted: NDArray[np.bool_],
    negatives: NDArray[np.int64],
) -> list[torch.Tensor]:
    """Log-odds of the batch's targets and of its negatives where `counted` [piece, place]; (places,) each."""
    size = counted.shape[1]
    states = network(torch.from_numpy(sequences.inputs[batch, :size]))[torch.from_numpy(counted)]
    pairs = (ids[:, :size][counted] for ids in (sequences.targets[batch], negatives))
    return [(states * network.item(torch.from_numpy(ids))).sum(dim=1) for ids in pairs]


def _negatives(random: np.random.Generator, sequences: Sequences, batch: NDArray[np.int64]) -> NDArray[np.int64]:
    """One item per place that the piece's user never met, uniformly; shape (len(batch), length)."""
    shape = (len(batch), sequences.inputs.shape[1])
    base = np.broadcast_to(sequences.user[batch, None] * (sequences.items + 1), shape)
    drawn = random.integers(1, sequences.items + 1, size=shape)
    for _ in range(REDRAWS):
        place = np.searchsorted(sequences.met, base + drawn)
        clash = sequences.met[np.minimum(place, len(sequences.met) - 1)] == base + drawn
        if not clash.any():
            break
        drawn[clash] = random.integers(1, sequences.items + 1, size=int(clash.sum()))
    return drawn


def _runs(numbers: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Half-open range of places of each run of equal numbers."""
    ends = np.flatnonzero(np.diff(numbers, append=-1)) + 1
    return list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)) if len(numbers) else []
