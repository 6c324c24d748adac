"""What is said of a corpus at the end of its run."""

import pytest

from audioprep.steps.prepared import _lengths, _window_hint, duration_text, prepared_lines


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(0.25, "0.2 s"), (18.0, "18.0 s"), (472.0, "7.9 min"), (10_080.0, "2.8 hours"), (7.2e6, "2,000.0 hours")],
)
def test_a_short_corpus_is_no_zero_hours(duration_s, text):
    assert duration_text(duration_s) == text


def test_a_corpus_is_said_to_be_what_it_is(prepared):
    lines = list(prepared_lines(prepared.layout, "grouped-5fold", ["logmel", "mfcc"]))
    assert lines[0].startswith(f"{prepared.layout.dataset}: 21 clips of ")
    said = [line.split()[0] for line in lines[1:]]
    assert said == ["lengths", "audio", "features", "split", "card", "groups", "audit"]


def test_a_window_that_does_not_suit_is_said_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (line,) = _window_hint("birds", "grouped-5fold", 5.0, [1.234], in_project=True)
    assert line == (
        "  window    5 s; most recordings are under half the window, the rest is padding: set recipes.birds.window_s to 1.2 "
        "in params.yaml, and run this again"
    )
    (line,) = _window_hint("birds", "grouped-5fold", 5.0, [11.0], in_project=True)
    assert (
        "set recipes.birds.window_s to 11 in params.yaml, or window.hop_s for windows all along them, and run" in line
    )
    (line,) = _window_hint("birds", "grouped-5fold", 5.0, [11.0], in_project=False)
    rule = "birds: {recipe: folder, window_s: 11, split: grouped-5fold}"
    assert f"longer than the window, and cut to it: write a ./params.yaml with recipes: {{{rule}}}, and run" in line
    (tmp_path / "params.yaml").touch()
    (line,) = _window_hint("birds", "grouped-5fold", 5.0, [11.0], in_project=False)
    assert f"cut to it: put into ./params.yaml under recipes: {rule}, and run" in line


@pytest.mark.parametrize(("window_s", "median_s"), [(5.0, 4.0), (5.0, 5.001), (5.0, 5.05), (3.0, 11.0), (4.0, 1.0)])
def test_a_window_that_suits_or_was_chosen_is_no_news(window_s, median_s):
    assert not list(_window_hint("birds", "grouped-5fold", window_s, [median_s], in_project=True))


def test_the_window_that_is_advised_holds_nearly_all_recordings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    durations_s = [0.4] * 60 + [0.8] * 38 + [70.0] * 2
    (line,) = _window_hint("words", "grouped-5fold", 5.0, durations_s, in_project=True)
    assert "set recipes.words.window_s to 0.8 in params.yaml" in line
    # Half of them are short, and the others are not: padding is the price.
    assert not list(_window_hint("words", "grouped-5fold", 5.0, [0.4] * 60 + [9.0] * 40, in_project=True))


def test_it_is_said_how_many_recordings_are_cut():
    assert _lengths([5.0, 5.0], 5.0, None) == "all 5.0 s"
    assert _lengths([4.0, 5.0, 5.04, 7.0], 5.0, None) == "4.0 to 7.0 s, median 5.0 s; 1 of 4 are longer than the window"
    assert _lengths([7.0, 7.0], 5.0, None) == "all 7.0 s; 2 of 2 are longer than the window"
    assert _lengths([7.0, 7.0], 5.0, 2.5) == "all 7.0 s"
