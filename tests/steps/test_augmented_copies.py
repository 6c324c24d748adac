"""Copies of clips as feature shards: the same bytes however they are made, and one line where they cannot be."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from steps.small_corpus import Run, tree

from audioprep.config.augment import AugmentRule
from audioprep.config.data import FeatureRules
from audioprep.config.training import ModelRule
from audioprep.dsp.features import feature_kernel
from audioprep.engine import read_index, write_index
from audioprep.errors import ConfigError, ShardError
from audioprep.io.copies import copy_id, read_copies
from audioprep.io.parquet import read_features
from audioprep.io.tables import read_table, write_table
from audioprep.model.checkpoints import Checkpoint, Shapes, build
from audioprep.model.copies import copied_waves
from audioprep.model.corpus import split_names
from audioprep.model.report.augmented import copied
from audioprep.steps import augment as augment_step
from audioprep.steps.augment import augment
from audioprep.steps.repair import repair, stage_commands
from audioprep.steps.verify import verify

NONE = {name: {"prob": 0.0} for name in AugmentRule.model_fields if name not in {"copies", "seed"}}
TWO = AugmentRule(copies=2)


@pytest.fixture
def run(prepared: Run, tmp_path: Path) -> Run:
    """The small corpus with audio and cuts, and a corpus for noise beside it."""
    run = Run(prepared.root, tmp_path / "small")
    for name in ("small", "others"):
        for part in ("audio", "cuts", "logmel"):
            shutil.copytree(prepared.out / part, tmp_path / name / part)
    _hash_facts(tmp_path / "others", lambda pcm_sha256: pcm_sha256[::-1])
    return run


def _hash_facts(data: Path, change: Callable[[str], str]) -> None:
    """Let the facts of a corpus tell of other samples."""
    facts = read_table(data / "audio/facts.parquet")
    column = facts.column_names.index("pcm_sha256")
    changed = [change(pcm_sha256) for pcm_sha256 in facts["pcm_sha256"].to_pylist()]
    write_table(data / "audio/facts.parquet", facts.set_column(column, "pcm_sha256", [changed]))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect the shards that are computed."""
    shards, real = [], augment_step.make_augmented_shard

    def counted(arguments: dict[str, Any], out: Path) -> int:
        shards.append(arguments["shard"])
        return real(arguments, out)

    monkeypatch.setattr(augment_step, "make_augmented_shard", counted)
    return shards


def rule_of(**changes: Any) -> AugmentRule:
    return AugmentRule.model_validate({**NONE, "copies": 1, **changes})


def make(run: Run, rule: AugmentRule = TWO, kind: str = "logmel") -> Path:
    augment(run.layout, kind, run.params.features, rule)
    return run.layout.augmented(kind)


def test_every_used_clip_has_its_copies_in_the_shard_of_its_own(run: Run) -> None:
    out = make(run)
    plain, copied = read_features(run.layout.features("logmel")), read_features(out)
    assert copied.ids == [copy_id(clip, copy) for clip in plain.ids for copy in (1, 2)]
    assert copied.meta == plain.meta
    assert [path.name for path in sorted(out.iterdir())] == [
        "_index.json",
        *(f"part-{n:06d}.parquet" for n in range(4)),
    ]
    index = read_index(out)
    assert (index["copies"], index["augment"]) == (2, TWO.model_dump(mode="json"))
    assert read_copies(out) == (2, TWO.model_dump(mode="json"))
    assert not run.layout.work.exists() or not list(run.layout.work.glob("*/*"))
    assert [checked.num_wrong for checked in verify(run.out)] == [0, 0, 0, 0]


def test_copies_that_nothing_is_done_to_are_the_clips(run: Run) -> None:
    copied = read_features(make(run, rule_of()))
    np.testing.assert_array_equal(copied.values_KNM, read_features(run.layout.features("logmel")).values_KNM)


def test_what_people_hear_is_what_the_copies_were_made_of(run: Run) -> None:
    out = make(run, TWO.model_copy(update={"background": rule_of(background={"corpora": ["others/rain"]}).background}))
    plain = read_features(run.layout.features("logmel"))
    kernel = feature_kernel("logmel", plain.meta["rule"], plain.meta["rate_hz"])
    clips = plain.ids[3:5]
    for clip, waves in zip(clips, copied_waves(run.out, plain.meta, clips, 9), strict=True):
        expected = read_features(out, [copy_id(clip, 1), copy_id(clip, 2)]).values_KNM
        found = [kernel(wave_T).astype(np.float16) for wave_T in waves]
        np.testing.assert_array_equal(found[0], read_features(run.layout.features("logmel"), [clip]).values_KNM[0])
        np.testing.assert_array_equal(found[1:], expected)


def test_copies_are_seen_and_heard_in_the_report(run: Run, prepared: Run) -> None:
    shutil.copytree(prepared.out / "splits", run.out / "splits")
    plain, rule = read_features(run.layout.features("logmel")), ModelRule(width=4)
    shapes = Shapes(*plain.values_KNM.shape[1:], num_classes=2)
    meta = {"features": plain.meta, "split": split_names(run.out)[0], "augment": TWO.model_dump(mode="json")}
    meta |= {"fold": 1, "fit_on": ["train"]}
    trained = Checkpoint(build(rule, shapes), rule, shapes, meta)
    assert copied(run.out, trained, plain.ids[:2]) == [], "there are no copies"
    make(run)
    shown = copied(run.out, trained, plain.ids[:2])
    assert [clip["id"] for clip in shown] == plain.ids[:2]
    heard = [one for clip in shown for one in (clip, *clip["draws"])]
    assert len({one["picture"] for one in heard}) == len({one["audio"] for one in heard}) == 6
    assert all(one["audio"].startswith("data:audio/") for one in heard)
    shutil.rmtree(run.out / "audio")
    assert copied(run.out, trained, plain.ids[:2]) == [], "there is no audio"


def test_workers_order_and_other_clips_change_no_byte(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tree(make(run))
    shutil.rmtree(run.layout.data / "augmented")
    monkeypatch.setenv("AUDIOPREP_WORKERS", "2")
    assert tree(make(run)) == first
    before = read_features(run.layout.augmented("logmel"))
    cuts = run.layout.cuts / "cuts.000000.jsonl"
    lines = [json.loads(line) for line in cuts.read_text().splitlines()]
    lost = next(line for line in lines if line["custom"]["used"])
    lost["custom"]["used"] = False
    _rewrite(cuts, lines)
    after = read_features(make(run))
    kept = [place for place, name in enumerate(before.ids) if not name.startswith(f"{lost['id']}~")]
    assert after.ids == [before.ids[place] for place in kept]
    np.testing.assert_array_equal(after.values_KNM, before.values_KNM[kept])


def _rewrite(path: Path, lines: list[dict[str, Any]]) -> None:
    """Change a file that an index vouches for."""
    from audioprep.engine import file_identity

    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    index = read_index(path.parent)
    for entry in index["shards"]:
        if path.name in entry["files"]:
            entry["files"][path.name] = file_identity(path)
    write_index(path.parent, index)


def test_what_has_not_changed_is_kept(run: Run, made: list[int]) -> None:
    out = make(run)
    assert made == [0, 1, 2, 3]
    make(run)
    (out / "_index.json").unlink()
    shards = {path.name: path.read_bytes() for path in out.glob("part-*")}
    made.clear()
    make(run, TWO.model_copy(update={"seed": 1}))
    assert made == [0, 1, 2, 3]
    assert {path.name: path.read_bytes() for path in out.glob("part-*")} != shards


def test_copies_by_another_version_of_the_library_are_others(
    run: Run, made: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(run)
    made.clear()
    monkeypatch.setattr("audioprep.steps.augment.version", lambda library: f"another {library}")
    make(run)
    assert made == [0, 1, 2, 3]


def test_a_run_that_was_stopped_goes_on(run: Run, made: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    counted = augment_step.make_augmented_shard

    def stops(arguments: dict[str, Any], out: Path) -> int:
        if len(made) == 2:
            raise KeyboardInterrupt
        return counted(arguments, out)

    with monkeypatch.context() as patch:
        patch.setattr(augment_step, "make_augmented_shard", stops)
        with pytest.raises(KeyboardInterrupt):
            make(run)
    assert not run.layout.augmented("logmel").exists()
    make(run)
    assert made == [0, 1, 2, 3]


def test_damaged_copies_are_made_anew_with_the_same_bytes(run: Run, made: list[int]) -> None:
    out = make(run, rule_of(background={"corpora": ["others"], "prob": 1.0}))
    before = tree(out)
    part = out / "part-000002.parquet"
    part.write_bytes(part.read_bytes()[:-1] + b"!")
    made.clear()
    (line,) = repair(verify(out))
    assert "augmented/logmel: repaired: 1 of 4 files made anew, bytes equal to the index" in line
    assert (made, tree(out)) == ([2], before)
    (out / "_index.json").write_text("{")
    with pytest.raises(ShardError, match=r"could not repair .*augmented/logmel"):
        print(*repair(verify(out)))
    assert stage_commands(verify(out)) == ["dvc repro augment@small"]
    none = make(run, AugmentRule())
    (none / "stray").write_text("x")
    (line,) = repair(verify(none))
    assert "augmented/logmel: repaired: removed stray" in line


def test_no_copies_are_a_folder_that_says_so(run: Run, made: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    out = make(run, AugmentRule())
    assert [path.name for path in out.iterdir()] == ["_index.json"]
    assert read_copies(out) == (0, {})
    before = (out / "_index.json").read_bytes()
    make(run, rule_of(copies=0, room={"corpora": ["nowhere"], "prob": 1}))
    assert (out / "_index.json").read_bytes() == before
    make(run, rule_of())
    assert len(list(out.iterdir())) == 5
    make(run, AugmentRule())
    assert (out / "_index.json").read_bytes() == before
    assert made == [0, 1, 2, 3]


def no_such_corpus(run: Run) -> None:
    shutil.rmtree(run.out.parent / "others")


def silent(run: Run) -> None:
    for path in (run.out.parent / "others/cuts").glob("*.jsonl"):
        path.write_text(path.read_text().replace('"used": true', '"used": false'))


def other_rate(run: Run) -> None:
    index = read_index(run.out.parent / "others/audio")
    index["rule"]["rate_hz"] = 8000
    write_index(run.out.parent / "others/audio", index)


def same_recordings(run: Run) -> None:
    _hash_facts(run.out.parent / "others", lambda pcm_sha256: pcm_sha256[::-1])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("others", no_such_corpus, r"augment.{}.corpora: expected a prepared corpus, got 'others', .* prepare others`"),
        ("others", silent, r"augment.{}.corpora: expected clips of 'others' that sound, got none; choose others"),
        ("others/rian", None, r"augment.{}.corpora: expected clips of 'others/rian' that sound, got none"),
        (
            "small/rain",
            None,
            r"augment.{}.corpora: expected another corpus than 'small' itself, whose tested .* name ano",
        ),
        (
            "others/rain",
            same_recordings,
            r"augment.{}.corpora: expected another corpus than 'others', of whose recordings 'small' has \d+ too: .* name ano",
        ),
        ("others", other_rate, r"augment.{}.corpora: expected audio of 16000 Hz, got 8000 Hz of 'others'; prepare"),
    ],
)
@pytest.mark.parametrize("part", ["background", "room"])
def test_sounds_that_cannot_be_had_are_said(
    run: Run, name: str, change: Callable[[Run], None] | None, message: str, part: str
) -> None:
    if change:
        change(run)
    with pytest.raises(ConfigError, match=message.format(part)):
        make(run, rule_of(**{part: {"corpora": [name]}}))
    assert not run.layout.augmented("logmel").exists()


def test_a_kind_that_is_not_made_is_not_copied(run: Run) -> None:
    with pytest.raises(
        ConfigError, match=r"model.features: expected one of features.kinds \(mfcc\), got logmel; add it there"
    ):
        augment(run.layout, "logmel", FeatureRules(kinds=("mfcc",)), TWO)


def test_a_band_beyond_half_the_rate_is_said(run: Run) -> None:
    with pytest.raises(
        ConfigError, match=r"augment.band_pass.centre_hz: expected less than 8000 Hz .*, got 9000; lower"
    ):
        make(run, rule_of(band_pass={"centre_hz": [100, 9000]}))
    make(run, rule_of(band_pass={"centre_hz": [100, 9000], "prob": 0}))


def test_clips_that_are_not_there_cannot_be_copied(run: Run) -> None:
    for path in run.layout.cuts.glob("*.jsonl"):
        _rewrite(
            path, [{**(cut := json.loads(line)), "custom": {**cut["custom"], "used": False}} for line in path.open()]
        )
    with pytest.raises(ShardError, match=r"cuts: expected clips to copy, found none; see .*status.parquet"):
        make(run)


def test_an_index_of_something_else_is_said(run: Run) -> None:
    with pytest.raises(
        ShardError, match=r"logmel: expected an index of copies, got another; run the augment stage again"
    ):
        read_copies(run.layout.features("logmel"))
