"""Classification of audio files with an exported bundle, by the same functions as the pipeline.

Shape letters: T samples, N frames, M bins, L classes.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from audioprep.dsp.arrays import Wave
from audioprep.dsp.decide import SILENT_PEAK_DB, decide_gain, decide_part, is_silent
from audioprep.dsp.denoise import denoiser
from audioprep.dsp.features import feature_kernel, windowed
from audioprep.dsp.measure import measure, to_stored
from audioprep.dsp.temperature import scale
from audioprep.dsp.window import num_windows
from audioprep.errors import AudioError, ModelError
from audioprep.io.audio import decode
from audioprep.io.bundle import read_bundle

Float32 = npt.NDArray[np.float32]

_GAIN_FACTS = ("loudness_lufs", "rms_db", "peak_db", "true_peak_db")


class Predictor:
    """An exported classifier, ready to hear files.

    Probabilities are those of the report: with the temperature that was fitted on validation clips, if there were some.
    What is longer than the bundle's window is judged by the first window of its used part, or where the pipeline made
    several of each recording, by the mean over all of them.

    Attributes:
        labels: The classes.
        thresholds: For classes of which a recording may have several: from which probability each is given. None where it
            has one.
    """

    def __init__(self, folder: Path, precision: str = "int8", num_threads: int = 1) -> None:
        """Load a bundle.

        Args:
            folder: The bundle.
            precision: `int8` or `fp32`.
            num_threads: Threads of the network.

        Raises:
            ModelError: The bundle is missing, damaged, or of another format.
        """
        bundle = read_bundle(folder)
        try:
            self.labels = bundle.labels
            self._audio, self._features = bundle.about["audio"], bundle.about["features"]
            self._rate_hz = int(self._audio["rate_hz"])
            decision = bundle.about["decision"]
            self._outputs, self._temperature = decision["outputs"], decision["temperature"]
            self._num_shifts = int(decision["num_shifts"])
            self.thresholds: dict[str, float] | None = decision["thresholds"]
            self._kernel = feature_kernel(self._features["kind"], self._features["rule"], self._rate_hz)
            self._denoise = denoiser(self._features.get("denoise"), self._rate_hz)
            network = bundle.network(precision)
        except (LookupError, TypeError, ValueError) as error:
            raise ModelError(
                f"{folder}: expected the bundle as it was exported, got {type(error).__name__} {error}; export it again"
            ) from None
        self._session = _session(network, num_threads)

    def predict(self, path: Path) -> list[tuple[str, float]]:
        """Return every class with its probability, the likeliest first.

        Args:
            path: An audio file.

        Raises:
            AudioError: The file cannot be read or does not hold usable audio.
        """
        try:
            decoded = decode(path.read_bytes())
            return self.predict_wave(decoded.wave_TC, decoded.rate_hz)
        except OSError as error:
            raise AudioError("missing", f"{path}: {error.strerror}") from None
        except AudioError as error:
            raise AudioError(error.status, f"{path}: {error.reason}") from None

    def predict_wave(self, wave_TC: Wave, rate_hz: int) -> list[tuple[str, float]]:
        """Return every class with its probability, the likeliest first.

        Args:
            wave_TC: Samples [T, C], float, full scale = 1.0.
            rate_hz: Sampling rate.

        Raises:
            AudioError: There is no sound in it, and the network was trained without silence.
        """
        probability_L = self.probabilities(self.features(wave_TC, rate_hz))
        order_L = np.argsort(-probability_L, kind="stable")
        return [(self.labels[index], float(probability_L[index])) for index in order_L]

    def features(self, wave_TC: Wave, rate_hz: int) -> Iterator[Float32]:
        """Yield the feature matrix [N, M] of each window: what the features stage would have stored for a recording."""
        wave_T, attenuation_db = to_stored(wave_TC, rate_hz, self._rate_hz)
        facts = measure(wave_T, self._rate_hz)
        trim = self._audio["trim"]
        if is_silent(facts["peak_db"]) and "silent" in trim["exclude"]:
            raise AudioError(
                "silent", f"no sample above {SILENT_PEAK_DB:g} dB; the network was trained without silence"
            )
        levels = {name: facts[name] for name in _GAIN_FACTS}
        gain_db, _ = decide_gain(**levels, attenuation_db=attenuation_db, **self._audio["loudness"])
        window_samples, hop_s = round(self._audio["window_s"] * self._rate_hz), self._audio.get("hop_s")
        hop_samples = None if hop_s is None else round(hop_s * self._rate_hz)
        start, stop = decide_part(
            np.asarray(facts["envelope_db"], np.int8),
            facts["envelope_frame_s"],
            facts["num_samples"],
            self._rate_hz,
            mode=trim["mode"],
            threshold_db=trim["threshold_db"],
            margin_s=trim["margin_s"],
            window_samples=window_samples,
            hop_samples=hop_samples,
        )
        decided = {"stop": stop, "gain_db": gain_db, "pad": trim["pad"]}
        clear_T = self._denoise(wave_T)
        (count,) = num_windows(np.array([stop - start]), window_samples, hop_samples)
        for number in range(count):
            cut = {**decided, "start": start + number * (hop_samples or 0)}
            values_NM = self._kernel(windowed(clear_T, cut, window_samples))
            # As stored, but for int8, whose steps are a clip's own.
            dtype = np.float16 if self._features["rule"]["dtype"] == "float16" else np.float32
            yield np.asarray(values_NM.astype(dtype), np.float32)

    def probabilities(self, windows: Iterable[Float32]) -> Float32:
        """Return the probability of each class [L] of a recording.

        It is the mean over its windows and their circular shifts, as in the evaluation, at the bundle's temperature if it
        has one.

        Args:
            windows: Feature matrices [N, M].
        """
        shifted = (
            np.roll(values_NM, index * len(values_NM) // self._num_shifts, axis=0)
            for values_NM in windows
            for index in range(self._num_shifts)
        )
        scores = [self._session.run(None, {"features": values_NM[None]})[0] for values_NM in shifted]
        probability_1L = np.mean(scores, axis=0)
        if self._temperature is not None:
            probability_1L = scale(probability_1L, self._outputs, self._temperature)
        return np.asarray(probability_1L[0], np.float32)

    def given(self, ranked: list[tuple[str, float]]) -> list[str]:
        """Return the labels that a recording is given: the likeliest, or where several are possible, all that reach their threshold.

        Args:
            ranked: Every class with its probability, the likeliest first, as `predict` returns them.
        """
        if self.thresholds is None:
            return [ranked[0][0]]
        return [label for label, probability in ranked if probability >= self.thresholds[label]]


def _session(network: bytes, num_threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    # Small devices: no arena that keeps the memory of the largest moment, no core kept busy by waiting.
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
