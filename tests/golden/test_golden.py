"""One tiny audio shard and one feature shard of each kind, as they have always been.

A change of their bytes must come with a higher VERSION in steps/resample.py or steps/features.py: without it, finished
shards of before and after would be mixed. Then, and only then: pytest tests/golden --write-golden
"""

import io
import json
import platform
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy
import soundfile
import soxr

from audioprep.config.data import FeatureRules
from audioprep.engine import file_sha256
from audioprep.io.archives import Place
from audioprep.io.tables import FILES, rows_to_table
from audioprep.steps import features as features_step
from audioprep.steps import resample as resample_step

GOLDEN = Path(__file__).with_name("golden.json")
RATES_HZ = (22050, 16000)
KINDS = ("logmel", "mfcc", "spectrogram", "chroma", "descriptors")  # an embedding's bytes are its model's

# The bytes are compared where these are the same; the values everywhere.
PLATFORM = {
    "machine": platform.machine(),
    "libsndfile": soundfile.__libsndfile_version__,
    "numpy": np.__version__.split(".")[0],
    "pyarrow": pa.__version__,
    "scipy": scipy.__version__,
    "soxr": soxr.__version__,
}


def _source(folder):
    """Write two sounds whose samples are whole numbers from a seeded generator: the same on every machine."""
    rng = np.random.default_rng(2)
    clips = []
    for rate_hz in RATES_HZ:
        steps_T = rng.integers(-9000, 9000, rate_hz // 2) // (1 + np.arange(rate_hz // 2) * 8 // rate_hz)
        buffer = io.BytesIO()
        soundfile.write(buffer, steps_T.astype(np.int16), rate_hz, format="WAV", subtype="PCM_16")
        (folder / f"{rate_hz}.wav").write_bytes(buffer.getvalue())
        member = f"{rate_hz}.wav"
        clips.append(
            {
                "id": str(rate_hz),
                "member": member,
                "digest": f"sha256:{file_sha256(folder / member)}",
                "start_s": None,
                "end_s": None,
                "sha256": None,
            }
        )
    return clips


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Return what the two shard functions make of the source: hashes and a few values."""
    source, audio = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("audio")
    clips = _source(source)
    resample_step.make_audio_shard(
        {
            "shard": 0,
            "places": [Place((str(source),))],
            "archive_work": str(source),
            "rate_hz": 16000,
            "format": "flac",
            "max_decode_s": 60.0,
            "files": rows_to_table(clips, FILES),
        },
        audio,
    )
    facts = pq.read_table(audio / "facts.parquet").to_pylist()
    found = {
        "audio": {
            "version": resample_step.VERSION,
            "sha256": {
                name: file_sha256(audio / name)
                for name in ("recording.000000.tar", "facts.parquet", "fingerprints.parquet")
            },
            "values": [
                row[name] for row in facts for name in ("loudness_lufs", "true_peak_db", "rms_db", "num_samples")
            ],
        }
    }
    tar = audio / "shar" / "recording.000000.tar"
    tar.parent.mkdir()
    (audio / tar.name).rename(tar)
    cuts = [{"id": row["id"], "start": 160, "stop": 7000, "gain_db": 3.5, "pad": "zeros"} for row in facts]
    rules = FeatureRules().model_dump(mode="json")
    for kind in KINDS:
        out = tmp_path_factory.mktemp(kind)
        arguments = {
            "shard": 0,
            "audio": str(audio),
            "audio_sha256": file_sha256(tar),
            "kind": kind,
            "rule": rules[kind],
        }
        features_step.make_feature_shard(
            {**arguments, "rate_hz": 16000, "window_s": 0.5, "cuts": json.dumps(cuts)}, out
        )
        values = np.stack(pq.read_table(out / "part-000000.parquet")[kind].to_numpy()).astype(float)
        found[kind] = {
            "version": features_step.VERSION,
            "sha256": {name: file_sha256(out / name) for name in ("part-000000.parquet", "stats.parquet")},
            "values": values[:, ::257].round(3).ravel().tolist(),
        }
    return found


def test_golden_file_is_written_only_when_asked_for(shards, write_golden):
    if write_golden:
        GOLDEN.write_text(json.dumps({"platform": PLATFORM, "shards": shards}, indent=1, sort_keys=True) + "\n")
    assert GOLDEN.exists(), "it is part of the project: git has it"


@pytest.mark.parametrize("kind", ["audio", "logmel", "mfcc"])
def test_bytes_change_only_with_the_version(shards, kind):
    golden = json.loads(GOLDEN.read_text())
    remedy = "raise VERSION in the step, then run: pytest tests/golden --write-golden"
    expected, found = golden["shards"][kind], shards[kind]
    assert found["version"] == expected["version"], remedy
    # One step of float16 at 100 dB is 1/16.
    np.testing.assert_allclose(found["values"], expected["values"], atol=0.07, err_msg=remedy)
    if golden["platform"] == PLATFORM:
        assert found["sha256"] == expected["sha256"], remedy
