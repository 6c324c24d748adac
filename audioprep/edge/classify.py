"""The command line of a bundle: `classify.py` in one, and `audioprep predict`."""

import argparse
import io
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from audioprep.dsp.arrays import Wave
from audioprep.dsp.decide import is_silent
from audioprep.dsp.levels import peak_db
from audioprep.edge.batch import for_each, table
from audioprep.edge.devices import microphones
from audioprep.edge.events import events_of
from audioprep.edge.front import Front
from audioprep.edge.microphone import Microphone, Playback, Source
from audioprep.edge.predict import Predictor, Ranked
from audioprep.edge.record import DEFAULT_LOG_MB, QUIET, SILENT, Record
from audioprep.edge.stream import SILENCE, Heard, hear
from audioprep.edge.terminal import listen
from audioprep.errors import AudioError, ConfigError, DeviceError, one_line_errors
from audioprep.io.audio import DECODED_SUFFIXES
from audioprep.io.bundle import Bundle, read_bundle

_NUM_TOP, _NUM_LIVE = 3, 2  # classes on a line
_LIVE_HOP_S = 0.5
_LEAST_HOP_S = 0.01
_QUIET_DB = -60.0


def main(
    argv: Sequence[str] | None = None,
    program: str = "classify.py",
    folder: Path | None = None,
    front_of: Callable[[Bundle], Front | None] | None = None,
) -> None:
    """Run the command line.

    Args:
        argv: Arguments; None are those of the process.
        program: What the command is called in its help.
        folder: The bundle to use where none is named; None: one has to be.
        front_of: Return what makes features for a bundle whose features need more than numpy.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # whatever a file is called
    with one_line_errors(stopped="stopped"):
        asked = _asked(_parser(program, folder), argv)
        bundle = read_bundle(asked.model)
        bundle.check()
        predictor = Predictor(bundle, front_of(bundle) if front_of else None, asked.precision, asked.threads)
        with Record(asked.log, bundle.id, predictor.front.rate_hz, asked.log_mb) as record:
            if asked.window:
                _show_window(predictor, record, asked)
            elif asked.microphone is not None:
                _listen(predictor, record, asked)
            elif asked.events:
                _write_events(predictor, record, asked)
            else:
                _write_classes(predictor, record, asked)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with one line, without the usage before it."""
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def _parser(program: str, folder: Path | None) -> argparse.ArgumentParser:
    parser = _Parser(program, description="Classify sound with an exported bundle.")
    add = parser.add_argument
    add("files", nargs="*", type=_path, help="audio files, or folders of them")
    add("--model", type=Path, required=folder is None, default=folder, help="the bundle's folder")
    add("--top", type=_within(int, 1, 1e6), metavar="K", help="how many classes to print (3, live 2)")
    add("--csv", type=_path, metavar="FILE", help="write a table: a row a file, or with --events a row an event")
    add("--events", action="store_true", help="say when which class sounds in recordings longer than the window")
    add(
        "--threshold",
        type=_within(float, 0, 1),
        default=0.5,
        metavar="P",
        help="of --events, of one class at a time: from which probability (0.5)",
    )
    add(
        "--microphone",
        nargs="?",
        const="",
        metavar="DEVICE",
        help="say what a microphone hears, until Ctrl-C: the system's own, or by number or name; a file is played as if it "
        "were one; needs sounddevice, on Linux also `apt install libportaudio2`",
    )
    add("--list-devices", action=_ListDevices, help="list the microphones, and end")
    add("--window", action="store_true", help="open a window that records, plays, and shows what is heard")
    add("--fast", action="store_true", help="of --microphone FILE: do not take the time that the file takes")
    add(
        "--hop-s",
        type=_within(float, _LEAST_HOP_S, 3600),
        metavar="S",
        help="a window every so often (half of one, live 0.5 or less)",
    )
    add("--smooth", type=_within(int, 1, 1000), default=1, metavar="N", help="live and --events: mean of N windows (1)")
    add(
        "--quiet-db",
        type=_within(float, -200, 0),
        metavar="DB",
        help="live and --events: what is below is silence (live -60)",
    )
    add("--log", type=_path, metavar="FILE", help="add a line to a rolling record, for `audioprep monitor FILE`")
    add(
        "--log-mb",
        type=_within(float, 1e-3, 1e6),
        default=DEFAULT_LOG_MB,
        metavar="MB",
        help=f"of --log: how large the file becomes before a new one begins ({DEFAULT_LOG_MB:g})",
    )
    add("--precision", choices=("int8", "fp32"), default="int8", help="which network")
    add(
        "--threads",
        type=_within(int, 1, os.cpu_count() or 1),
        default=1,
        metavar="N",
        help="threads of the network (1)",
    )
    return parser


class _ListDevices(argparse.Action):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, nargs=0)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print("\n".join(microphones()))
        parser.exit()


def _asked(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments, or end with what does not go together."""
    asked = parser.parse_args(argv)
    is_live = asked.window or asked.microphone is not None
    if not is_live and not asked.files:
        parser.error("expected audio files or folders, got none; name some, or say --microphone or --window")
    if asked.csv and asked.log and asked.csv.resolve() == asked.log.resolve():
        parser.error(f"expected a table and a record in two files, got {asked.csv} for both; name another")
    if not is_live and not asked.events and (asked.hop_s or asked.smooth > 1 or asked.quiet_db is not None):
        parser.error("--hop-s, --smooth and --quiet-db go with --events, --microphone or --window; add one")
    if asked.window and len(asked.files) > 1:
        parser.error(f"--window: expected one file to open, got {len(asked.files)}; name one")
    if is_live and (asked.csv or asked.events or (asked.files and not asked.window)):
        parser.error(
            "--microphone and --window go with neither --csv nor --events; a file follows --microphone or --window"
        )
    return asked


def _within(type_: Callable[[str], float], low: float, high: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = type_(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"expected a number from {low:g} to {high:g}, got {text}")
        return value

    return number


def _path(text: str) -> Path:
    if not text:  # of a script's empty variable; it would be the folder that one is in
        raise argparse.ArgumentTypeError("expected a name, got an empty one")
    return Path(text)


def _write_classes(predictor: Predictor, record: Record, asked: argparse.Namespace) -> None:
    longer = []
    with table(asked.csv, ("file", "labels", *predictor.labels), asked.files) as write:

        def classify(path: Path) -> None:
            wave_T = predictor.sound(path)
            ranked = predictor.classify(wave_T, path)
            record.add(path, wave_T, ranked, predictor.given(ranked))
            print(f"{path}: {_text(predictor, ranked, asked.top or _NUM_TOP)}")
            of_label = dict(ranked)
            probabilities = (f"{of_label[label]:.4f}" for label in predictor.labels)
            write((path, ";".join(predictor.given(ranked)), *probabilities))
            if predictor.front.hears_first_window and len(wave_T) > predictor.front.window_samples:
                longer.append(path)

        try:
            for_each(asked.files, classify, record)
        finally:
            if longer:
                what = longer[0] if len(longer) == 1 else f"{len(longer)} files"
                window_s = predictor.front.window_samples / predictor.front.rate_hz
                print(
                    f"{what}: longer than the window, {window_s:g} s is judged, from where sound begins; --events judges all",
                    file=sys.stderr,
                )


def _write_events(predictor: Predictor, record: Record, asked: argparse.Namespace) -> None:
    hop_s = _hop_s(predictor, asked)
    min_level_db = -math.inf if asked.quiet_db is None else asked.quiet_db
    with table(asked.csv, ("file", "start_s", "stop_s", "label", "probability"), asked.files) as write:

        def find(path: Path) -> None:
            heard = hear(predictor, predictor.blocks(path), hop_s, asked.smooth, min_level_db)
            heard = _recorded(predictor, record, path, heard)
            late_s = (asked.smooth - 1) / 2 * hop_s
            events = list(events_of(predictor, heard, hop_s, asked.threshold, late_s))
            if not events:
                print(f"{path}: no events")
            for event in events:
                row = (f"{event.start_s:.2f}", f"{event.stop_s:.2f}", event.label, f"{event.probability:.3f}")
                print(f"{path}: {row[0]} to {row[1]} s {row[2]} {row[3]}")
                write((path, *row))

        for_each(asked.files, find, record)


def _listen(predictor: Predictor, record: Record, asked: argparse.Namespace) -> None:
    def text(heard: Heard) -> str:
        if heard.probability_L is None:
            return SILENCE
        return _text(predictor, predictor.ranked(heard.probability_L), asked.top or _NUM_LIVE)

    source = _source(predictor, asked)
    listen(source, _hearing(predictor, record, asked)(source.blocks()), text)


def _show_window(predictor: Predictor, record: Record, asked: argparse.Namespace) -> None:
    try:
        from audioprep.edge.desktop import show
    except ImportError as error:
        raise DeviceError(
            f"window: expected Python with tkinter, got none ({error}); run: sudo apt install python3-tk"
        ) from None
    show(
        predictor,
        partial(_source, predictor, asked),
        _hearing(predictor, record, asked),
        partial(_recorded, predictor, record),
        next(iter(asked.files), None),
    )


def _source(predictor: Predictor, asked: argparse.Namespace) -> Source:
    """Return where live sound comes from, which records from now on."""
    name = asked.microphone or ""
    path = Path(name)
    if path.is_file() or path.suffix.lower() in DECODED_SUFFIXES:
        try:
            return Playback(predictor.sound(path), predictor.front.rate_hz, real_time=not asked.fast)
        except AudioError as error:
            raise DeviceError(
                f"--microphone: expected a file that holds audio, got {error}; give another one"
            ) from None
    return Microphone(predictor.front, name)


def _hearing(
    predictor: Predictor, record: Record, asked: argparse.Namespace
) -> Callable[[Iterable[Wave]], Iterator[Heard]]:
    """Return what makes windows of live sound."""
    min_level_db = _QUIET_DB if asked.quiet_db is None else asked.quiet_db
    hop_s = _hop_s(predictor, asked, most_s=_LIVE_HOP_S)
    hear_live = partial(hear, predictor, hop_s=hop_s, num_smoothed=asked.smooth, min_level_db=min_level_db, live=True)
    return lambda blocks: _recorded(predictor, record, asked.microphone or "microphone", hear_live(blocks))


def _hop_s(predictor: Predictor, asked: argparse.Namespace, most_s: float = math.inf) -> float:
    window_s = predictor.front.window_samples / predictor.front.rate_hz
    hop_s = float(asked.hop_s or min(window_s / 2, most_s))
    if hop_s > window_s:  # sound between would not be heard
        raise ConfigError(
            f"--hop-s: expected at most the {window_s:g} s of the window, got {hop_s:g}; choose a shorter one"
        )
    return hop_s


def _recorded(predictor: Predictor, record: Record, source: object, heard: Iterable[Heard]) -> Iterator[Heard]:
    """Pass windows through and add each to the record."""
    for window in heard:
        ranked = [] if window.probability_L is None else predictor.ranked(window.probability_L)
        given = predictor.given(ranked) if ranked else ()
        record.add(source, window.wave_T, ranked, given, start_s=window.start_s, status=_status(window))
        yield window


def _status(window: Heard) -> str | None:
    """Return why a window was not judged: there is no sound in it, or less than is to be heard."""
    if window.probability_L is not None:
        return None
    return SILENT if is_silent(peak_db(window.wave_T)) else QUIET


def _text(predictor: Predictor, ranked: Ranked, top: int) -> str:
    given = set(predictor.given(ranked))
    return ", ".join(
        f"{label} {probability:.3f}{'' if label in given or predictor.thresholds is None else ' (not given)'}"
        for label, probability in ranked[: max(top, len(given))]
    )
