"""Log-mel and MFCC of the same clips: one shared pass of ours beside the transforms of others, and what the machine allows.

Usage: python benchmarks/kernels.py

Every peer makes both kinds from the wave with its own transforms, one thread. torchaudio and librosa compute just what ours
does, which is checked first. lhotse and kaldi-native-fbank have Kaldi's definition (pre-emphasis, other window) and derive
the transform from the window: 512 points for 25 ms. So they stand beside the first line, where they have half of the others'
work, and have one of their own, where all take 512 points.
"""

import statistics
from collections.abc import Callable
from functools import partial

import kaldi_native_fbank as knf
import lhotse
import librosa
import numpy as np
import scipy.fft
import torch
import torchaudio
from clips import RATE_HZ, source, waves
from suite import OURS, Row, compared, cpu_seconds, report, take_turns
from threadpoolctl import threadpool_limits

from audioprep.config.data import LogmelRule, MfccRule
from audioprep.dsp.features import feature_kernels
from audioprep.dsp.mel import mel_filterbank

LOGMEL, MFCC = LogmelRule(), MfccRule()
WIN_SAMPLES, HOP_SAMPLES, N_MELS = 400, 160, LOGMEL.n_mels
KALDI_N_FFT = 512
LIMITS = ("torch FFT + GEMM", "scipy FFT + GEMM")
KALDI = ("lhotse", "kaldi-native-fbank")

Kernel = Callable[[np.ndarray], object]


def ours(n_fft: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Return log-mel and MFCC as the features stage makes them."""
    rules = {"logmel": LOGMEL.model_dump(), "mfcc": MFCC.model_dump()}
    return feature_kernels({kind: {**rule, "n_fft": n_fft} for kind, rule in rules.items()}, RATE_HZ)


def torchaudio_peer(n_fft: int) -> Callable[[np.ndarray], tuple[torch.Tensor, torch.Tensor]]:
    """Return the same two with torchaudio's transforms."""
    common = {"n_fft": n_fft, "win_length": WIN_SAMPLES, "hop_length": HOP_SAMPLES, "n_mels": N_MELS}
    logmel = torch.nn.Sequential(
        torchaudio.transforms.MelSpectrogram(RATE_HZ, f_min=50.0, norm="slaney", mel_scale="slaney", **common),
        torchaudio.transforms.AmplitudeToDB(),
    )
    mfcc = torchaudio.transforms.MFCC(RATE_HZ, n_mfcc=MFCC.n_mfcc, melkwargs=common)

    @torch.inference_mode()
    def run(wave_T: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        wave = torch.from_numpy(wave_T)
        return logmel(wave), mfcc(wave)

    return run


def librosa_peer(n_fft: int) -> Kernel:
    """Return the same two with librosa."""
    common = {"sr": RATE_HZ, "n_fft": n_fft, "win_length": WIN_SAMPLES, "hop_length": HOP_SAMPLES, "n_mels": N_MELS}

    def run(wave_T: np.ndarray) -> object:
        mel = librosa.feature.melspectrogram(y=wave_T, fmin=50.0, pad_mode="reflect", **common)
        htk = librosa.feature.melspectrogram(y=wave_T, htk=True, norm=None, pad_mode="reflect", **common)
        logmel = librosa.power_to_db(mel, top_db=None)
        return logmel, librosa.feature.mfcc(S=librosa.power_to_db(htk), n_mfcc=MFCC.n_mfcc)

    return run


def lhotse_peer() -> Kernel:
    """Return lhotse's Fbank and Mfcc."""
    fbank = lhotse.Fbank(lhotse.FbankConfig(num_filters=N_MELS, low_freq=50.0, high_freq=0.0))
    mfcc = lhotse.Mfcc(lhotse.MfccConfig(num_filters=N_MELS, low_freq=20.0, high_freq=0.0, num_ceps=MFCC.n_mfcc))
    return lambda wave_T: (fbank.extract(wave_T, RATE_HZ), mfcc.extract(wave_T, RATE_HZ))


def kaldi_peer() -> Kernel:
    """Return kaldi-native-fbank's Fbank and MFCC."""

    def options(kind: type, low_hz: float) -> object:
        chosen = kind()
        chosen.frame_opts.dither, chosen.frame_opts.snip_edges = 0.0, False
        chosen.mel_opts.num_bins, chosen.mel_opts.low_freq = N_MELS, low_hz
        return chosen

    fbank, mfcc = options(knf.FbankOptions, 50.0), options(knf.MfccOptions, 20.0)

    def features(online: object, wave_T: np.ndarray) -> np.ndarray:
        online.accept_waveform(RATE_HZ, wave_T)
        online.input_finished()
        return np.stack([online.get_frame(frame) for frame in range(online.num_frames_ready)])

    return lambda wave_T: (features(knf.OnlineFbank(fbank), wave_T), features(knf.OnlineMfcc(mfcc), wave_T))


def limits(n_fft: int) -> dict[str, Kernel]:
    """Return the bare work: one real FFT of every frame and one dense product with both filterbanks, by two libraries.

    Its data lie in the cache, and it makes no frames, no powers, no logarithm and no DCT.
    """
    frames = np.random.default_rng(0).standard_normal((512, n_fft), dtype=np.float32)
    powers = torch.rand(512, n_fft // 2 + 1)
    nyquist_hz = RATE_HZ / 2
    banks = [mel_filterbank(RATE_HZ, n_fft, N_MELS, 50.0, nyquist_hz, "slaney", "slaney")]
    banks.append(mel_filterbank(RATE_HZ, n_fft, N_MELS, 0.0, nyquist_hz))
    filters = torch.from_numpy(np.concatenate(banks).T.copy())
    tensor = torch.from_numpy(frames)

    @torch.inference_mode()
    def bare(transform: Callable[[int], object], wave_T: np.ndarray) -> object:
        num_frames = 1 + wave_T.size // HOP_SAMPLES
        return transform(num_frames), powers[:num_frames] @ filters

    return {
        LIMITS[0]: partial(bare, lambda num_frames: torch.fft.rfft(tensor[:num_frames])),
        LIMITS[1]: partial(bare, lambda num_frames: scipy.fft.rfft(frames[:num_frames])),
    }


def check(n_fft: int, clips: list[np.ndarray]) -> None:
    """Refuse to measure what is not equal: ours and torchaudio's, to 1e-3 within 60 dB of a frame's loudest band."""
    kernels, peer = ours(n_fft), torchaudio_peer(n_fft)
    for wave_T in clips:
        for mine, tensor in zip(kernels(wave_T).values(), peer(wave_T), strict=True):
            theirs = tensor.numpy().T
            is_heard = theirs > theirs.max(axis=1, keepdims=True) - 60
            worst = np.abs(mine - theirs)[is_heard].max()
            if not worst <= 1e-3:
                raise SystemExit(f"kernels: expected torchaudio's features to 1e-3, got {worst:g} off; mend ours first")


def measured(n_fft: int, clips: list[np.ndarray]) -> dict[str, list[float]]:
    """Return the seconds of every round, by contestant."""
    check(n_fft, clips)
    kernels: dict[str, Kernel] = {
        OURS: ours(n_fft),
        "torchaudio": torchaudio_peer(n_fft),
        "librosa": librosa_peer(n_fft),
        "lhotse": lhotse_peer(),
        "kaldi-native-fbank": kaldi_peer(),
        **limits(n_fft),
    }

    def over_all(kernel: Kernel) -> None:
        for wave_T in clips:
            kernel(wave_T)

    turns = {name: partial(over_all, kernel) for name, kernel in kernels.items()}
    return take_turns(turns, measure=cpu_seconds)  # one thread each: what counts is core-seconds


def rows() -> list[Row]:
    """Measure; one thread each."""
    clips = waves()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        full, half = measured(LOGMEL.n_fft, clips), measured(KALDI_N_FFT, clips)
    limit = min(LIMITS, key=lambda name: statistics.median(full[name]))
    what = f"log-mel and MFCC of a 5-s clip, 16 kHz, n_fft {LOGMEL.n_fft}, {N_MELS} mels"
    on = f"({len(clips)} clips of {source()})"
    slower = tuple(set(LIMITS) - {limit})
    per = len(clips)
    return [
        compared(f"{what} {on}", full, target=3.0, per=per, limit=limit, beside=(*slower, *KALDI)),
        compared(f"{what}, against the bare work {on}", {n: full[n] for n in (OURS, limit)}, target=0.6, per=per),
        compared(
            f"the same with the n_fft {KALDI_N_FFT} of lhotse and kaldi-native-fbank {on}",
            half,
            target=3.0,
            per=per,
            limit=limit,
            beside=(*slower, "torchaudio", "librosa"),
        ),
    ]


def main() -> None:
    """Measure and print."""
    report(rows())


if __name__ == "__main__":
    main()
