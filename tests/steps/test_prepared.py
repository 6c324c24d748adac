"""What is said of a corpus at the end of its run."""

import pytest

from audioprep.steps.prepared import _window_hint, duration_text, prepared_lines


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
    assert said == ["lengths", "audio", "features", "split", "card", "audit"]


def test_a_window_that_does_not_suit_is_said_with_what_to_do():
    (line,) = _window_hint("birds", "grouped-5fold", 5.0, 1.234, in_project=True)
    assert line == (
        "  window    5 s; most recordings are under half the window, the rest is padding: set recipes.birds.window_s in "
        "params.yaml, and run this again"
    )
    (line,) = _window_hint("birds", "grouped-5fold", 5.0, 11.0, in_project=False)
    assert (
        "longer than the window, and cut to it: write a ./params.yaml with recipes: {birds: {recipe: folder, " in line
    )
    assert "window_s: 11, split: grouped-5fold}}" in line
    assert not list(_window_hint("birds", "grouped-5fold", 5.0, 4.0, in_project=True))
