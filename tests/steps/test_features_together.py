"""The stage of one kind makes the other kinds' shards in the same pass, and is right without them."""

import shutil

import pytest
from steps.small_corpus import KINDS, Run, tree

from audioprep.engine import file_identity, read_index, write_index
from audioprep.errors import ShardError
from audioprep.steps import features as features_step


@pytest.fixture
def run(prepared, tmp_path):
    """Return the small corpus with audio and cuts, and no features yet."""
    run = Run(prepared.root, tmp_path)
    for name in ("audio", "cuts"):
        shutil.copytree(prepared.out / name, tmp_path / name)
    return run


@pytest.fixture
def computed(monkeypatch):
    """Collect, for every pass over a shard's audio, the kinds that it computes."""
    passes, real = [], features_step.feature_kernels

    def kernels(rules, rate_hz):
        passes.append(tuple(rules))
        return real(rules, rate_hz)

    monkeypatch.setattr(features_step, "feature_kernels", kernels)
    return passes


def with_features(run, **changes):
    values = run.params.model_dump()
    run.params = run.params.model_validate({**values, "features": {**values["features"], **changes}})


def finished_in(work):
    return len(list(work.glob("[!.]*/_shard.json")))


@pytest.mark.parametrize("first", KINDS)
def test_one_pass_makes_both_kinds(run, prepared, computed, first):
    second = KINDS[1 - KINDS.index(first)]
    run.features(first)
    assert computed == [(first, second)] * 4
    assert finished_in(run.layout.work / second) == 4
    assert not run.layout.features(second).exists(), "its own stage publishes it"
    run.features(second)
    assert len(computed) == 4, "the second stage finds its shards finished"
    assert not list(run.layout.work.glob("*/*"))
    for kind in KINDS:
        assert tree(run.layout.features(kind)) == tree(prepared.layout.features(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_alone_has_the_same_bytes(run, prepared, computed, kind):
    with_features(run, kinds=[kind])
    run.features(kind)
    assert computed == [(kind,)] * 4
    assert tree(run.layout.features(kind)) == tree(prepared.layout.features(kind))


def test_what_is_published_is_not_made_again(run, computed):
    for kind in KINDS:
        run.features(kind)
    computed.clear()
    with_features(run, mfcc={"n_mfcc": 20})
    run.features("logmel")
    assert computed == []
    run.features("mfcc")
    assert computed == [("mfcc",)] * 4, "no log-mel is computed for another number of coefficients"


def test_a_finished_shard_of_another_kind_is_not_made_again(run, computed):
    run.features("logmel")
    shutil.rmtree(run.layout.features("logmel"))
    first = min((run.layout.work / "mfcc").iterdir())
    shutil.rmtree(first)
    computed.clear()
    run.features("logmel")
    assert sorted(computed) == [("logmel",), ("logmel",), ("logmel",), ("logmel", "mfcc")]


def test_what_nobody_wants_any_more_goes(run):
    run.features("logmel")
    before = {path.name for path in (run.layout.work / "mfcc").iterdir()}
    with_features(run, logmel={"n_mels": 40}, mfcc={"n_mfcc": 20})
    run.features("logmel")
    after = {path.name for path in (run.layout.work / "mfcc").iterdir()}
    assert (len(before), len(after), before & after) == (4, 4, set())


def test_a_damaged_shard_of_another_kind_is_made_by_its_own_stage(run, prepared, computed):
    run.features("logmel")
    part = min((run.layout.work / "mfcc").glob("*/part-*.parquet"))
    part.write_bytes(part.read_bytes()[:-1] + b"!")
    computed.clear()
    run.features("mfcc")
    assert computed == [("mfcc",)]
    assert tree(run.layout.features("mfcc")) == tree(prepared.layout.features("mfcc"))


def test_trouble_with_another_kind_is_no_trouble(run, prepared):
    work = run.layout.work / "mfcc"
    work.parent.mkdir(parents=True)
    work.write_text("a file where the shards of the other kind should go")
    run.features("logmel")
    assert tree(run.layout.features("logmel")) == tree(prepared.layout.features("logmel"))
    work.unlink()
    run.features("mfcc")
    assert tree(run.layout.features("mfcc")) == tree(prepared.layout.features("mfcc"))


def test_an_unreadable_folder_of_another_kind_counts_as_unpublished(run, computed):
    folder = run.layout.features("mfcc")
    folder.mkdir()
    for text in ("{", '{"shards": 1}', '{"rule": {}}'):
        (folder / "_index.json").write_text(text)
        shutil.rmtree(run.layout.work, ignore_errors=True)
        shutil.rmtree(run.layout.features("logmel"), ignore_errors=True)
        run.features("logmel")
        assert computed[-4:] == [KINDS] * 4


def test_a_recording_that_is_not_in_its_shard_is_named(run):
    cuts = run.layout.cuts / "cuts.000000.jsonl"
    cuts.write_text(cuts.read_text().replace('"id": "', '"id": "other-', 1))
    index = read_index(cuts.parent)
    index["shards"][0]["files"][cuts.name] = file_identity(cuts)
    write_index(cuts.parent, index)
    with pytest.raises(ShardError, match=r"recordings, got \d+, other-.* is missing; run the resample stage again"):
        run.features("logmel")
