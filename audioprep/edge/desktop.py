"""A window that records, plays, and shows what is heard: sound, spectrogram, and the two best classes.

Shape letters: T samples.
"""

import queue
import sys
import threading
import tkinter as tk
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tkinter import filedialog
from types import TracebackType
from typing import Literal

import numpy as np

from audioprep.dsp.arrays import Float32, Wave
from audioprep.dsp.levels import rms_db
from audioprep.edge.display import BACKGROUND, DIM, PANEL, TEXT, Display, Seen
from audioprep.edge.loudspeaker import Loudspeaker
from audioprep.edge.microphone import Source
from audioprep.edge.predict import Predictor
from audioprep.edge.stream import Heard
from audioprep.edge.terminal import ended_by_signals
from audioprep.errors import AudioprepError, DeviceError, line_of
from audioprep.io.audio import DECODED_SUFFIXES

_SIZE = "480x320"  # a small display fits
_POLL_MS = 80
_KEPT_S = 60.0  # of a recording, to play
_PICTURED_S = 60.0  # of a file
_RECORDING = "#c0392b"  # the button, meanwhile
_RECORD, _STOP, _PLAY = "● Record", "■ Stop", "▶ Play"

_Error = AudioprepError | OSError
Hearing = Callable[[Iterable[Wave]], Iterator[Heard]]
Recorded = Callable[[Path, Iterable[Heard]], Iterator[Heard]]


def show(
    predictor: Predictor,
    open_source: Callable[[], Source],
    hearing: Hearing,
    recorded: Recorded,
    path: Path | None = None,
) -> None:
    """Open the window, and return when it is closed; Ctrl-C closes it too.

    Args:
        predictor: The classifier.
        open_source: Return where sound to record comes from; it is asked for every time that Record is pressed.
        hearing: From blocks of sound to windows that were heard, see `hear`.
        recorded: Passes on what was heard of a file.
        path: A file to open first.

    Raises:
        DeviceError: There is no screen.
    """
    try:
        root = tk.Tk()
    except tk.TclError as error:
        raise DeviceError(
            f"window: expected a screen, got none ({error}); start it on the desktop, or leave --window out"
        ) from None
    desktop = Desktop(root, predictor, open_source, hearing, recorded, Loudspeaker())
    if path is not None:
        desktop.open(path)
    with ended_by_signals(desktop.close):
        root.mainloop()


class Desktop:
    """The window.

    Sound is recorded and classified in a thread of its own, which has nothing to do with Tk: what it finds waits in a queue
    until the window looks there.
    """

    def __init__(
        self,
        root: tk.Tk,
        predictor: Predictor,
        open_source: Callable[[], Source],
        hearing: Hearing,
        recorded: Recorded,
        loudspeaker: Loudspeaker,
    ) -> None:
        """Fill a root window; see `show`."""
        self._root, self._predictor, self._loudspeaker = root, predictor, loudspeaker
        self._open_source, self._hearing, self._recorded = open_source, hearing, recorded
        self._news: queue.SimpleQueue[Float32 | Seen | _Error | None] = queue.SimpleQueue()
        self._source: Source | None = None
        self._worker: threading.Thread | None = None
        self._blocks: deque[Float32] = deque()
        self._name = f"{len(predictor.labels)} classes"
        self._is_closing = False
        root.title("What do I hear?")
        root.geometry(_SIZE)
        root.minsize(400, 240)
        root.configure(background=BACKGROUND)
        root.protocol("WM_DELETE_WINDOW", self.close)
        root.bind("<F11>", lambda _: root.attributes("-fullscreen", not root.attributes("-fullscreen")))
        root.report_callback_exception = self._report
        self._record, self._play, self._open, self._status = _toolbar(
            root, self.record_or_stop, self.play_or_stop, self._ask_for_file
        )
        self.display = Display(root, predictor)
        self._look()

    def record_or_stop(self) -> None:
        """Begin to record, or end it."""
        if self._source is not None:
            self._source.stop()
        if self._worker is not None:  # a click can come before the button is disabled
            return
        self._loudspeaker.stop()
        source = self._source = self._open_source()
        self._begin("recording", lambda: self._listen(source))

    def play_or_stop(self) -> None:
        """Play what was recorded or opened, or end it."""
        if self._loudspeaker.is_playing:
            self._loudspeaker.stop()
        elif self._blocks:
            self._loudspeaker.play(np.concatenate(self._blocks), self._predictor.front.rate_hz)

    def open(self, path: Path) -> None:
        """Show a file, and what it sounds like as a whole."""
        if self._worker is not None:
            return
        self._loudspeaker.stop()
        self._begin(path.name, lambda: self._hear_file(path))

    def close(self) -> None:
        """Close the window soon; a signal handler may ask for it."""
        self._is_closing = True

    def _begin(self, name: str, work: Callable[[], None]) -> None:
        """Start what fills the queue, in the place of what was shown before."""
        self._blocks.clear()
        self._name = name
        self.display.clear()

        def finish() -> None:
            try:
                work()
            except (AudioprepError, OSError) as error:
                self._news.put(error)
            finally:
                self._news.put(None)

        self._worker = threading.Thread(target=finish, daemon=True)
        self._worker.start()
        self._show_state()

    def _listen(self, source: Source) -> None:
        def passed() -> Iterator[Float32]:
            for block_T in source.blocks():
                self._news.put(block_T)
                yield block_T

        for heard in self._hearing(passed()):
            self._news.put(Seen(heard, heard.wave_T, self._predictor.front.features(heard.wave_T)))

    def _hear_file(self, path: Path) -> None:
        front = self._predictor.front
        wave_T = self._predictor.sound(path)
        self._news.put(wave_T)
        level_db = rms_db(wave_T)
        heard = Heard(
            0.0,
            len(wave_T) / front.rate_hz,
            -np.inf if level_db is None else level_db,
            self._predictor.probability_of(wave_T),
            wave_T,
        )
        (heard,) = self._recorded(path, [heard])
        first_T = wave_T[: round(_PICTURED_S * front.rate_hz)]
        self._news.put(Seen(heard, first_T, front.features(first_T)))

    def _look(self) -> None:
        """Show what is new, and look again a little later."""
        if self._is_closing:
            self._end()
            return
        self._root.after(_POLL_MS, self._look)
        while not self._news.empty():
            self._take(self._news.get())
        if not self._loudspeaker.is_playing:
            self._loudspeaker.stop()
        self._show_state()

    def _take(self, news: Float32 | Seen | _Error | None) -> None:
        if news is None:
            self._name = self._name if self._source is None else "recorded"
            self._source = self._worker = None
        elif isinstance(news, Seen):
            self.display.show(news)
        elif isinstance(news, AudioprepError | OSError):
            self.display.complain(line_of(news))
        else:
            self._blocks.append(news)
            self.display.show_level(rms_db(news))
            if self._source is not None:
                self._forget()

    def _forget(self) -> None:
        """Keep of a recording what came last."""
        most = _KEPT_S * self._predictor.front.rate_hz
        while sum(map(len, self._blocks)) - len(self._blocks[0]) >= most:
            self._blocks.popleft()

    def _show_state(self) -> None:
        is_recording, is_busy = self._source is not None, self._worker is not None
        is_playing = self._loudspeaker.is_playing
        self._record.configure(
            text=_STOP if is_recording else _RECORD,
            state=_state(is_recording or not is_busy),
            background=_RECORDING if is_recording else PANEL,
        )
        self._play.configure(text=_STOP if is_playing else _PLAY, state=_state(bool(self._blocks) and not is_busy))
        self._open.configure(state=_state(not is_busy))
        self._status.configure(text=self._state_text())

    def _state_text(self) -> str:
        length_s = sum(map(len, self._blocks)) / self._predictor.front.rate_hz
        parts = [_short(self._name), f"{length_s:.1f} s"] if self._blocks else [self._name]
        if self._source is not None and self._source.lost_s:
            parts.append(f"{self._source.lost_s:.1f} s lost")
        return ", ".join(parts)

    def _ask_for_file(self) -> None:
        patterns = " ".join(f"*{suffix}" for suffix in sorted(DECODED_SUFFIXES))
        chosen = filedialog.askopenfilename(parent=self._root, filetypes=[("Sound", patterns), ("All files", "*")])
        if chosen:
            self.open(Path(chosen))

    def _report(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Say in the window what went wrong behind a button."""
        if isinstance(error, AudioprepError | OSError):
            self.display.complain(line_of(error))
        elif not self._is_closing:  # with a dialog open, the end of the window is an error in it
            sys.excepthook(kind, error, trace)

    def _end(self) -> None:
        self._loudspeaker.stop()
        if self._source is not None:
            self._source.stop()
        if self._worker is not None:
            self._worker.join(timeout=2.0)
        self._root.destroy()


def _toolbar(root: tk.Tk, *commands: Callable[[], None]) -> tuple[tk.Button, tk.Button, tk.Button, tk.Label]:
    """Return Record, Play, Open, and a line of text beside them."""
    bar = tk.Frame(root, background=BACKGROUND)
    bar.pack(side="top", fill="x", padx=8, pady=(8, 0))
    buttons = [
        tk.Button(
            bar,
            text=text,
            command=command,
            width=8,
            relief="flat",
            borderwidth=0,
            highlightthickness=0,
            background=PANEL,
            foreground=TEXT,
            activebackground=DIM,
            activeforeground=TEXT,
            disabledforeground=DIM,
            pady=5,
        )
        for text, command in zip((_RECORD, _PLAY, "Open…"), commands, strict=True)
    ]
    for button in buttons:
        button.pack(side="left", padx=(0, 6))
    status = tk.Label(bar, background=BACKGROUND, foreground=DIM, anchor="e")
    status.pack(side="right", fill="x", expand=True)
    record, play, open_ = buttons
    return record, play, open_, status


def _state(is_usable: bool) -> Literal["normal", "disabled"]:  # noqa: FBT001 # a word for a truth value
    return "normal" if is_usable else "disabled"


def _short(name: str, most: int = 13) -> str:
    return name if len(name) <= most else f"{name[: most - 8]}…{name[-7:]}"
