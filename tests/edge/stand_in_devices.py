"""A stand-in for the package sounddevice, with devices that record and play what a test wants."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np


class PortAudioError(Exception):
    """What the package raises where PortAudio refuses."""


class Devices(SimpleNamespace):
    """What `import sounddevice` gives: one microphone and one loudspeaker, or nothing.

    Attributes:
        rates_hz: Rates at which both open; none, and they are not there.
        wave_T: What the microphone records; then it gives nothing.
        overflows: Whether PortAudio says so of each block.
        at_the_end: Called when all is recorded.
        opened_hz: The rate of each stream that was opened.
        played: What the loudspeaker was given.
        num_open: Streams that were started and not closed.
    """

    def __init__(
        self,
        *rates_hz: int,
        wave_T: Any = (),
        overflows: bool = False,
        at_the_end: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(PortAudioError=PortAudioError, default=SimpleNamespace(device=(1, 0)))
        self.rates_hz, self.wave_T, self.overflows = rates_hz, np.array(wave_T, np.float32), overflows
        self.at_the_end = at_the_end
        self.opened_hz: list[int] = []
        self.played: list[float] = []
        self.num_open = 0
        self.is_closing = threading.Event()
        self.InputStream = lambda **settings: _Stream(self, self._record, **settings)
        self.OutputStream = lambda **settings: _Stream(self, self._play, **settings)

    def query_devices(self, device: int | str | None = None, kind: str | None = None) -> Any:
        rate_hz = float(max(self.rates_hz, default=0))
        speaker = {"name": "Speaker", "max_input_channels": 0, "default_samplerate": rate_hz}
        microphone = {"name": "USB Mic", "max_input_channels": 1, "default_samplerate": rate_hz}
        if kind is None:
            return [speaker, microphone] if self.rates_hz else []
        if not self.rates_hz:
            raise PortAudioError("Error querying device -1")
        if device not in (None, 1, "USB Mic"):
            raise ValueError(f"No {kind} device matching {device!r}")
        return microphone if kind == "input" else speaker

    def _record(self, callback: Callable[..., None], blocksize: int) -> None:
        status = SimpleNamespace(input_overflow=self.overflows)
        for start in range(0, len(self.wave_T), blocksize):
            block_TC = self.wave_T[start : start + blocksize, None].copy()
            callback(block_TC, len(block_TC), None, status)
            block_TC[:] = np.nan  # PortAudio writes the next one there
        self.at_the_end()

    def _play(self, callback: Callable[..., None], blocksize: int) -> None:
        while not self.is_closing.wait(0.001):
            block_TC = np.full((blocksize, 1), np.nan, np.float32)
            callback(block_TC, blocksize, None, SimpleNamespace())
            self.played += block_TC[:, 0].tolist()


class _Stream:
    def __init__(self, devices: Devices, work: Callable[..., None], *, samplerate: int, **settings: Any) -> None:
        if samplerate not in devices.rates_hz:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")
        assert (settings["channels"], settings["dtype"]) == (1, "float32")
        devices.opened_hz.append(samplerate)
        self._devices = devices
        self._thread = threading.Thread(target=work, args=(settings["callback"], settings["blocksize"]))

    def start(self) -> None:
        self._devices.num_open += 1
        self._thread.start()

    def stop(self) -> None:
        self._devices.is_closing.set()
        self._thread.join()

    def close(self) -> None:
        self._devices.is_closing.set()
        self._thread.join()
        self._devices.num_open -= 1
