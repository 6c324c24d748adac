"""Lines, tables, and progress that appears only when there is something to wait for."""

import itertools

import pytest
from rich.console import Console

from audioprep import console


def test_say_prints_the_line_as_it_stands(capsys):
    console.say("[red]50%[/red] é")
    assert capsys.readouterr().out == "[red]50%[/red] é\n"


def test_a_table_has_a_row_for_each_entry(capsys):
    console.show_table("Corpora", ("name", "clips"), [("demo", "240"), ("esc50", "2,000")])
    out = capsys.readouterr().out
    assert "Corpora" in out
    assert all(word in out for word in ("name", "clips", "demo", "240", "esc50", "2,000"))


@pytest.mark.parametrize("is_terminal", [False, True])
def test_track_passes_everything_through_in_order(monkeypatch, is_terminal):
    monkeypatch.setattr(console, "Console", lambda **given: Console(**given, force_terminal=is_terminal))
    assert list(console.track(iter(range(5)), "count", 5)) == [0, 1, 2, 3, 4]


def test_fast_work_shows_nothing(capsys):
    list(console.track(range(5), "count", 5))
    assert capsys.readouterr() == ("", "")


def test_slow_work_without_a_terminal_says_a_line_now_and_then(capsys, monkeypatch):
    clock = itertools.count(0, 3)  # every look at the clock is three seconds later
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    list(console.track(range(6), "count", 6))
    assert capsys.readouterr().err.splitlines()[:2] == ["count: 1 of 6", "count: 5 of 6"]
