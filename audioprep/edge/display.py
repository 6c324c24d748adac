"""The part of the window that shows sound: its wave, its level, its spectrogram, and the two best classes.

Shape letters: T samples, N frames, M bins, L classes.
"""

import tkinter as tk
from tkinter import font
from typing import Literal, NamedTuple

import numpy as np

from audioprep.dsp.arrays import Float32
from audioprep.edge.picture import outline, spectrogram_ppm
from audioprep.edge.predict import Predictor
from audioprep.edge.stream import SILENCE, Heard

BACKGROUND, PANEL, TEXT, DIM = "#0d111c", "#1d2433", "#eef1f7", "#8a94a8"
_WAVE, _GIVEN, _NOT_GIVEN, _COMPLAINT = "#5fb3d9", "#b8483e", "#3c4660", "#ff9d8a"
_LEVELS = ((-6.0, "#e74c3c"), (-18.0, "#e8b84a"), (-np.inf, "#53b87a"))  # from which level on, dB
_LEAST_DB = -70.0  # where the bar of the level begins
_LEAST_PEAK = 0.02  # quieter waves are not drawn larger
_MARGIN, _GAP, _METER = 8, 6, 12  # pixels

_Anchor = Literal["nw", "w", "e"]


class Seen(NamedTuple):
    """What is to be shown.

    Attributes:
        heard: What it sounds like.
        wave_T: The sound.
        values_NM: Its features.
    """

    heard: Heard
    wave_T: Float32
    values_NM: Float32


class _Box(NamedTuple):
    """A rectangle, in pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    @property
    def indent(self) -> float:
        return (self.bottom - self.top) / 4


class Display:
    """A canvas that is drawn anew when there is something new, and when its size changes.

    Attributes:
        canvas: What is drawn on.
    """

    def __init__(self, root: tk.Misc, predictor: Predictor) -> None:
        """Fill what is left of a window.

        Args:
            root: The window.
            predictor: Whose classes are shown.
        """
        self._predictor = predictor
        self._seen: Seen | None = None
        self._complaint = ""
        self._level_db: float | None = None
        self._picture: tk.PhotoImage | None = None
        self._font = font.nametofont("TkDefaultFont", root).copy()
        self.canvas = tk.Canvas(root, background=BACKGROUND, highlightthickness=0)
        self.canvas.pack(side="top", fill="both", expand=True)
        self.canvas.bind("<Configure>", lambda _: self._draw())

    def clear(self) -> None:
        """Show nothing."""
        self._seen, self._complaint, self._level_db = None, "", None
        self._draw()

    def show(self, seen: Seen) -> None:
        """Show sound and what it sounds like."""
        self._seen, self._complaint = seen, ""
        self._draw()

    def complain(self, line: str) -> None:
        """Show what went wrong, until something else is shown."""
        self._complaint = line
        self._draw()

    def show_level(self, level_db: float | None) -> None:
        """Show a level, dB re full scale; None is digital silence."""
        self._level_db = level_db
        self.canvas.delete("level")
        self._draw_level(self._boxes()[1])

    def _boxes(self) -> tuple[_Box, _Box, _Box, tuple[_Box, _Box]]:
        """Return the places of wave, level, spectrogram, and both classes."""
        width, height = self.canvas.winfo_width(), self.canvas.winfo_height()
        right = width - _MARGIN - _METER - _GAP
        row = max(26, (height - 2 * _MARGIN) * 15 // 100)
        last = _Box(_MARGIN, height - _MARGIN - row, width - _MARGIN, height - _MARGIN)
        first = _Box(_MARGIN, last.top - _GAP - row, last.right, last.top - _GAP)
        top, bottom = _MARGIN, first.top - _MARGIN
        middle = top + (bottom - top) * 3 // 10
        wave = _Box(_MARGIN, top, right, middle)
        picture = _Box(_MARGIN, middle + _GAP, right, bottom)
        return wave, _Box(right + _GAP, top, width - _MARGIN, bottom), picture, (first, last)

    def _draw(self) -> None:
        wave, level, picture, rows = self._boxes()
        if picture.right - picture.left < 1 or picture.bottom - picture.top < 1:
            return  # not on the screen yet
        self._font.configure(size=-max(11, (rows[0].bottom - rows[0].top) * 45 // 100))
        self.canvas.delete("all")
        for box in (wave, picture):
            self.canvas.create_rectangle(box, fill=PANEL, width=0)
        self._draw_level(level)
        if self._seen is not None:
            self._draw_wave(self._filled(wave), self._seen.wave_T)
            self._draw_picture(self._filled(picture), self._seen.values_NM)
        if self._complaint:
            self._draw_text(
                (rows[0].left, rows[0].top), self._complaint, "nw", _COMPLAINT, rows[0].right - rows[0].left
            )
        elif self._seen is not None:
            self._draw_classes(rows, self._seen.heard)
        else:
            self._draw_row(rows[0], "Record, or open a file", DIM)

    def _filled(self, box: _Box) -> _Box:
        """Return the part of a box that belongs to sound shorter than a window: a recording fills it from the left."""
        share = 1.0 if self._seen is None else len(self._seen.wave_T) / self._predictor.front.window_samples
        return box._replace(right=box.left + max(1, round((box.right - box.left) * min(1.0, share))))

    def _draw_wave(self, box: _Box, wave_T: Float32) -> None:
        low_W, high_W = outline(wave_T, box.right - box.left)
        scale = (box.bottom - box.top) / 2 / max(_LEAST_PEAK, float(high_W.max()), -float(low_W.min()))
        across_W = np.arange(box.left, box.right)
        upper = np.stack([across_W, box.middle - high_W * scale], 1)
        lower = np.stack([across_W, box.middle - low_W * scale], 1)
        line = np.concatenate([upper, lower[::-1]]).ravel().tolist()
        self.canvas.create_polygon(line, fill=_WAVE, outline=_WAVE)

    def _draw_picture(self, box: _Box, values_NM: Float32) -> None:
        # Tk shows a picture as long as somebody keeps it.
        data = spectrogram_ppm(values_NM, box.right - box.left, box.bottom - box.top)
        self._picture = tk.PhotoImage(master=self.canvas, data=data, format="ppm")
        self.canvas.create_image(box.left, box.top, image=self._picture, anchor="nw")

    def _draw_level(self, box: _Box) -> None:
        self.canvas.create_rectangle(box, fill=PANEL, width=0, tags="level")
        if self._level_db is not None and self._level_db > _LEAST_DB:
            top = box.bottom + (box.top - box.bottom) * min(1.0, 1 - self._level_db / _LEAST_DB)
            colour = next(colour for least_db, colour in _LEVELS if self._level_db >= least_db)
            self.canvas.create_rectangle(box._replace(top=round(top)), fill=colour, width=0, tags="level")

    def _draw_classes(self, rows: tuple[_Box, _Box], heard: Heard) -> None:
        if heard.probability_L is None:
            self._draw_row(rows[0], SILENCE, DIM)
            return
        ranked = self._predictor.ranked(heard.probability_L)
        given = self._predictor.given(ranked)
        for box, (label, probability) in zip(rows, ranked, strict=False):
            self.canvas.create_rectangle(box, fill=PANEL, width=0)
            stop = round(box.left + (box.right - box.left) * probability)
            colour = _GIVEN if label in given else _NOT_GIVEN
            self.canvas.create_rectangle(box._replace(right=stop), fill=colour, width=0)
            self._draw_row(box, label.replace("_", " "), TEXT)
            self._draw_text((box.right - box.indent, box.middle), f"{probability:.0%}", "e", TEXT)

    def _draw_row(self, box: _Box, text: str, colour: str) -> None:
        self._draw_text((box.left + box.indent, box.middle), text, "w", colour)

    def _draw_text(self, place: tuple[float, float], text: str, anchor: _Anchor, colour: str, width: int = 0) -> None:
        """Write a line of the size of the rows, or where a width is given, as many small ones as it takes."""
        type_ = "TkSmallCaptionFont" if width else self._font
        self.canvas.create_text(*place, text=text, anchor=anchor, fill=colour, font=type_, width=width)
