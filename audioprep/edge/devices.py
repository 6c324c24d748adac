"""The sound devices of a machine, through sounddevice and PortAudio.

Shape letters: T samples.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Literal

from audioprep.errors import DeviceError, reason_of

Kind = Literal["input", "output"]

BLOCK_S = 0.1  # what is recorded or played at a time
_NAMES = {"input": "microphone", "output": "loudspeaker"}


def open_stream(kind: Kind, device: str, rate_hz: int, callback: Callable[..., None]) -> tuple[Any, int]:
    """Start a microphone or a loudspeaker with one channel, and return its stream and its rate.

    Args:
        kind: `input` is a microphone, `output` a loudspeaker.
        device: Its number, or a part of its name; "" is the one that the system prefers.
        rate_hz: The rate wanted; where the device refuses it, its own.
        callback: What takes or gives a block [T, 1], as sounddevice calls it.

    Raises:
        DeviceError: sounddevice or PortAudio is missing, there is no such device, or it cannot be opened.
    """
    what, sounddevice = _NAMES[kind], _sounddevice()
    chosen = int(device) if device.isdigit() else device or None
    try:
        about = sounddevice.query_devices(chosen, kind)
    except (ValueError, sounddevice.PortAudioError) as error:
        got = f"'{device}'" if device else "none"
        raise DeviceError(
            f"{what}: expected a connected device, got {got} ({reason_of(error)}); connect one, or choose one of "
            "--list-devices"
        ) from None
    rates_hz = list(dict.fromkeys((rate_hz, round(about["default_samplerate"]))))
    type_ = sounddevice.InputStream if kind == "input" else sounddevice.OutputStream
    refused = ""
    for found_hz in rates_hz:
        blocksize = round(BLOCK_S * found_hz)
        settings = {"samplerate": found_hz, "blocksize": blocksize, "channels": 1, "dtype": "float32"}
        try:
            with _no_chatter():
                stream = type_(device=chosen, callback=callback, **settings)
                try:
                    stream.start()
                except sounddevice.PortAudioError:
                    stream.close()
                    raise
        except sounddevice.PortAudioError as error:
            refused = reason_of(error)
        else:
            return stream, found_hz
    raise DeviceError(
        f"{what} '{about['name']}': expected it to open at {' or '.join(map(str, rates_hz))} Hz, got {refused}; close "
        "what else uses it, or choose one of --list-devices"
    )


def microphones() -> list[str]:
    """Return a line for every device that records, with its number; a star stands before the one that the system prefers.

    Raises:
        DeviceError: sounddevice or PortAudio is missing, or there is no such device.
    """
    sounddevice = _sounddevice()
    preferred = sounddevice.default.device[0]
    lines = [
        f"{'*' if number == preferred else ' '} {number:2} {about['name']}, {about['default_samplerate']:g} Hz"
        for number, about in enumerate(sounddevice.query_devices())
        if about["max_input_channels"]
    ]
    if not lines:
        raise DeviceError("microphone: expected a connected device, got none; connect one")
    return lines


@contextmanager
def _no_chatter() -> Iterator[None]:
    """Keep off the terminal what PortAudio and ALSA print of every rate and device that they try: errors say it."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _sounddevice() -> ModuleType:
    """Return the library, which is looked for only where sound is recorded or played."""
    try:
        import sounddevice
    except ModuleNotFoundError:
        raise DeviceError("sounddevice: expected this package, found none; run: pip install sounddevice") from None
    except OSError:
        raise DeviceError(
            "sounddevice: expected the library PortAudio, found none; run: sudo apt install libportaudio2"
        ) from None
    module: ModuleType = sounddevice
    return module
