import numpy as np
import pytest

from bench.product.page_speed import SHARED, bench_home, memory_rows


def test_memory_is_held_against_that_after_five_visits():
    level, most = memory_rows(np.array([1.0, 1.5, 1.8, 2.0, 2.0, 2.1, 2.1]))
    assert (level.value, level.met) == (pytest.approx(2.1 / 2.0), True)
    assert (most.value, most.met) == (2.1, True)
    growing, _ = memory_rows(np.linspace(1.0, 3.1, 50))
    assert growing.met is False


def test_the_benchs_folder_shares_the_material_and_nothing_else(tmp_path, monkeypatch):
    real = tmp_path / "real"
    (real / "models" / "m").mkdir(parents=True)
    (real / "results").mkdir()
    monkeypatch.setenv("DEMOLENS_HOME", str(real))
    for _ in range(2):
        folder = bench_home(tmp_path / "bench")
        assert sorted(path.name for path in folder.iterdir()) == sorted(SHARED)
        assert (folder / "models" / "m").is_dir()
    assert (real / "models" / "m").is_dir()
