"""From a decoded file to the features that the network was trained on, with numpy alone.

Decisions (gain, part, windows) are made by the functions that the pipeline makes them with. What the pipeline does with
libraries that a small device lacks is done with the matrices of the bundle's `front.npz`, and comes out the same to
1e-3 dB: the spectrum, filterbanks and the cosine transform. The change of rate nearly does, see `audioprep/edge/rate.py`.

Shape letters: T samples, C channels, N frames, M bins, F bins of the spectrum.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from audioprep.dsp.arrays import Float32, Wave
from audioprep.dsp.chroma import chroma
from audioprep.dsp.decibel import levels_db
from audioprep.dsp.decide import SILENT_PEAK_DB, decide_gain, decide_part, is_silent
from audioprep.dsp.deltas import with_deltas
from audioprep.dsp.descriptors import ONSET_MELS, descriptors
from audioprep.dsp.frames import framed
from audioprep.dsp.measure import measure, to_stored
from audioprep.dsp.window import fit, num_windows
from audioprep.edge.rate import resample
from audioprep.errors import AudioError, ModelError

Arrays = Mapping[str, npt.NDArray[Any]]
Kernel = Callable[[Wave], Float32]

_GAIN_FACTS = ("loudness_lufs", "rms_db", "peak_db", "true_peak_db")
_REACH_S = 0.1  # what changing the rate sees on either side of a sample, see `resample`
_BLOCK_FRAMES = 256  # what is transformed at a time: with its spectrum about 2 MB


class Front:
    """What happens to a file before the network.

    Attributes:
        rate_hz: Rate of the features' sound.
        window_samples: Length of what the network hears at once.
        hears_first_window: Of what is longer, the first window is judged, and no more.
    """

    def __init__(
        self,
        audio: Mapping[str, Any],
        features: Mapping[str, Any],
        arrays: Arrays,
        kernel: Kernel | None = None,
        clear: Callable[[Wave], Wave] | None = None,
    ) -> None:
        """Take the rules of a bundle.

        Args:
            audio: Section `audio` of `bundle.json`.
            features: Section `features`.
            arrays: What `front.npz` holds.
            kernel: From a windowed wave [T] to features [N, M], where the bundle's kind needs more than numpy.
            clear: Noise reduction, where the bundle has it.

        Raises:
            ModelError: The rules need a kernel or noise reduction, and none is given.
        """
        self._audio, self._features, self._arrays = audio, features, arrays
        self.rate_hz = int(audio["rate_hz"])
        self.window_samples = round(audio["window_s"] * self.rate_hz)
        hop_s = audio.get("hop_s")
        self._hop_samples = None if hop_s is None else round(hop_s * self.rate_hz)
        self.hears_first_window = hop_s is None
        if kernel is None and features["kind"] not in _KINDS:
            raise ModelError(_not_here(f"{features['kind']} features"))
        if clear is None and features.get("denoise"):
            raise ModelError(_not_here("noise reduction"))
        self._kernel = kernel or self._from_spectrum
        self._clear = clear

    def at_rate(self, wave_T: Wave, rate_hz: int) -> Float32:
        """Return mono sound of another rate at that of the features [T]."""
        return resample(wave_T, rate_hz, self.rate_hz, self._lowpass(rate_hz))

    def stream(self, blocks: Iterable[Float32], rate_hz: int) -> Iterator[Float32]:
        """Yield sound at the features' rate, as if all of it had been there at once.

        Every piece is brought there with what is around it, so it comes a tenth of a second late, and has no edges.

        Args:
            blocks: The sound in pieces [T] of any length, mono.
            rate_hz: Its rate.
        """
        if rate_hz == self.rate_hz:
            yield from blocks
            return
        common_hz = math.gcd(rate_hz, self.rate_hz)
        step_in, step_out = rate_hz // common_hz, self.rate_hz // common_hz  # as long as each other
        reach = math.ceil(_REACH_S * common_hz)  # in steps
        kept_T = np.zeros(reach * step_in, np.float32)
        for block_T in blocks:
            kept_T = np.concatenate([kept_T, block_T])
            num_steps = len(kept_T) // step_in - 2 * reach
            if num_steps > 0:
                around_T = self.at_rate(kept_T[: (num_steps + 2 * reach) * step_in], rate_hz)
                yield around_T[reach * step_out : (reach + num_steps) * step_out]
                kept_T = kept_T[num_steps * step_in :]
        rest_T = self.at_rate(kept_T, rate_hz)[reach * step_out :]
        if len(rest_T):
            yield rest_T

    def windows(self, wave_T: Wave) -> Iterator[Float32]:
        """Yield the features [N, M] of each window: what the features stage would have stored for a recording.

        Args:
            wave_T: Samples [T], float32, at the features' rate.

        Raises:
            AudioError: There is no sound in it, and the network was trained without silence.
        """
        wave_T, attenuation_db = to_stored(wave_T)
        facts = measure(wave_T, self.rate_hz)
        if is_silent(facts["peak_db"]) and "silent" in self._audio["trim"]["exclude"]:
            raise AudioError(
                "silent",
                f"as one channel, no sample above {SILENT_PEAK_DB:g} dB; the network was trained without silence",
            )
        levels = {name: facts[name] for name in _GAIN_FACTS}
        gain_db, _ = decide_gain(**levels, attenuation_db=attenuation_db, **self._audio["loudness"])
        start, stop = self._part(facts)
        (count,) = num_windows(np.array([stop - start]), self.window_samples, self._hop_samples)
        clear_T = wave_T if self._clear is None else self._clear(wave_T)
        gain = np.float32(10 ** (gain_db / 20))
        for number in range(count):
            part_T = clear_T[start + number * (self._hop_samples or 0) : stop] * gain
            values_NM = self._kernel(fit(part_T, self.window_samples, self._audio["trim"]["pad"]))
            # As stored, but for int8, whose steps are a clip's own.
            dtype = np.float16 if self._features["rule"]["dtype"] == "float16" else np.float32
            yield np.asarray(values_NM.astype(dtype), np.float32)

    def features(self, wave_T: Wave) -> Float32:
        """Return the features [N, M] of sound as it is, neither trimmed, nor turned up, nor fitted to a window: to look at.

        Args:
            wave_T: Samples [T], float32, at the features' rate.
        """
        return self._kernel(wave_T)

    def _part(self, facts: Mapping[str, Any]) -> tuple[int, int]:
        """Return the part of a recording that is used, from what was measured of it."""
        trim = self._audio["trim"]
        return decide_part(
            np.asarray(facts["envelope_db"], np.int8),
            facts["envelope_frame_s"],
            facts["num_samples"],
            self.rate_hz,
            mode=trim["mode"],
            threshold_db=trim["threshold_db"],
            margin_s=trim["margin_s"],
            window_samples=self.window_samples,
            hop_samples=self._hop_samples,
        )

    def _from_spectrum(self, wave_T: Wave) -> Float32:
        rule, kind = self._features["rule"], self._features["kind"]
        filters_MF, window = self._arrays["filters"], self._arrays["window"]
        n_fft, hop_samples = 2 * (filters_MF.shape[1] - 1), round(rule["hop_ms"] * self.rate_hz / 1000)
        frames_NW = framed(wave_T, n_fft, len(window), hop_samples)
        power_MN = np.empty((len(filters_MF), len(frames_NW)), np.float32)
        for first in range(0, len(frames_NW), _BLOCK_FRAMES):
            spectrum_NF = np.fft.rfft(frames_NW[first : first + _BLOCK_FRAMES] * window, n_fft)
            power_NF = np.square(spectrum_NF.real) + np.square(spectrum_NF.imag)
            power_MN[:, first : first + _BLOCK_FRAMES] = filters_MF @ power_NF.T
        return _KINDS[kind](power_MN, rule, self.rate_hz, self._arrays)

    def _lowpass(self, rate_hz: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return frequencies and gains of the low-pass filter: of the rates that were measured, the nearest."""
        rates_hz = self._arrays["lowpass_rates_hz"]
        nearest = int(np.abs(np.log(rates_hz / rate_hz)).argmin())
        return self._arrays["lowpass_frequencies"], self._arrays["lowpass_gains"][nearest]


def _levels(power_MN: Float32, rule: Mapping[str, Any], _rate_hz: int, _arrays: Arrays) -> Float32:
    return levels_db(power_MN, rule["top_db"])


def _mfcc(power_MN: Float32, rule: Mapping[str, Any], _rate_hz: int, arrays: Arrays) -> Float32:
    return with_deltas(levels_db(power_MN, rule["top_db"]) @ arrays["cosines"], rule["deltas"])


def _chroma(power_MN: Float32, _rule: Mapping[str, Any], _rate_hz: int, _arrays: Arrays) -> Float32:
    return chroma(power_MN)


def _descriptors(power_MN: Float32, rule: Mapping[str, Any], rate_hz: int, _arrays: Arrays) -> Float32:
    power_FN, mel_MN = power_MN[:-ONSET_MELS], power_MN[-ONSET_MELS:]
    hop_samples = round(rule["hop_ms"] * rate_hz / 1000)
    return descriptors(power_FN, mel_MN, rate_hz=rate_hz, hop_samples=hop_samples, rolloff=rule["rolloff"])


_KINDS = {"logmel": _levels, "spectrogram": _levels, "mfcc": _mfcc, "chroma": _chroma, "descriptors": _descriptors}


def _not_here(what: str) -> str:
    return (
        f"bundle: expected features that numpy can make, got {what}; classify on a machine with audioprep: `audioprep "
        "predict FILE --model BUNDLE`"
    )
