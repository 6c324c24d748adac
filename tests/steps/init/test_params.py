"""New parameters in a file that the user has changed."""

import pytest
from import_closure import ROOT
from ruamel.yaml import YAML

from audioprep.config.data import load_data_params
from audioprep.steps.init.params import completed

FRAMED = ("logmel", "mfcc", "spectrogram", "chroma", "descriptors")
FULL = (ROOT / "params.yaml").read_text(encoding="utf-8")


def without(*starts):
    return "".join(line for line in FULL.splitlines(keepends=True) if not line.startswith(starts))


def test_a_complete_file_stays_as_it_is():
    mine = FULL.replace("mode: lufs  ", "mode: 'off'   ")
    assert completed(mine, FULL) == (mine, [])


@pytest.mark.parametrize(
    ("text", "added"),
    [
        (without("  margin_s"), ["trim.margin_s"]),
        (without("  mode"), ["loudness.mode", "trim.mode", "denoise.mode"]),
        (without("ray:", "  address:"), ["ray"]),
        (without("    win_ms"), [f"features.{kind}.win_ms" for kind in FRAMED]),
    ],
)
def test_missing_keys_come_with_their_comments_to_their_place(text, added):
    new, found = completed(text, FULL)
    assert found == added
    assert new == FULL


def test_a_last_key_comes_before_the_blank_line():
    new, added = completed(without("  exclude:"), FULL)
    assert added == ["trim.exclude"]
    assert sorted(new.splitlines()) == sorted(FULL.splitlines())
    assert "wrap\n\nwindow:" in new


def test_every_corpus_gets_new_rules_without_a_value():
    new, added = completed(without("    archive:", "    fit_on:"), FULL)
    assert added == ["recipes.demo.archive", "recipes.demo.fit_on", "recipes.esc50.archive", "recipes.esc50.fit_on"]
    assert YAML(typ="safe").load(new)["recipes"]["esc50"]["fit_on"] is None


def test_short_forms_are_kept(tmp_path):
    mine = "datasets: [x]\nrecipes:\n  x: {recipe: demo, window_s: 1, split: a}\nresample: {rate_hz: 8000}\ntrim:\n"
    new, _ = completed(mine, FULL)
    (tmp_path / "params.yaml").write_text(new)
    params = load_data_params(tmp_path / "params.yaml")
    assert (params.datasets, params.resample.rate_hz, params.recipes["x"].window_s) == (("x",), 8000, 1.0)
    assert completed(new, FULL) == (new, [])
