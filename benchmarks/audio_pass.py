"""Archive to audio shards with facts: decode, resample, measure, hash, encode; ours against what people write by hand.

Every contestant reads the same zip and writes 16-bit mono FLAC at 16 kHz, in a process and a thread of its own; counted is
the time that they keep a core busy. The peers measure the loudness alone; ours the loudness, true peak, levels, envelope, bandwidth, clipping, fingerprint and two hashes.
"""

import hashlib
import io
import statistics
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import deflate
import librosa
import numpy as np
import pyloudnorm
import scipy.fft
import soundfile
import soxr
import torch
from clips import RATE_HZ, oggs, source, wavs
from scipy.signal import sosfilt
from suite import OURS, Apart, Contestant, Row, compared, median_ratio, report, take_turns
from threadpoolctl import threadpool_limits

from audioprep.dsp.k_weighting import k_weighting
from audioprep.dsp.loudness import true_peak_db
from audioprep.engine import fresh_folder
from audioprep.io.archives import Place, open_members
from audioprep.io.tables import FILES, rows_to_table
from audioprep.steps.resample import make_audio_shard

NUM_CLIPS = 80  # half of what a shard holds by default: its tables are written once
ROUNDS = 5
TARGET_LUFS = -23.0
# Of the fingerprint and of the bandwidth: how many frames, of how many samples, 5 s at 16 kHz have.
SPECTRA = ((497, 512), (32, 1024))


def packed(folder: Path, files: Sequence[bytes], suffix: str) -> Path:
    """Return a zip of the files as corpora are published: compressed."""
    path = folder / f"clips{suffix}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, data in enumerate(files):
            archive.writestr(f"audio/{number:03d}{suffix}", data)
    return path


def shard_arguments(archive: Path, format_: str = "flac") -> dict[str, Any]:
    """Return what the shard function gets for a shard that holds the whole archive."""
    places, work = [Place((str(archive),))], archive.parent / "index"
    names = open_members(places, work).names()
    clip = {"digest": "listed", "start_s": None, "end_s": None, "sha256": None}
    return {
        "shard": 0,
        "places": places,
        "archive_work": str(work),
        "rate_hz": RATE_HZ,
        "format": format_,
        "max_decode_s": 60.0,
        "files": rows_to_table(({"id": Path(name).stem, "member": name, **clip} for name in names), FILES),
    }


def ours(archive: Path, out: Path, format_: str = "flac") -> Contestant:
    """Return the shard function of the resample stage, as a worker process runs it."""
    arguments = shard_arguments(archive, format_)

    def run() -> None:
        if make_audio_shard(arguments, fresh_folder(out)) != len(arguments["files"]):
            raise SystemExit(f"{archive}: expected every clip in the shard, got fewer; see {out / 'status.parquet'}")

    return run


def by_hand(archive: Path, out: Path) -> Contestant:
    """Return the usual loop of librosa, pyloudnorm and soundfile, file by file out of the zip."""
    meter = pyloudnorm.Meter(RATE_HZ)

    def run() -> None:
        fresh_folder(out)
        with zipfile.ZipFile(archive) as members:
            for name in members.namelist():
                wave_T, _ = librosa.load(io.BytesIO(members.read(name)), sr=RATE_HZ, mono=True, res_type="soxr_hq")
                meter.integrated_loudness(wave_T)
                soundfile.write(out / f"{Path(name).stem}.flac", wave_T, RATE_HZ, subtype="PCM_16")

    return run


def unpacked(archive: Path, out: Path) -> list[Path]:
    """Return the files of a zip after unpacking it: lhotse and ffmpeg read files."""
    with zipfile.ZipFile(archive) as members:
        members.extractall(fresh_folder(out))
    return sorted(path for path in out.rglob("*") if path.is_file())


def by_lhotse(archive: Path, out: Path) -> Contestant:
    """Return lhotse's way to a Shar of FLAC."""
    from lhotse import CutSet, Recording

    def run() -> None:
        recordings = [Recording.from_file(path) for path in unpacked(archive, out)]
        cuts = CutSet.from_cuts(recording.to_cut() for recording in recordings)
        cuts = cuts.resample(RATE_HZ).normalize_loudness(TARGET_LUFS)
        cuts.to_shar(fresh_folder(out / "shar"), fields={"recording": "flac"}, shard_size=len(recordings))

    return run


def by_ffmpeg(archive: Path, out: Path) -> Contestant:
    """Return one process of ffmpeg a file, which resamples, measures and encodes."""
    filters = f"aresample={RATE_HZ},aformat=channel_layouts=mono,ebur128=peak=true"
    options = ["-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1"]

    def run() -> None:
        for path in unpacked(archive, out):
            flac = ["-ar", str(RATE_HZ), "-sample_fmt", "s16", "-c:a", "flac", str(path.with_suffix(".out.flac"))]
            command = ["ffmpeg", *options, "-i", str(path), "-filter_threads", "1", "-af", filters, *flac]
            subprocess.run(command, check=True)

    return run


def bare_kernels(archive: Path, folder: Path) -> dict[str, Contestant]:
    """Return the library calls that this work cannot do without, each alone, on the data that it gets in our pass."""
    paths = unpacked(archive, folder / "unpacked")
    files = [path.read_bytes() for path in paths]
    decoded = [soundfile.read(path, dtype="float32") for path in paths]
    waves = [(wave_T if wave_T.ndim == 1 else wave_T.mean(axis=1), rate_hz) for wave_T, rate_hz in decoded]
    resampled = [soxr.resample(wave_T, rate_hz, RATE_HZ, quality="HQ") for wave_T, rate_hz in waves]
    steps = [np.rint(np.clip(wave_T, -1, 32767 / 32768) * 32768).astype(np.int16) for wave_T in resampled]
    stored = [(steps_T / 32768).astype(np.float32) for steps_T in steps]
    doubles = [wave_T.astype(np.float64) for wave_T in stored]
    filters = k_weighting(RATE_HZ)
    frames = [np.random.default_rng(0).normal(size=shape).astype(np.float32) for shape in SPECTRA]

    def each(kernel: Callable[..., object], items: Sequence[Any]) -> Contestant:
        return lambda: [kernel(item) for item in items] and None

    # The same bytes again as one stream each: the zip says nothing of where its streams lie.
    deflated = [(zlib.compress(data, wbits=-zlib.MAX_WBITS), len(data)) for data in files]

    def inflate(stream: tuple[bytes, int]) -> None:
        deflate.crc32(deflate.deflate_decompress(*stream))

    return {
        "inflate": each(inflate, deflated),
        "sha256 of the file": each(lambda data: hashlib.sha256(data).digest(), files),
        "libsndfile, from a file": each(lambda path: soundfile.read(path, dtype="float32"), paths),
        "soxr HQ": each(lambda item: soxr.resample(item[0], item[1], RATE_HZ, quality="HQ"), waves),
        "sosfilt": each(lambda wave_T: sosfilt(filters, wave_T), doubles),
        "true peak": each(true_peak_db, stored),
        "spectra": each(lambda _: [scipy.fft.rfft(block, axis=1) for block in frames], files),
        "sha256 of the samples": each(lambda steps_T: hashlib.sha256(steps_T.data).digest(), steps),
        "FLAC": each(lambda s_T: soundfile.write(io.BytesIO(), s_T, RATE_HZ, format="FLAC", subtype="PCM_16"), steps),
    }


def rows_of(kind: str, files: Sequence[bytes], folder: Path) -> list[Row]:
    """Return the two lines of one kind of file: against the peers, and against the bare kernels."""
    archive = packed(folder, files, f".{kind.lower()}")
    peers = {
        "librosa + pyloudnorm + soundfile": by_hand(archive, folder / "hand"),
        "lhotse to Shar": by_lhotse(archive, folder / "lhotse"),
        "ffmpeg, a process a file": by_ffmpeg(archive, folder / "ffmpeg"),
    }
    kernels = bare_kernels(archive, folder)
    as_wav = {"audioprep, stored as WAV": ours(archive, folder / "wav", "wav")}
    contestants = {OURS: ours(archive, folder / "ours"), **peers, **as_wav, **kernels}
    times = take_turns({name: Apart(contestant) for name, contestant in contestants.items()}, ROUNDS)
    bare = [sum(times[name][at] for name in kernels) for at in range(len(times[OURS]))]
    what = f"{len(files)} clips of {source()} as {kind}"
    shown = {name: times[name] for name in (OURS, *peers, *as_wav)} | {"bare kernels": bare}
    against_peers = compared(
        f"archive to FLAC shards and facts, {what}",
        shown,
        target=1.2,
        per=len(files),
        limit="bare kernels",
        beside=tuple(as_wav),
    )
    per_clip = {name: 1e3 * statistics.median(taken) / len(files) for name, taken in times.items()}
    ratio = median_ratio(bare, times[OURS])
    against_kernels = Row(
        row=f"sum of the bare kernels of the audio pass, {what}",
        unit="ms",
        ours=round(per_clip[OURS], 4),
        best_peer="bare kernels",
        peer=round(1e3 * statistics.median(bare) / len(files), 4),
        limit=None,
        ratio=round(ratio, 2),
        target=0.8,
        met=ratio >= 0.8,
        others={name: round(per_clip[name], 4) for name in kernels},
    )
    return [against_peers, against_kernels]


def rows() -> list[Row]:
    """Measure on WAV and on OGG."""
    torch.set_num_threads(1)
    with threadpool_limits(1), tempfile.TemporaryDirectory(prefix="audioprep-") as folder:
        found = []
        for kind, files in (("WAV", wavs(NUM_CLIPS)), ("OGG", oggs(NUM_CLIPS))):
            place = Path(folder, kind)
            place.mkdir()
            found += rows_of(kind, files, place)
        return found


def main() -> None:
    """Print the table and write it to results.json."""
    report(rows())


if __name__ == "__main__":
    main()
