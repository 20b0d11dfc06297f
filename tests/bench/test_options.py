import subprocess
import sys

import pytest

from bench.__main__ import ON_DATA, _parts, _positive
from bench.results_table import PARTS


def test_every_part_is_a_row():
    from bench.parts import ON_FOLDERS, ON_SAMPLE

    assert tuple(ON_SAMPLE) == PARTS
    assert tuple(ON_FOLDERS) == ON_DATA
    assert set(ON_DATA) < set(PARTS)


def test_parts_in_any_order():
    assert _parts("app, speed") == ("app", "speed")


@pytest.mark.parametrize("words", [["--part", "gpu"], ["--part", ""], ["--cases", "0"], ["--cases", "many"]])
def test_wrong_options_are_one_sentence_and_status_2(words):
    found = subprocess.run([sys.executable, "-m", "bench", *words], capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "expected" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_number_of_cases():
    assert _positive("5") == 5


@pytest.mark.parametrize("words", [["--data", "here"], ["--part", "recicl,lrgd", "--data", "here"]])
def test_other_data_go_with_one_part_alone(words):
    found = subprocess.run([sys.executable, "-m", "bench", *words], capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "expected with one part alone, of faithfulness, lrgd" in found.stderr
    assert "Traceback" not in found.stderr
