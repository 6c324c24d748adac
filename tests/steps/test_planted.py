"""A folder of real recordings with planted copies, prepared and audited: every copy is found, and nothing else."""

import csv
from collections import Counter

import numpy as np
import pytest
import soundfile
import soxr

from audioprep.io.layout import Layout
from audioprep.io.tables import read_table
from audioprep.steps.audit import audit
from audioprep.steps.prepare import Asked, prepare_in_folder

pytestmark = pytest.mark.real

NUM_OF_EACH = 140
RATES_HZ = {"ogg": 22050, "mp3": 32000}
EXACT = ("bytes", "samples")


def write_copy(kind, source, root):
    """Write a copy of a WAV file and return its name."""
    wave_T, rate_hz = soundfile.read(source, dtype="float32")
    name = f"{kind}_{source.stem}"
    if kind == "bytes":
        (root / f"{name}.wav").write_bytes(source.read_bytes())
        return f"{name}.wav"
    if kind in RATES_HZ:
        soundfile.write(root / f"{name}.{kind}", soxr.resample(0.5 * wave_T, rate_hz, RATES_HZ[kind]), RATES_HZ[kind])
        return f"{name}.{kind}"
    length = len(wave_T)
    waves = {
        "samples": wave_T,
        "telephone": soxr.resample(0.3 * wave_T, rate_hz, 8000),
        "shifted": np.concatenate([np.zeros(int(0.137 * rate_hz), np.float32), 0.7 * wave_T]),
        "cropped": 0.9 * wave_T[int(0.21 * length) : int(0.83 * length)],
    }
    soundfile.write(root / f"{name}.flac", waves[kind], 8000 if kind == "telephone" else rate_hz, subtype="PCM_16")
    return f"{name}.flac"


KINDS = (*EXACT, *RATES_HZ, "telephone", "shifted", "cropped")


@pytest.fixture(scope="module")
def planted(shared_data, tmp_path_factory):
    """Return a folder in which every other recording has a copy in another group, and those copies."""
    root = tmp_path_factory.mktemp("planted")
    rng = np.random.default_rng(0)
    rows, copies = [], {}
    for folder, pattern in (("esc10/audio", "*.ogg"), ("fsdd/recordings", "*.wav")):
        sources = rng.permutation(sorted((shared_data / folder).glob(pattern)))[:NUM_OF_EACH]
        for number, source in enumerate(sources):
            wave_T, rate_hz = soundfile.read(source, dtype="float32")
            soundfile.write(root / f"{source.stem}.wav", wave_T, rate_hz, subtype="PCM_16")
            rows.append((f"{source.stem}.wav", folder, source.stem))
            if number % 2:
                kind = KINDS[number // 2 % len(KINDS)]
                name = write_copy(kind, root / f"{source.stem}.wav", root)
                rows.append((name, folder, f"copy of {source.stem}"))
                copies[frozenset((source.stem, name.rpartition(".")[0]))] = kind
    with (root / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file_name", "label", "group"), *rows])
    return root, copies


def test_planted_copies_are_found_and_nothing_else(planted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIOPREP_WORKERS", "2")
    root, copies = planted
    prepare_in_folder("folder", tmp_path / "out", Asked(root=root))
    layout = Layout.in_folder("folder", tmp_path / "out")
    near = read_table(layout.splits / "_near_duplicates.parquet")
    exact = [one["ids"] for one in audit(layout)["findings"] if one["kind"] in ("identical_file", "identical_audio")]
    found = {
        frozenset(pair) for pair in (*zip(near["id"].to_pylist(), near["other_id"].to_pylist(), strict=True), *exact)
    }
    planted_of, found_of = Counter(copies.values()), Counter(kind for pair, kind in copies.items() if pair in found)
    assert {kind: found_of[kind] for kind in EXACT} == {kind: planted_of[kind] for kind in EXACT}
    assert sum(found_of.values()) - sum(found_of[kind] for kind in EXACT) >= 0.95 * sum(
        planted_of[kind] for kind in KINDS if kind not in EXACT
    )
    # Pairs between the originals: ESC-10 itself has three, which a comparison of the waves confirms.
    assert len(found - set(copies)) <= 3
    folds = {row["id"]: row["fold"] for row in read_table(layout.splits / "grouped-5fold.parquet").to_pylist()}
    pairs = [[folds[name] for name in pair if name in folds] for pair in found]
    assert all(len(set(pair)) == 1 for pair in pairs), "a generated split keeps copies together"
