"""Speed side by side: ours and every peer in turn on the same clips, several rounds, median ratio, one thread each.

`make bench` prints the table and writes results.json beside this file. Absolute times are not comparable between
machines, nor between runs on a shared one; ratios within a run are.
"""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import torch
import torchaudio
from threadpoolctl import threadpool_limits

from audioprep.config.data import LogmelRule, MfccRule
from audioprep.console import show_table
from audioprep.dsp.features import feature_kernel

HERE = Path(__file__).resolve().parent
ESC10 = HERE.parent.parent / "shared" / "data" / "esc10" / "audio"
RATE_HZ, NUM_CLIPS, ROUNDS = 16_000, 40, 7

Kernel = Callable[[np.ndarray], object]


def clips() -> tuple[str, list[np.ndarray]]:
    """Return real 5-s clips at 16 kHz where they are there, otherwise clips of the demo corpus, joined to 5 s."""
    if ESC10.is_dir():
        paths = sorted(ESC10.glob("*.ogg"))[:NUM_CLIPS]
        return "ESC-10", [librosa.load(path, sr=RATE_HZ, duration=5.0)[0].astype(np.float32) for path in paths]
    from audioprep.io.audio import decode_stored
    from audioprep.io.shar import read_audio_tar

    tars = sorted((HERE.parent / "data" / "demo" / "audio" / "shar").glob("recording.*.tar"))
    waves = [decode_stored(flac) for tar in tars for _, flac in read_audio_tar(tar)]
    whole = np.concatenate(waves)
    count = min(NUM_CLIPS, len(whole) // (5 * RATE_HZ))
    return "demo", list(whole[: count * 5 * RATE_HZ].reshape(count, -1))


def ours() -> Kernel:
    """Return log-mel and MFCC as two stages make them: each from the wave."""
    logmel = feature_kernel("logmel", LogmelRule().model_dump(), RATE_HZ)
    mfcc = feature_kernel("mfcc", MfccRule().model_dump(), RATE_HZ)
    return lambda wave_T: (logmel(wave_T), mfcc(wave_T))


def torchaudio_peer() -> Kernel:
    """Return the same two with torchaudio's transforms."""
    torch.set_num_threads(1)
    mel = {"n_fft": 1024, "win_length": 400, "hop_length": 160, "n_mels": 64}
    logmel = torch.nn.Sequential(
        torchaudio.transforms.MelSpectrogram(RATE_HZ, f_min=50.0, norm="slaney", mel_scale="slaney", **mel),
        torchaudio.transforms.AmplitudeToDB(),
    )
    mfcc = torchaudio.transforms.MFCC(RATE_HZ, n_mfcc=13, melkwargs=mel)

    @torch.inference_mode()
    def run(wave_T: np.ndarray) -> object:
        wave = torch.from_numpy(wave_T)
        return logmel(wave), mfcc(wave)

    return run


def librosa_peer() -> Kernel:
    """Return the same two with librosa."""

    def run(wave_T: np.ndarray) -> object:
        stft = {"n_fft": 1024, "win_length": 400, "hop_length": 160, "n_mels": 64}
        mel = librosa.feature.melspectrogram(y=wave_T, sr=RATE_HZ, fmin=50, **stft)
        htk = librosa.feature.melspectrogram(y=wave_T, sr=RATE_HZ, htk=True, norm=None, **stft)
        logmel = librosa.power_to_db(mel, top_db=None)
        return logmel, librosa.feature.mfcc(S=librosa.power_to_db(htk), n_mfcc=13)

    return run


def seconds(kernel: Kernel, waves: list[np.ndarray]) -> float:
    """Return the time for all clips once."""
    started_s = time.perf_counter()
    for wave_T in waves:
        kernel(wave_T)
    return time.perf_counter() - started_s


def compare(kernels: dict[str, Kernel], waves: list[np.ndarray]) -> dict[str, float]:
    """Return, for every kernel, the median over rounds of its time per clip; the kernels take turns."""
    times: dict[str, list[float]] = {name: [] for name in kernels}
    for _ in range(ROUNDS + 1):
        for name, kernel in kernels.items():
            times[name].append(seconds(kernel, waves) / len(waves))
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}  # the first round warms up


def main() -> None:
    """Run every comparison, print the table and write it."""
    source, waves = clips()
    with threadpool_limits(1):
        medians = compare({"audioprep": ours(), "torchaudio": torchaudio_peer(), "librosa": librosa_peer()}, waves)
    best = min((name for name in medians if name != "audioprep"), key=lambda name: medians[name])
    row = {
        "row": f"log-mel and MFCC of a 5-s clip, 16 kHz, n_fft 1024, 64 mels ({len(waves)} clips of {source})",
        "unit": "ms",
        "ours": round(1e3 * medians["audioprep"], 3),
        "best_peer": best,
        "peer": round(1e3 * medians[best], 3),
        "ratio": round(medians[best] / medians["audioprep"], 2),
        "all": {name: round(1e3 * value, 3) for name, value in medians.items()},
    }
    show_table(
        "Benchmarks",
        ("what", "ours", "best peer", "peer", "ratio"),
        [(row["row"], f"{row['ours']} ms", row["best_peer"], f"{row['peer']} ms", f"{row['ratio']} x")],
    )
    (HERE / "results.json").write_text(json.dumps([row], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
