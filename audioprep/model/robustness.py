"""The same test with noise and in rooms: clips are degraded, their features made anew, and scored again.

Reads    data/<ds>/audio/shar/, cuts/, and the same of corpora that noise is taken from

The audio is no dependency of the stage in DVC: the features, which are one, are made of it.

Shape letters: T samples, K clips, N frames, M bins, L classes.
"""

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from audioprep.config.training import RobustnessRule
from audioprep.dsp.degrade import part_of_noise, pink_noise, white_noise, with_noise, with_reverb
from audioprep.dsp.denoise import denoiser
from audioprep.dsp.features import feature_kernel, windowed
from audioprep.engine import read_index
from audioprep.errors import ModelError
from audioprep.io.audio import decode_stored
from audioprep.io.shar import cuts_name, read_audio_tar, read_cuts, tar_name
from audioprep.io.sounds import check_sounds, used_sounds
from audioprep.io.window_cuts import part_in_samples, windows_of
from audioprep.model.corpus import Corpus, Ints
from audioprep.model.loop import predict
from audioprep.model.nets import Classifier

_KINDS = ("logmel", "mfcc", "spectrogram", "chroma", "descriptors")
_MADE = {"white": white_noise, "pink": pink_noise}

Floats = npt.NDArray[np.float32]
Degrade = Callable[["WindowedClip", np.random.Generator], npt.NDArray[Any]]


class ScoredFold(NamedTuple):
    """One tested fold.

    Attributes:
        classifier: Its network.
        rows_K: Its clips, as rows of the corpus.
    """

    classifier: Classifier
    rows_K: Ints


class WindowedClip(NamedTuple):
    """The window [T] of a clip, as its features had it, and the mean power of the sound in it."""

    window_T: npt.NDArray[Any]
    power: float


def degraded_scores(
    data: Path, corpus: Corpus, tests: Sequence[ScoredFold], rule: RobustnessRule, num_shifts: int
) -> dict[str, list[Floats]]:
    """Return, for each condition by its name, the probabilities [K, L] of every fold's clips.

    Args:
        data: The corpus's folder, `data/<ds>`; corpora for noise lie beside it.
        corpus: The clips.
        tests: The folds.
        rule: Which conditions.
        num_shifts: As in `predict`.

    Raises:
        ModelError: The features are of no kind that can be made here, or audio is missing.
        ConfigError: There is no such noise.
        ShardError: Audio or cuts are damaged.
    """
    meta = corpus.meta
    if meta["kind"] not in _KINDS:
        raise ModelError(
            f"evaluate.robustness: expected features of a kind of {', '.join(_KINDS)}, got {meta['kind']}; "
            "choose another model.features, or leave robustness empty"
        )
    # As stored, but for int8, whose steps are a clip's own.
    dtype = np.float16 if corpus.shards.dtype == np.float16 else np.float32
    conditions = _conditions(data.parent, rule, meta["rate_hz"])
    shards = shard_numbers(data)
    kernel = feature_kernel(meta["kind"], meta["rule"], meta["rate_hz"])
    denoise = denoiser(meta.get("denoise"), meta["rate_hz"])
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for number, test in enumerate(tests):
        for place, row in enumerate(test.rows_K):
            places[corpus.ids[row]].append((number, place))
    found = {name: [np.zeros((len(t.rows_K), len(corpus.classes)), np.float32) for t in tests] for name in conditions}
    num_found = 0
    for clips in read_clips(data, shards, set(places), meta):
        num_found += len(clips)
        for name, degrade in conditions.items():
            # The noise of a clip depends on nothing but the clip and the seed: it is the same at every level.
            waves = {clip: degrade(sound, _rng(rule.seed, clip)).astype(np.float32) for clip, sound in clips.items()}
            # What a device hears is degraded before noise can be taken away.
            features = {clip: kernel(denoise(wave_T)).astype(dtype) for clip, wave_T in waves.items()}
            for number, test in enumerate(tests):
                own = [(p, features[clip]) for clip in clips for fold, p in places[clip] if fold == number]
                if own:
                    values_KNM = np.stack([values_NM for _, values_NM in own])
                    scores_KL = predict(test.classifier, values_KNM, num_shifts=num_shifts)
                    found[name][number][[place for place, _ in own]] = scores_KL
    if num_found != len(places):
        raise ModelError(
            f"evaluate.robustness: expected the audio of {len(places)} clips in {data}, got that of {num_found}; "
            "run the resample and trim stages, or leave robustness empty"
        )
    return found


def _conditions(folder: Path, rule: RobustnessRule, rate_hz: int) -> dict[str, Degrade]:
    """Return what is done to clips, by a name that says it."""
    conditions: dict[str, Degrade] = {}
    for name in rule.noises if rule.snr_db else ():
        draw = _MADE.get(name) or _recorded(folder, name, rate_hz)
        for snr_db in rule.snr_db:
            conditions[f"{name} noise, {snr_db:g} dB"] = _noisy(draw, snr_db)
    for rt60_s in rule.reverb_s:
        conditions[f"reverb, {rt60_s:g} s"] = _reverberant(rate_hz, rt60_s)
    return conditions


def _noisy(draw: Callable[[int, np.random.Generator], npt.NDArray[np.float64]], snr_db: float) -> Degrade:
    return lambda clip, rng: with_noise(clip.window_T, draw(len(clip.window_T), rng), snr_db, clip.power)


def _reverberant(rate_hz: int, rt60_s: float) -> Degrade:
    return lambda clip, rng: with_reverb(clip.window_T, rate_hz, rt60_s, rng)


def _recorded(folder: Path, name: str, rate_hz: int) -> Callable[[int, np.random.Generator], npt.NDArray[np.float64]]:
    """Return what draws from the sounds of a prepared corpus, or of one label of it."""
    where, expected = "evaluate.robustness.noises", f"{', '.join(_MADE)} or a prepared corpus"
    check_sounds(where, folder, name, rate_hz, expected=expected)
    waves = [wave_T for wave_T, _ in used_sounds(where, folder, name)]
    return lambda num_samples, rng: part_of_noise(waves[int(rng.integers(len(waves)))], num_samples, rng)


def read_clips(
    data: Path,
    shards: Sequence[int],
    wanted: set[str],
    meta: Mapping[str, Any],
    clear: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] = lambda wave_T: wave_T,
) -> Iterator[dict[str, WindowedClip]]:
    """Yield the wanted clips of one audio shard after another, at the level and of the length that their features had.

    Args:
        data: The corpus's folder, `data/<ds>`.
        shards: What `shard_numbers` returns.
        wanted: Ids of clips.
        meta: What the feature shards say of themselves.
        clear: What takes the noise from a recording before it is cut.
    """
    rate_hz, num_samples = meta["rate_hz"], round(meta["window_s"] * meta["rate_hz"])
    for shard in shards:
        cuts = defaultdict(list)
        used = (cut for cut in read_cuts(data / "cuts" / cuts_name(shard)) if cut["custom"]["used"])
        for recording, cut in (pair for whole in used for pair in windows_of(whole)):
            if cut["id"] in wanted:
                cuts[recording].append(cut)
        clips = {}
        for recording, sound in read_audio_tar(data / "audio" / "shar" / tar_name(shard)) if cuts else ():
            if recording not in cuts:
                continue
            wave_T = clear(decode_stored(sound))
            for cut in cuts[recording]:
                decided = part_in_samples(cut, rate_hz)
                part_T = windowed(wave_T, decided, min(num_samples, decided["stop"] - decided["start"]))
                power = float(np.mean(np.square(part_T, dtype=np.float64)))
                clips[cut["id"]] = WindowedClip(windowed(wave_T, decided, num_samples), power)
        yield clips


def shard_numbers(data: Path) -> list[int]:
    """Return the numbers of the audio shards that hold clips.

    Raises:
        ModelError: Audio or cuts are missing.
    """
    if not (data / "audio" / "shar").is_dir() or not (data / "cuts").is_dir():
        raise ModelError(
            f"evaluate.robustness: expected the audio and cuts of {data}, found none; get them by `audioprep restore "
            f"{data.name}`, or leave robustness empty"
        )
    return [entry["shard"] for entry in read_index(data / "audio")["shards"] if entry["rows"]]


def _rng(seed: int, clip: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(clip.encode())])
