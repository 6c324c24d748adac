"""Lines, tables, and progress that appears only when there is something to wait for."""

import io
import itertools
from pathlib import Path

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
    assert list(console.track(iter(range(5)), "count", 5, "shard")) == [0, 1, 2, 3, 4]


def test_fast_work_shows_nothing(capsys):
    list(console.track(range(5), "count", 5))
    assert capsys.readouterr() == ("", "")


def test_slow_work_without_a_terminal_says_a_line_now_and_then(capsys, monkeypatch):
    clock = itertools.count(0, 3)  # every look at the clock is three seconds later
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    list(console.track(range(6), "count", 6))
    assert capsys.readouterr().err.splitlines()[:2] == ["count: 1 of 6", "count: 5 of 6"]
    list(console.track(range(6), "count", 6, "shard"))
    assert capsys.readouterr().err.splitlines()[0] == "count: shard 1 of 6"


def test_a_note_is_said_with_the_time_left(capsys, monkeypatch):
    clock = itertools.count(0, 3)
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    list(console.track(range(6), "train", 6, "epoch", lambda item: f"loss [{item}]"))
    lines = ["train: epoch 1 of 6, loss [0]", "train: epoch 5 of 6, loss [4], 0:00:03 left"]
    assert capsys.readouterr().err.splitlines() == lines


def test_a_note_stands_beside_the_bar(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(console, "Console", lambda **_: Console(file=out, force_terminal=True, width=160))
    monkeypatch.setattr(console, "QUIET_S", -1.0)
    list(console.track(range(6), "train", 6, "epoch", lambda item: f"loss [{item}]"))
    assert "loss [5]" in out.getvalue()


A, B = Path("there/a.zip"), Path("there/b[1].zip")


@pytest.fixture
def clock(monkeypatch):
    """Return the time by list, in seconds; it stands still until a test moves it."""
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(("num_bytes", "text"), [(1, "1 byte"), (999, "999 bytes"), (1_500_000_000, "1.5 GB")])
def test_sizes_for_people(num_bytes, text):
    assert console.size_text(num_bytes) == text


@pytest.mark.parametrize("is_terminal", [False, True])
def test_fast_bytes_show_nothing(capsys, monkeypatch, is_terminal):
    out = io.StringIO()
    monkeypatch.setattr(console, "Console", lambda **_: Console(file=out, force_terminal=is_terminal))
    with console.track_bytes("downloading", {A: 100, B: None}) as progress:
        progress.begin(A, 0, 100)
        progress.advance(A, 100)
        progress.describe(A, "checking a.zip")
        progress.end(A)
    assert not any(word in out.getvalue() for word in ("downloading", "a.zip", "byte"))
    assert capsys.readouterr() == ("", "")


def test_slow_bytes_without_a_terminal_say_a_line_now_and_then(capsys, clock):
    with console.track_bytes("downloading", {A: 6_000_000, B: 14_000_000}) as progress:
        progress.begin(A, 4_000_000, 10_000_000)  # the first 4 MB are of an earlier run and count nowhere
        progress.begin(B, 0, 14_000_000)
        for now_s, num_bytes in ((101, 1_000_000), (104, 3_000_000), (110, 2_000_000), (115, 3_000_000)):
            clock[0] = float(now_s)
            progress.advance(B, num_bytes)
    assert capsys.readouterr().err.splitlines() == [
        "downloading: 4.0 MB of 20.0 MB, 1.0 MB/s, 0:00:16 left",
        "downloading: 9.0 MB of 20.0 MB, 454.5 kB/s, 0:00:24 left",
    ]


def test_the_total_follows_what_must_come_again_and_what_is_given_up(capsys, clock):
    with console.track_bytes("downloading", {A: 1000, B: None}) as progress:
        progress.begin(A, 0, 1000)
        clock[0] += 5
        progress.advance(A, 600)  # how long b is, nobody knows yet
        progress.begin(B, 0, 1000)
        progress.begin(A, 0, 1000)  # the server did not go on: 600 bytes came for nothing
        clock[0] += 20
        progress.advance(B, 500)
        progress.end(B)  # given up
        clock[0] += 20
        progress.advance(A, 1000)
    assert capsys.readouterr().err.splitlines() == [
        "downloading: 600 bytes, 120 bytes/s",
        "downloading: 1.1 kB of 2.6 kB, 25 bytes/s, 0:01:00 left",
        "downloading: 2.1 kB of 2.1 kB, 50 bytes/s, 0:00:00 left",
    ]


def test_slow_bytes_on_a_terminal_show_a_bar_a_file_and_one_for_all(monkeypatch, clock):
    out = io.StringIO()
    monkeypatch.setattr(console, "Console", lambda **_: Console(file=out, force_terminal=True, width=100))
    shown = []

    def look(progress):
        progress._progress.refresh()
        shown.append([line.split() for line in out.getvalue().splitlines()])
        out.truncate(0)

    with console.track_bytes("downloading", {A: 6_000_000, B: 14_000_000}) as progress:
        clock[0] += 3
        progress.begin(A, 4_000_000, 10_000_000)
        progress.advance(A, 1_000_000)
        progress.begin(B, 0, 14_000_000)
        progress.advance(B, 4_000_000)
        progress.describe(B, "checking b[1].zip")
        look(progress)
        progress.end(B)
        look(progress)
        progress.describe(B, "nothing")
        progress.advance(B, 1)
    text = [" ".join(" ".join(line) for line in lines) for lines in shown]
    assert all(part in text[0] for part in ("downloading", "5.0/20.0 MB", "a.zip", "5.0/10.0 MB", "checking b[1].zip"))
    assert "4.0/14.0 MB" in text[0]
    assert "checking" not in text[1].rsplit("downloading", 1)[1]


def test_one_file_on_a_terminal_needs_no_bar_for_all(monkeypatch, clock):
    out = io.StringIO()
    monkeypatch.setattr(console, "Console", lambda **_: Console(file=out, force_terminal=True, width=100))
    with console.track_bytes("downloading", {A: 10_000_000}) as progress:
        clock[0] += 3
        progress.begin(A, 0, 10_000_000)
        progress.advance(A, 5_000_000)
        progress._progress.refresh()
    assert "a.zip" in out.getvalue()
    assert "downloading" not in out.getvalue()


def test_one_is_no_plural():
    assert [console.counted(number, "fold") for number in (0, 1, 2)] == ["0 folds", "1 fold", "2 folds"]
