"""lhotse Shar: one folder a role, which `CutSet.from_shar(in_dir=…/train)` opens.

Files    <role>/cuts.NNNNNN.jsonl        cuts as long as the window, with labels, and custom gain_db, group, attributes, …
         <role>/recording.NNNNNN.tar     their sound: the window itself, at its loudness
         <role>/features.NNNNNN.tar      their features
Frames   lhotse reckons with T / hop frames, ours are 1 + T // hop, centred. With the sound, a cut is as long as the window, and
         `cut.load_features()` gives all frames but the last; `cut.features.load()` gives all. Without it, a cut ends after its
         last frame, and both give all.
"""

import json
from pathlib import Path
from typing import Any

from audioprep.io.sample_tars import SampleTars, npy_bytes
from audioprep.io.shar import cuts_name, recording_manifest, tar_name, write_cuts
from audioprep.io.window_cuts import hop_samples, sound_in_window
from audioprep.steps.export_shards.content import Content, Sample
from audioprep.steps.export_shards.readme import Snippet, readme_text, write_description


def write_lhotse_shar(content: Content, out: Path) -> None:
    """Write the clips of every role as a lhotse Shar folder.

    Args:
        content: What is exported.
        out: An empty folder.
    """
    writers = {role: _Writer(content, role, out / role) for role in content.counts}
    for sample in content.samples(content.role_of.keys()):
        writers[content.role_of[sample.id]].add(sample)
    for writer in writers.values():
        writer.close()
    write_description(content, out)
    (out / "README.md").write_text(readme_text(content, _files(content), _code(content)), encoding="utf-8")


class _Writer:
    """Writes the Shar folder of one role: cuts and tars with the same clips in the same order."""

    def __init__(self, content: Content, role: str, out: Path) -> None:
        out.mkdir()
        self._content, self._out = content, out
        counts = content.counts[role], content.num_shards(role)
        self._recordings = SampleTars(lambda number: out / tar_name(number), *counts)
        self._features = SampleTars(lambda number: out / f"features.{number:06d}.tar", *counts)
        self._number, self._cuts = 0, list[dict[str, Any]]()

    def add(self, sample: Sample) -> None:
        number = 0
        if sample.flac is not None:
            manifest = recording_manifest(sample.id, sample.num_samples, self._content.meta["rate_hz"])
            members = {f"{sample.id}.flac": sample.flac, f"{sample.id}.json": _line(manifest)}
            number = self._recordings.add(members)
        if sample.features_NM is not None:
            manifest = _features_manifest(self._content, sample.id)
            members = {f"{sample.id}.npy": npy_bytes(sample.features_NM), f"{sample.id}.json": _line(manifest)}
            number = self._features.add(members)
        if number != self._number:
            self._write_cuts()
            self._number, self._cuts = number, []
        self._cuts.append(_cut(self._content, sample))

    def close(self) -> None:
        """Close the tars and write the cuts."""
        self._recordings.close()
        self._features.close()
        self._write_cuts()

    def _write_cuts(self) -> None:
        write_cuts(self._out / cuts_name(self._number), self._cuts)


def _line(manifest: dict[str, Any]) -> bytes:
    return (json.dumps(manifest, ensure_ascii=False) + "\n").encode()


def _features_manifest(content: Content, clip_id: str) -> dict[str, Any]:
    meta = content.meta
    return {
        "type": meta["kind"],
        "num_frames": meta["num_frames"],
        "num_features": meta["num_bins"],
        "frame_shift": hop_samples(meta) / meta["rate_hz"],
        "sampling_rate": meta["rate_hz"],
        "start": 0,
        "duration": meta["num_frames"] * hop_samples(meta) / meta["rate_hz"],
        "storage_type": "shar",
        "storage_path": "",
        "storage_key": "",
        "recording_id": clip_id,
        "channels": 0,
    }


def _cut(content: Content, sample: Sample) -> dict[str, Any]:
    meta, custom = content.meta, sample.cut["custom"]
    duration_s = meta["window_s"] if sample.flac is not None else _features_manifest(content, sample.id)["duration"]
    start_s, sound_s = sound_in_window(sample.cut["duration"], custom["pad"], meta["window_s"], meta["rate_hz"])
    about = sample.about()
    supervision = {
        "id": sample.id,
        "recording_id": sample.id,
        "start": start_s,
        "duration": sound_s,
        "channel": 0,
        "custom": {"labels": list(sample.labels), "targets": content.targets(sample.labels)},
    }
    return {
        "id": sample.id,
        "start": 0.0,
        "duration": duration_s,
        "channel": 0,
        "supervisions": [supervision],
        "custom": {key: about[key] for key in ("group", "attributes", "gain_db", "part_of_recording")},
        "type": "MonoCut",
    }


def _files(content: Content) -> list[tuple[str, str]]:
    roles = ", ".join(f"`{role}/`" for role in content.counts)
    files = [(f"{roles} `cuts.NNNNNN.jsonl`", "lhotse cuts, labels in their supervision")]
    files += [("`recording.NNNNNN.tar`", "their sound")] if content.with_audio else []
    files += [("`features.NNNNNN.tar`", "their features")] if content.kind is not None else []
    return files


def _code(content: Content) -> Snippet:
    role = next(iter(content.counts))
    lines = [f'for cut in CutSet.from_shar(in_dir=f"{{folder}}/{role}"):']
    lines += ["    samples = cut.load_audio()"] if content.with_audio else []
    if content.kind is not None and content.with_audio:
        lines += [
            f"    features = cut.features.load()  # all {content.meta['num_frames']} frames; cut.load_features() lacks the last"
        ]
    elif content.kind is not None:
        lines += ["    features = cut.load_features()"]
    return Snippet(["from lhotse import CutSet"], [*lines, '    labels = cut.supervisions[0].custom["labels"]'])
