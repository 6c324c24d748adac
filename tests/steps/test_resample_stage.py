"""The resample stage: what is stored in which format, and files on which a decoder hangs."""

import ctypes

import numpy as np
import pytest
from steps.small_corpus import Run, tree

from audioprep.engine import read_index
from audioprep.errors import DatasetError
from audioprep.io import audio
from audioprep.io.audio import decode_stored
from audioprep.io.shar import read_audio_tar, tar_name
from audioprep.io.tables import read_table
from audioprep.steps import resample as resample_step


def with_rule(run, **rule):
    """Set the resample rule of a run."""
    run.params = run.params.model_validate({**run.params.model_dump(), "resample": {"max_bad_fraction": 0.1, **rule}})
    return run


def statuses(run):
    """Return status and reason of every clip that is not good."""
    rows = read_table(run.layout.audio / "status.parquet").to_pylist()
    return {row["id"]: (row["status"], row["reason"]) for row in rows if row["status"] != "ok"}


@pytest.fixture(scope="module")
def as_wav(corpus, tmp_path_factory):
    """Return the small corpus, stored as WAV."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOPREP_WORKERS", "1")
        return with_rule(Run(corpus, tmp_path_factory.mktemp("wav")), format="wav").all()


def test_wav_holds_what_flac_holds(prepared, as_wav):
    assert read_index(as_wav.layout.audio)["rule"] == {"rate_hz": 16000, "format": "wav"}
    for number in range(4):
        wavs, flacs = (list(read_audio_tar(run.layout.shar / tar_name(number))) for run in (as_wav, prepared))
        assert [name for name, _ in wavs] == [name for name, _ in flacs]
        for (_, wav), (_, flac) in zip(wavs, flacs, strict=True):
            assert (wav[:4], flac[:4]) == (b"RIFF", b"fLaC")
            np.testing.assert_array_equal(decode_stored(wav), decode_stored(flac))


@pytest.mark.parametrize("name", ["audio/facts.parquet", "audio/status.parquet", "cuts/cuts.000000.jsonl"])
def test_the_format_changes_nothing_else(prepared, as_wav, name):
    assert (as_wav.layout.data / name).read_bytes() == (prepared.layout.data / name).read_bytes()


def test_features_of_both_formats_are_the_same_bytes(prepared, as_wav):
    ours, theirs = (tree(run.layout.features("logmel")) for run in (as_wav, prepared))
    assert {name: ours[name] for name in ours if name.startswith("part-")} == {
        name: theirs[name] for name in theirs if name.startswith("part-")
    }


def test_lhotse_reads_the_wav_shar(as_wav):
    lhotse = pytest.importorskip("lhotse")
    cuts = {cut.id: cut for cut in lhotse.CutSet.from_shar(in_dir=str(as_wav.layout.shar))}
    assert len(cuts) == 23
    stored = dict(read_audio_tar(as_wav.layout.shar / tar_name(0)))
    for name, wav in stored.items():
        np.testing.assert_array_equal(cuts[name].load_audio()[0], decode_stored(wav))


def test_webdataset_reads_the_wav_shar(as_wav):
    webdataset = pytest.importorskip("webdataset")
    path = as_wav.layout.shar / tar_name(0)
    samples = {one["__key__"]: one["wav"] for one in webdataset.WebDataset(str(path), shardshuffle=False)}
    assert samples == dict(read_audio_tar(path))


@pytest.fixture
def hanging(corpus, monkeypatch):
    """Let libsndfile hang on one file, as only C code can: Python cannot interrupt it."""
    data = (corpus / "bell" / "1.wav").read_bytes()
    hangs, real = [True], audio._read

    def read(file, start_s, end_s):
        file.seek(0)
        if file.read() == data and hangs[0]:
            ctypes.CDLL(None).pause()
        return real(file, start_s, end_s)

    monkeypatch.setattr(audio, "_read", read)
    monkeypatch.setattr(resample_step, "_GRACE_S", 0.0)
    return hangs


def test_a_decoder_that_hangs_costs_its_file_and_no_more(corpus, prepared, tmp_path, hanging, capsys):
    run = with_rule(Run(corpus, tmp_path), max_decode_s=0.3)
    run.download()
    run.resample()
    said = capsys.readouterr().out
    assert "small: bell/1.wav not decoded in time, and left out; raise resample.max_decode_s to try again\n" in said
    assert statuses(run)["bell--1"] == ("timeout", "libsndfile has not ended in 1 s")
    good, found = (read_table(one.layout.audio / "facts.parquet").to_pylist() for one in (prepared, run))
    assert found == [row for row in good if row["id"] != "bell--1"]


def test_another_limit_tries_only_the_late_file_again(corpus, prepared, tmp_path, hanging, monkeypatch):
    made, real = [], resample_step.make_audio_shard

    def counting(arguments, out):
        made.append(arguments["shard"])
        return real(arguments, out)

    monkeypatch.setattr(resample_step, "make_audio_shard", counting)
    run = with_rule(Run(corpus, tmp_path), max_decode_s=0.3)
    run.download()
    run.resample()
    assert len(made) == 4
    run.resample()
    assert len(made) == 4, "it stays as it is"
    before = {entry["fingerprint"] for entry in read_index(run.layout.audio)["shards"]}
    hanging[0] = False
    with_rule(run, max_decode_s=30.0).resample()
    assert "bell--1" not in statuses(run)
    after = {entry["fingerprint"] for entry in read_index(run.layout.audio)["shards"]}
    assert len(after - before) == 1, "the other shards are what they were"
    for name in ("facts", "status", "fingerprints"):
        table = f"{name}.parquet"
        assert (run.layout.audio / table).read_bytes() == (prepared.layout.audio / table).read_bytes()


def test_too_many_late_files_fail_the_stage(corpus, tmp_path, hanging):
    run = with_rule(Run(corpus, tmp_path), max_decode_s=0.3, max_bad_fraction=0.05)
    run.download()
    message = r"expected at most 0\.05 of 24 files unusable: 2 failed: bell/1\.wav \(timeout: libsndfile has not ended in 1 s\)"
    with pytest.raises(DatasetError, match=message):
        run.resample()
    hanging[0] = False
    with_rule(run, max_decode_s=30.0, max_bad_fraction=0.05).resample()
    assert "bell--1" not in statuses(run)


def test_a_lower_bound_counts_for_what_is_published_too(corpus, tmp_path):
    run = with_rule(Run(corpus, tmp_path))
    run.download()
    run.resample()
    before = tree(run.layout.audio)
    with_rule(run, max_bad_fraction=0.02)
    message = (
        r"^small: expected at most 0\.02 of 24 files unusable: 1 failed: rain/7\.wav \(truncated: .+unusable\.csv; mend"
    )
    with pytest.raises(DatasetError, match=message):
        run.resample()
    assert tree(run.layout.audio) == before


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"a": []}', '{"a": "soon"}'])
def test_a_damaged_note_of_timeouts_is_none(corpus, tmp_path, text):
    run = Run(corpus, tmp_path)
    run.layout.work.mkdir(parents=True)
    (run.layout.work / "timeouts.json").write_text('{"a": 1}')
    assert resample_step._timeouts(run.layout) == {"a": 1.0}
    (run.layout.work / "timeouts.json").write_text(text)
    assert resample_step._timeouts(run.layout) == {}
