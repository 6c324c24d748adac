"""Archive to log-mel shards with the resampled audio kept, and what a changed loudness or trim rule costs afterwards.

Every contestant reads the same zip of 16-bit WAV, in a process and a thread of its own; counted is the time that they keep a
core busy, from a process that has imported what it needs.
"""

import contextlib
import io
import itertools
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pyloudnorm
import torch
import torchaudio
from clips import RATE_HZ, source, wavs
from suite import OURS, Apart, Contestant, Row, compared, report, take_turns
from threadpoolctl import threadpool_limits

from audioprep.config.data import FeatureRules, LogmelRule, LoudnessRule, RecipeRule, ResampleRule, TrimRule
from audioprep.engine import fresh_folder
from audioprep.io.archives import Place
from audioprep.io.layout import Layout
from audioprep.steps.download import download
from audioprep.steps.features import features
from audioprep.steps.loudness import loudness
from audioprep.steps.resample import resample
from audioprep.steps.trim import trim

WINDOW_S = 5.0
TARGET_LUFS = -23.0
NUM_MELS = 64
# A small corpus: what is paid once, tables and indexes, is spread over them.
NUM_CLIPS = 200
# What a rule of decisions costs does not grow with the clips as decoding does: so many are what a small corpus has.
NUM_DECIDED = 400


class Corpus:
    """Clips as a folder of two classes and as a zip of it."""

    def __init__(self, place: Path, files: list[bytes]) -> None:
        """Write both.

        Args:
            place: An empty folder.
            files: The clips.
        """
        self.folder, self.archive, self.num_clips = place / "unpacked", place / "clips.zip", len(files)
        with zipfile.ZipFile(self.archive, "w", zipfile.ZIP_DEFLATED) as archive:
            for number, data in enumerate(files):
                path = self.folder / "ab"[number % 2] / f"{number:03d}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                archive.write(path, path.relative_to(self.folder))

    def unpacked(self, out: Path) -> list[str]:
        """Unpack the zip and return its files."""
        with zipfile.ZipFile(self.archive) as archive:
            archive.extractall(fresh_folder(out))
        return sorted(map(str, out.rglob("*.wav")))


class Ours:
    """The stages as one process runs them, on clips that are listed."""

    def __init__(self, corpus: Corpus, out: Path, format_: str = "flac") -> None:
        """List the clips, as the download stage does.

        Args:
            corpus: The clips.
            out: A folder of its own.
            format_: What the audio is stored as.
        """
        self._corpus, self._layout = corpus, Layout.in_folder("clips", out)
        self._rule = ResampleRule.model_validate({"format": format_})
        listed = RecipeRule(recipe="folder", root=str(corpus.folder), window_s=WINDOW_S, split="grouped-5fold")
        with quiet():
            download(self._layout, listed)

    def all(self) -> None:
        """Run from the archive to log-mel."""
        for folder in (self._layout.audio, self._layout.features("logmel")):
            fresh_folder(folder)
        with quiet():
            resample(self._layout, [Place((str(self._corpus.archive),))], self._rule, num_shards=1)
            self.decide(LoudnessRule())
            features(self._layout, "logmel", FeatureRules(kinds=("logmel",), logmel=LogmelRule(n_mels=NUM_MELS)))

    def decide(self, rule: LoudnessRule) -> None:
        """Decide gains and cuts, which is all that a changed rule needs before the feature stage."""
        loudness(self._layout, rule)
        trim(self._layout, TrimRule(), WINDOW_S)

    def decider(self) -> Contestant:
        """Return what decides by another target each time."""
        self.all()
        targets = itertools.cycle((-20.0, -23.0))
        return lambda: self.decide(LoudnessRule(target_lufs=next(targets)))


def lhotse_to_shar(corpus: Corpus, out: Path) -> Callable[[], Any]:
    """Return lhotse's way to resampled and normalised audio in Shar; it returns the folder."""

    def run() -> Path:
        lhotse_cuts(corpus, out).to_shar(
            fresh_folder(out / "shar"), fields={"recording": "flac"}, shard_size=corpus.num_clips
        )
        return out / "shar"

    return run


def lhotse_cuts(corpus: Corpus, out: Path) -> Any:
    """Return cuts that are resampled and normalised when they are read."""
    from lhotse import CutSet, Recording

    recordings = (Recording.from_file(path) for path in corpus.unpacked(out))
    cuts = CutSet.from_cuts(recording.to_cut() for recording in recordings)
    return cuts.resample(RATE_HZ).normalize_loudness(TARGET_LUFS)


def lhotse_features(corpus: Corpus, out: Path, *, through_shar: bool) -> Contestant:
    """Return lhotse's way to log-mel in lilcom, through Shar or without keeping audio."""
    from lhotse import CutSet, Fbank, FbankConfig, LilcomChunkyWriter

    extractor = Fbank(FbankConfig(sampling_rate=RATE_HZ, num_filters=NUM_MELS))
    to_shar = lhotse_to_shar(corpus, out)

    def run() -> None:
        cuts = CutSet.from_shar(in_dir=str(to_shar())) if through_shar else lhotse_cuts(corpus, out)
        cuts.to_eager().compute_and_store_features(
            extractor,
            str(fresh_folder(out / "features") / "logmel"),
            storage_type=LilcomChunkyWriter,
            progress_bar=False,
        )

    return run


def hugging_face(corpus: Corpus, out: Path, *, with_features: bool = True) -> Contestant:
    """Return `datasets.map` over the usual libraries: decode, resample, normalise, log-mel; it keeps 16-bit samples."""
    import datasets

    datasets.disable_progress_bars()
    mel = torchaudio.transforms.MelSpectrogram(RATE_HZ, 1024, 400, 160, f_min=50.0, n_mels=NUM_MELS)
    to_db = torchaudio.transforms.AmplitudeToDB()
    meter = pyloudnorm.Meter(RATE_HZ)

    def prepared(row: dict[str, Any]) -> dict[str, Any]:
        wave_T, _ = librosa.load(row["path"], sr=RATE_HZ, mono=True, res_type="soxr_hq")
        # Silence has no loudness.
        gain_db = float(np.nan_to_num(TARGET_LUFS - meter.integrated_loudness(wave_T), posinf=0.0, neginf=0.0))
        wave_T = wave_T * np.float32(10 ** (gain_db / 20))
        steps_T = np.rint(np.clip(wave_T, -1, 32767 / 32768) * 32768).astype(np.int16)
        if not with_features:
            return {"audio": steps_T}
        return {"audio": steps_T, "logmel": to_db(mel(torch.from_numpy(wave_T))).numpy().astype(np.float16)}

    def run() -> None:
        names = corpus.unpacked(out / "unpacked")
        table = datasets.Dataset.from_dict({"path": names})
        table.map(prepared, cache_file_name=str(fresh_folder(out / "arrow") / "rows.arrow"), load_from_cache_file=False)

    return run


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what stages say out of the table."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def data_path(folder: Path) -> Row:
    """Measure the whole path."""
    corpus = Corpus(folder, wavs(NUM_CLIPS))
    beside: dict[str, Contestant] = {
        "audioprep, stored as WAV": Ours(corpus, folder / "wav", "wav").all,
        "lhotse direct, keeps no audio": lhotse_features(corpus, folder / "direct", through_shar=False),
    }
    contestants: dict[str, Contestant] = {
        OURS: Ours(corpus, folder / "ours").all,
        "lhotse through Shar to lilcom": lhotse_features(corpus, folder / "lhotse", through_shar=True),
        "HF datasets.map to Arrow": hugging_face(corpus, folder / "hf"),
        **beside,
    }
    times = take_turns({name: Apart(contestant) for name, contestant in contestants.items()})
    what = f"archive to log-mel shards, resampled audio kept, {corpus.num_clips} clips of {source()} as WAV"
    return compared(what, times, target=1.3, per=corpus.num_clips, beside=tuple(beside))


def changed_rule(folder: Path) -> Row:
    """Measure what a changed loudness or trim rule costs before the feature stage."""
    corpus = Corpus(folder, list(itertools.islice(itertools.cycle(wavs(NUM_CLIPS)), NUM_DECIDED)))
    contestants: dict[str, Contestant] = {
        OURS: Ours(corpus, folder / "ours").decider(),
        "lhotse, full redo to Shar": lhotse_to_shar(corpus, folder / "lhotse"),
        "HF datasets.map, full redo of the audio": hugging_face(corpus, folder / "hf", with_features=False),
    }
    times = take_turns({name: Apart(contestant) for name, contestant in contestants.items()}, rounds=3)
    what = f"rerun after a change of the loudness or trim rule, up to the feature stage, {corpus.num_clips} clips"
    return compared(what, times, target=50.0, per=corpus.num_clips)


def rows() -> list[Row]:
    """Measure both."""
    torch.set_num_threads(1)
    os.environ["AUDIOPREP_WORKERS"] = "1"
    found = []
    for measured in (data_path, changed_rule):
        with threadpool_limits(1), tempfile.TemporaryDirectory(prefix="audioprep-") as folder:
            found.append(measured(Path(folder)))
    return found


def main() -> None:
    """Print the table and write it to results.json."""
    report(rows())


if __name__ == "__main__":
    main()
