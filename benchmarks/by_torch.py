"""What the bundle is compared with: the same clip heard with the checkpoint, torch, and the package's features.

Usage: python benchmarks/by_torch.py CHECKPOINT BUNDLE FILE
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from audioprep.dsp.features import feature_kernel
from audioprep.dsp.measure import to_mono
from audioprep.dsp.resample import resample
from audioprep.edge.front import Front
from audioprep.io.audio import decode
from audioprep.io.bundle import read_bundle
from audioprep.model.checkpoints import load_checkpoint
from audioprep.model.loop import predict


def torch_classifier(checkpoint: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from feature matrices [K, N, M] to probabilities [K, L], in one thread."""
    torch.set_num_threads(1)
    classifier = load_checkpoint(checkpoint).classifier
    return lambda values_KNM: predict(classifier, values_KNM)


def listener(checkpoint: Path, folder: Path) -> Callable[[bytes], np.ndarray]:
    """Return the function from a file's bytes to the probability of each class [L].

    Args:
        checkpoint: The network.
        folder: Its bundle, which says what happens to sound before it.
    """
    about = read_bundle(folder).about
    features = about["features"]
    front = Front(
        about["audio"], features, {}, feature_kernel(features["kind"], features["rule"], about["audio"]["rate_hz"])
    )
    classify, num_shifts = torch_classifier(checkpoint), about["decision"]["num_shifts"]

    def hear(data: bytes) -> np.ndarray:
        decoded = decode(data)
        wave_T = resample(to_mono(decoded.wave_TC), decoded.rate_hz, front.rate_hz)
        windows = list(front.windows(wave_T))
        shifted = [
            np.roll(x_NM, index * len(x_NM) // num_shifts, axis=0) for x_NM in windows for index in range(num_shifts)
        ]
        return classify(np.stack(shifted)).mean(axis=0)

    return hear


def main() -> None:
    """Print the likeliest class of a file."""
    checkpoint, bundle, file = map(Path, sys.argv[1:])
    probability_L = listener(checkpoint, bundle)(file.read_bytes())
    label = read_bundle(bundle).labels[probability_L.argmax()]
    print(f"{file}: {label} {probability_L.max():.3f}")


if __name__ == "__main__":
    main()
