"""Stage augment: seeded, changed copies of each clip as feature shards, for training to draw from.

Reads    audio/shar/ (recordings), cuts/, and the same of corpora whose sounds are mixed in
Writes   augmented/<kind>/part-NNNNNN.parquet   as the features themselves, with the ids `<clip>~1`, `<clip>~2` and on

There are copies of every clip that is used: which of them are trained on is for each fold to decide. Of what kind they are
is what the model takes, as copies are good for nothing else. They have no statistics: values are standardised by those
of the clips themselves, as those that are tested are.
"""

import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from audioprep.config.augment import AugmentRule
from audioprep.config.data import DenoiseRule, FeatureRules
from audioprep.dsp.features import feature_kernel
from audioprep.dsp.wave_augment import Sounds, augmented_wave
from audioprep.engine import EngineRule, ShardTask, fingerprint, fresh_folder, is_published, publish, run_shards
from audioprep.errors import ConfigError, ShardError
from audioprep.io.copies import copy_id
from audioprep.io.feature_writer import FeatureWriter
from audioprep.io.layout import Layout
from audioprep.io.sounds import sounds_identity, write_sounds
from audioprep.steps import features

# Part of every shard's fingerprint: raise it with any change that changes the bytes.
VERSION = 1


def augment(
    layout: Layout,
    kind: str,
    features_rule: FeatureRules,
    rule: AugmentRule,
    engine: EngineRule | None = None,
    denoise: DenoiseRule | None = None,
) -> None:
    """Make the copies of all clips; without any, a folder that says so.

    Args:
        layout: Where the corpus lies; corpora whose sounds are mixed in lie beside it.
        kind: The feature kind that the model takes.
        features_rule: The rule of every kind.
        rule: How many copies, and how they are changed.
        engine: What runs the shards' tasks; None is processes of this machine.
        denoise: Whether recordings are cleared of noise before; None is no.

    Raises:
        ConfigError: The kind is not made, a transform cannot be done at this rate, or there are no such sounds.
        ShardError: Audio or cuts are missing or damaged.
    """
    out, work, log = layout.augmented(kind), layout.work / f"augmented-{kind}", layout.log / f"augmented-{kind}.jsonl"
    header: dict[str, Any] = {"stage": "augment", "version": VERSION, "copies": rule.copies}
    tasks: list[ShardTask] = []
    if kind not in features_rule.kinds:
        made = ", ".join(features_rule.kinds)
        raise ConfigError(f"model.features: expected one of features.kinds ({made}), got {kind}; add it there")
    if rule.copies:
        tasks = _tasks(layout, kind, features_rule, rule, denoise or DenoiseRule())
        header |= {"augment": rule.model_dump(mode="json"), **features.described(tasks[0].arguments)}
    if is_published(out, tasks, header, log):
        return
    label, folder = f"augmented {kind} {layout.dataset}", layout.work / f"sounds-{kind}"
    try:
        sounds = write_sounds(rule, layout.data.parent, fresh_folder(folder)) if tasks else ()
        tasks = [replace(task, arguments={**task.arguments, "sounds": sounds}) for task in tasks]
        shards = run_shards(tasks, make_augmented_shard, work, label=label, earlier=out, log=log, engine=engine)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    fresh_folder(out)
    publish(shards, out, lambda name: name if name.startswith("part-") else None, header, work)


def make_augmented_shard(arguments: dict[str, Any], out: Path) -> int:
    """Make the copies of the clips of one audio shard.

    Args:
        arguments: Those of `features.make_feature_shard`; `augment`: the rule, as plain values; `sounds`: the files that are
            mixed in.
        out: Empty folder for `part-NNNNNN.parquet`.

    Returns:
        Number of copies in the shard.
    """
    rule, sounds = AugmentRule(**arguments["augment"]), Sounds(*arguments["sounds"])
    rate_hz = arguments["rate_hz"]
    kernel = feature_kernel(arguments["kind"], arguments["rule"], rate_hz)
    writer = FeatureWriter(features.described(arguments))
    for clip_id, window_T in features.windows(arguments):
        for copy in range(1, rule.copies + 1):
            wave_T = augmented_wave(window_T, rate_hz, rule, sounds, clip_id, copy)
            writer.add(copy_id(clip_id, copy), kernel(wave_T))
    return writer.write(arguments["shard"], out)


def _tasks(
    layout: Layout, kind: str, features_rule: FeatureRules, rule: AugmentRule, denoise: DenoiseRule
) -> list[ShardTask]:
    plain = features.feature_tasks(kind, features_rule, list(features.shard_inputs(layout, denoise)))
    if not plain:
        raise ShardError(f"{layout.cuts}: expected clips to copy, found none; see {layout.audio / 'status.parquet'}")
    rate_hz, values = plain[0].arguments["rate_hz"], rule.model_dump(mode="json")
    highest_hz = rule.band_pass.centre_hz[1]
    if rule.band_pass.prob and highest_hz >= rate_hz / 2:
        raise ConfigError(
            f"augment.band_pass.centre_hz: expected less than {rate_hz / 2:g} Hz (half of resample.rate_hz), got "
            f"{highest_hz:g}; lower it"
        )
    identity = sounds_identity(rule, layout.data, rate_hz)
    return [
        ShardTask(
            task.index,
            fingerprint("augment", VERSION, task.fingerprint, values, identity, version("audiomentations")),
            {**task.arguments, "augment": values},
        )
        for task in plain
    ]
