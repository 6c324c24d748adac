"""Classification of sound with an exported bundle.

Shape letters: T samples, N frames, M bins, L classes.
"""

import io
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnxruntime

from audioprep.dsp.arrays import Float32, Wave
from audioprep.dsp.decide import MIN_DURATION_S
from audioprep.dsp.measure import to_mono
from audioprep.dsp.temperature import scale
from audioprep.edge.front import Front
from audioprep.errors import AudioError, ModelError
from audioprep.io.audio import Decoded, decode_blocks
from audioprep.io.bundle import Bundle

Ranked = list[tuple[str, float]]


class Predictor:
    """An exported classifier, ready to hear files.

    Probabilities are those of the report: with the temperature that was fitted on validation clips, if there were some.
    What is longer than the bundle's window is judged by the first window of its used part, or where the pipeline made
    several of each recording, by the mean over all of them.

    Attributes:
        labels: The classes.
        thresholds: For classes of which a recording may have several: from which probability each is given. None where it
            has one.
        front: What makes features of sound.
    """

    def __init__(
        self, bundle: Bundle, front: Front | None = None, precision: str = "int8", num_threads: int = 1
    ) -> None:
        """Load the network of a bundle.

        Args:
            bundle: The bundle.
            front: What makes features of sound; None is the bundle's own, which needs numpy alone.
            precision: `int8` or `fp32`.
            num_threads: Threads of the network.

        Raises:
            ModelError: The bundle is incomplete or altered, or its features need more than numpy and no `front` is given.
        """
        try:
            self.labels = bundle.labels
            decision = bundle.about["decision"]
            self._outputs, self._temperature = decision["outputs"], decision["temperature"]
            self._num_shifts = int(decision["num_shifts"])
            self.thresholds: dict[str, float] | None = decision["thresholds"]
            self.front = front or Front(bundle.about["audio"], bundle.about["features"], bundle.arrays())
            network = bundle.network(precision)
        except (LookupError, TypeError, ValueError) as error:
            raise ModelError(
                f"{bundle.folder}: expected the bundle as it was exported, got {type(error).__name__} {error}; export it again"
            ) from None
        self._session = _session(network, num_threads)

    def predict(self, path: Path) -> Ranked:
        """Return every class with its probability, the likeliest first.

        Args:
            path: An audio file.

        Raises:
            AudioError: The file cannot be read, does not hold usable audio, or holds no sound and the network was trained
                without silence.
        """
        return self.classify(self.sound(path), path)

    def classify(self, wave_T: Wave, path: Path) -> Ranked:
        """Return the same for the sound of a file, as `sound` returns it.

        Raises:
            AudioError: It holds no sound, and the network was trained without silence.
        """
        try:
            return self.ranked(self.probabilities(self.front.windows(wave_T)))
        except AudioError as error:
            raise AudioError(error.status, f"{path}: {error.reason}") from None

    def sound(self, path: Path) -> Float32:
        """Return what is in an audio file, mono at the rate of the front [T].

        Raises:
            AudioError: The file cannot be read, does not hold usable audio, or is shorter than what the pipeline takes.
        """
        return np.concatenate(list(self.blocks(path)))

    def blocks(self, path: Path) -> Iterator[Float32]:
        """Yield the same in pieces, so that an hour of sound needs no memory for it.

        Raises:
            AudioError: As `sound` does; the pieces before it may have been good.
        """
        decoded = _decoded(path)
        first = next(decoded)
        yield from self.front.stream((to_mono(block.wave_TC) for block in chain([first], decoded)), first.rate_hz)

    def probability_of(self, wave_T: Wave) -> Float32 | None:
        """Return the probability of each class [L] of sound at the rate of the front [T]; None for silence, see `Front.windows`."""
        try:
            return self.probabilities(self.front.windows(wave_T))
        except AudioError:
            return None

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

    def ranked(self, probability_L: Float32) -> Ranked:
        """Return every class with its probability, the likeliest first."""
        order_L = np.argsort(-probability_L, kind="stable")
        return [(self.labels[index], float(probability_L[index])) for index in order_L]

    def given(self, ranked: Ranked) -> list[str]:
        """Return the labels that a recording is given: the likeliest, or where several are possible, all that reach their threshold.

        Args:
            ranked: Every class with its probability, the likeliest first, as `predict` returns them.
        """
        if self.thresholds is None:
            return [ranked[0][0]]
        return [label for label, probability in ranked if probability >= self.thresholds[label]]


def _decoded(path: Path) -> Iterator[Decoded]:
    """Yield a file block by block, with errors that name it."""
    duration_s = 0.0
    try:
        with _opened(path) as file:
            for block in decode_blocks(file):
                duration_s += len(block.wave_TC) / block.rate_hz
                yield block
    except OSError as error:
        status = "missing" if isinstance(error, FileNotFoundError) else "unreadable"
        raise AudioError(status, f"{path}: {error.strerror}") from None
    except AudioError as error:
        raise AudioError(error.status, f"{path}: {error.reason}") from None
    if duration_s < MIN_DURATION_S:
        raise AudioError(
            "too_short", f"{path}: {1e3 * duration_s:.1f} ms of sound, expected at least {1e3 * MIN_DURATION_S:g} ms"
        )


def _opened(path: Path) -> BinaryIO:
    if path.is_char_device() or path.is_block_device():  # which may never end
        return io.BytesIO()
    return path.open("rb") if path.is_file() else io.BytesIO(path.read_bytes())  # a pipe cannot seek


def _session(network: bytes, num_threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    # Small devices: no arena that keeps the memory of the largest moment, no core kept busy by waiting.
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
