"""Parts `strategies` and `picking` on small data: every control stands in the table, and a cut run goes on."""

import copy
import dataclasses

import pytest
from references import language_model

from bench import folder_cases
from bench.case_list import Bench
from bench.strategies import picking_part, strategies_part
from bench.strategies.strategies_part import CONTROLS, OTHERS, strategies

USERS = 7


@pytest.fixture
def plays(tiny_llama, tiny_tokenizer, write, tmp_path, monkeypatch):
    """Seven users with twelve choices and a given list each; the tiny network in both number formats."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEMOLENS_HOME", str(tmp_path / "home"))
    network = copy.deepcopy(tiny_llama)
    network.config.max_position_embeddings = 4096
    model = dataclasses.replace(language_model(network, tiny_tokenizer), context=4096)
    monkeypatch.setattr(strategies_part, "load", lambda *_, **__: dataclasses.replace(model, model_id="in bfloat16"))
    lists = "".join(f"u{user}\t{' '.join(map(str, range(40, 60)))}\n" for user in range(USERS))
    bench = folder_cases.bench_of_folder(
        Bench(model, None, 0), write(tmp_path / "plays", [12] * USERS, candidates=lists)
    )
    yield bench
    bench.dataset.close()


def test_every_control_stands_in_the_table_and_a_cut_run_goes_on(plays, tmp_path, capsys):
    first = next(strategies([plays], USERS, promised=False))
    assert any("(5 lists)" in row.measure for row in first)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("bench-cases-strategies/*.json")}
    assert before
    *_, rows = strategies([plays], USERS, promised=False)
    measures = [row.measure for row in rows]
    for strategy in (*OTHERS, *CONTROLS):
        label = f"{strategy} {strategies_part.USUAL} (7 lists), gain over none"
        assert any(label in measure for measure in measures), strategy
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert rows[0].value == 0  # the same network stands for both formats
    assert all(row.met is None for row in rows)
    assert "gain over none" in capsys.readouterr().out


def test_picking_times_stand_for_both_sizes(plays, monkeypatch):
    monkeypatch.setattr(picking_part, "ITEMS", 50)
    small, large = picking_part.picking(plays, 2, interactions=600)
    assert len(large) == 2 * len(small)
    assert "interactions of 120 users" in large[-1].measure
    assert [row.target for row in large if row.target] == [picking_part.SMALL, picking_part.LARGE]
