"""Sound that is played.

Shape letters: T samples.
"""

from typing import Any

import numpy as np

from audioprep.dsp.arrays import Float32
from audioprep.edge.devices import open_stream
from audioprep.edge.rate import resample

# Of a loudspeaker that refuses the rate of the sound: frequencies and gains, see `resample`.
_LOWPASS = (np.array([0.0, 0.9, 1.0]), np.array([1.0, 1.0, 0.0]))


class Loudspeaker:
    """The loudspeaker that the system prefers; it plays one recording at a time."""

    def __init__(self) -> None:
        self._stream: Any = None
        self._rest_T = np.empty(0, np.float32)

    def play(self, wave_T: Float32, rate_hz: int) -> None:
        """Begin to play samples [T], in the place of what is played now.

        Raises:
            DeviceError: sounddevice or PortAudio is missing, there is no loudspeaker, or it cannot be opened.
        """
        self.stop()
        self._stream, found_hz = open_stream("output", "", rate_hz, self._give)
        self._rest_T = resample(wave_T, rate_hz, found_hz, _LOWPASS)

    @property
    def is_playing(self) -> bool:
        """Tell whether there is something left to play."""
        return len(self._rest_T) > 0

    def stop(self) -> None:
        """Play no more, and give the device back."""
        if self._stream is not None:
            if not self.is_playing:
                self._stream.stop()  # when the last block, which it already has, was heard
            self._rest_T = self._rest_T[:0]
            self._stream.close()
            self._stream = None

    def _give(self, block_TC: Float32, num_frames: int, _time: object, _status: object) -> None:
        """Fill a block with what comes next; PortAudio calls this in a thread of its own."""
        part_T, self._rest_T = self._rest_T[:num_frames], self._rest_T[num_frames:]
        block_TC[:] = 0.0
        block_TC[: len(part_T), 0] = part_T
