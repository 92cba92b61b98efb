import json

import pytest

from benchmarks import scoring

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # a dozen runs of the real command


def test_a_short_run_measures_everything_and_finds_the_same_tables(tmp_path, capsys):
    assert scoring.main(["--short", "--json", str(tmp_path / "figures.json")]) == 0
    stages = json.loads((tmp_path / "figures.json").read_text())["stages"]
    assert list(stages) == ["speed", "memory", "kills"]
    figures = {figure["key"]: figure for stage in stages.values() for figure in stage["figures"]}
    assert figures["scoring_differ"]["value"] == figures["scoring_kills"]["value"] == 0
    assert figures["scoring_two"]["value"] > 0
    assert figures["scoring_two"]["bar"] == 100
    assert figures["scoring_scaling"]["bar"] == 170
    assert figures["scoring_growth_first"]["bar"] == figures["scoring_growth_largest"]["bar"] == 10
    assert 30 < figures["scoring_memory_60_first"]["value"] < 400
    out = capsys.readouterr().out
    assert "photos a second, two processes" in out
    assert "tables that differ after 1 kills" in out


def test_photos_that_are_not_there_get_one_sentence(tmp_path, capsys):
    assert scoring.main(["--short", "--photos", str(tmp_path / "nothing.zip")]) == 2
    assert "not a readable zip of photos; check --photos" in capsys.readouterr().err
