"""Sound as it comes: from a microphone, or from a recording that is played as if it were one.

Shape letters: T samples, C channels.
"""

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from audioprep.dsp.arrays import Float32
from audioprep.edge.devices import BLOCK_S, open_stream
from audioprep.edge.front import Front
from audioprep.errors import DeviceError

_MAX_WAITING_S = 10.0  # of sound that nobody has taken yet; what comes then is lost
_PATIENCE_S = 2.0  # a microphone that gives nothing for so long is gone


class Source(Protocol):
    """Where live sound comes from; it is heard once.

    Attributes:
        lost_s: How much sound was lost so far, about, because nobody took it in time.
    """

    lost_s: float

    def blocks(self) -> Iterator[Float32]:
        """Yield the sound, mono at the front's rate, in pieces: each time all that has come since the last one."""

    def stop(self) -> None:
        """Let the sound end; another thread or a signal handler may do so."""


class Microphone:
    """A microphone, opened at the front's rate, or else at its own, and then brought to the front's."""

    def __init__(self, front: Front, device: str = "") -> None:
        """Open a microphone, which records from now on until its blocks end.

        Args:
            front: What the sound is for.
            device: Its number, or a part of its name; by default the one that the system prefers.

        Raises:
            DeviceError: sounddevice or PortAudio is missing, there is no such microphone, or it cannot be opened.
        """
        self.lost_s = 0.0
        self._front = front
        self._waiting: queue.SimpleQueue[Float32 | None] = queue.SimpleQueue()
        self._stream, self._rate_hz = open_stream("input", device, front.rate_hz, self._take)

    def blocks(self) -> Iterator[Float32]:
        """Yield the sound as it comes, see `Source`.

        Raises:
            DeviceError: The microphone gives nothing any more.
        """
        try:
            yield from self._front.stream(self._recorded(), self._rate_hz)
        finally:
            self._stream.close()

    def stop(self) -> None:
        """Let the sound end."""
        self._waiting.put(None)

    def _take(self, block_TC: Float32, _num_frames: int, _time: object, status: Any) -> None:
        """Keep a block; PortAudio calls this in a thread of its own, which must not be kept waiting."""
        is_full = self._waiting.qsize() * BLOCK_S >= _MAX_WAITING_S
        if is_full or status.input_overflow:  # the latter: lost before it came here
            self.lost_s += BLOCK_S
        if not is_full:
            self._waiting.put(block_TC[:, 0].copy())

    def _recorded(self) -> Iterator[Float32]:
        """Yield what has been recorded, at the microphone's rate."""
        is_going = True
        while is_going:
            waiting = [self._next()] + [self._waiting.get() for _ in range(self._waiting.qsize())]
            blocks = [block for block in waiting if block is not None]
            is_going = len(blocks) == len(waiting)
            if blocks:
                yield np.concatenate(blocks)

    def _next(self) -> Float32 | None:
        # Twice: where the process was put to sleep and goes on, the first time is over before anything could come.
        for _ in range(2):
            try:
                return self._waiting.get(timeout=_PATIENCE_S)
            except queue.Empty:
                continue
        raise DeviceError(
            f"microphone: expected sound, got none for {2 * _PATIENCE_S:g} s; see whether it is still connected"
        )


class Playback:
    """A recording that is played as if a microphone heard it.

    Attributes:
        lost_s: Always 0.
    """

    def __init__(self, wave_T: Float32, rate_hz: int, *, real_time: bool = True) -> None:
        """Take a recording.

        Args:
            wave_T: Samples [T] at the front's rate.
            rate_hz: That rate.
            real_time: Take the time that it takes to hear it; or else as little as possible.
        """
        self.lost_s = 0.0
        self._wave_T, self._rate_hz, self._real_time = wave_T, rate_hz, real_time
        self._stopped = threading.Event()

    def blocks(self) -> Iterator[Float32]:
        """Yield the sound, see `Source`."""
        begun_s, start, stop = time.monotonic(), 0, 0
        while start < len(self._wave_T) and not self._stopped.is_set():
            if self._real_time:
                self._stopped.wait(BLOCK_S)
                stop = round((time.monotonic() - begun_s) * self._rate_hz)
            else:
                stop += round(BLOCK_S * self._rate_hz)
            if stop > start:
                yield self._wave_T[start:stop]
            start = stop

    def stop(self) -> None:
        """Let the sound end."""
        self._stopped.set()
