"""Every supported kind of attention as a pair: the untouched network, and its copy behind our attention."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from references import Pair, language_model

from core.data.dataset import Dataset, open_dataset
from core.lm.loading.load import LanguageModel

OpenPlanets = Callable[..., AbstractContextManager[Dataset]]


@pytest.fixture(scope="session", params=["tiny_llama", "tiny_qwen3", "tiny_gemma2", "tiny_gemma3"])
def pair(request: pytest.FixtureRequest) -> Pair:
    network = request.getfixturevalue(request.param)
    reference = copy.deepcopy(network)
    reference.set_attn_implementation("eager")
    return Pair(reference, language_model(copy.deepcopy(network)))


@pytest.fixture(scope="session")
def exact(tiny_llama: Any) -> LanguageModel:
    """A Llama in double precision, for finite differences."""
    return language_model(copy.deepcopy(tiny_llama).double())


@pytest.fixture(scope="session")
def planets_of(tmp_path_factory: pytest.TempPathFactory) -> OpenPlanets:
    """Open a small data set: each user, with a shift, has met eight of the titled items, the last one at moment 80."""

    @contextmanager
    def opened(users: Mapping[str, int], titles: Sequence[str], *, step: int = 1) -> Iterator[Dataset]:
        folder = tmp_path_factory.mktemp("data") / "planets"
        folder.mkdir()
        rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
        for user, shift in users.items():
            met = [(place, (place + shift) % len(titles), 5 - step * (place % 3)) for place in range(8)]
            rows += [f"{user}\t{item}\t{rating}\t{10 * (place + 1) + shift}" for place, item, rating in met]
        (folder / "planets.inter").write_text("\n".join(rows) + "\n")
        items = ["item_id:token\tplanet_title:token_seq", *(f"{n}\t{title}" for n, title in enumerate(titles))]
        (folder / "planets.item").write_text("\n".join(items) + "\n")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DEMOLENS_HOME", str(tmp_path_factory.mktemp("home")))
            dataset = open_dataset(str(folder))
            yield dataset
            dataset.close()

    return opened
