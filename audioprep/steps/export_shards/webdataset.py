"""WebDataset: tars of samples, `train-000000.tar` and on.

Sample   <key>.json   id, labels, targets, and what is known of the clip
         <key>.cls    class as a number; only where every clip has one label
         <key>.npy    features [N, M]
         <key>.flac   sound
"""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

from audioprep.io.sample_tars import SampleTars, npy_bytes
from audioprep.steps.export_shards.content import Content, Sample
from audioprep.steps.export_shards.readme import Snippet, readme_text, write_description


def write_webdataset(content: Content, out: Path) -> None:
    """Write the clips of every role as WebDataset tars.

    Args:
        content: What is exported.
        out: An empty folder.
    """
    tars = {
        role: SampleTars(_path_of(out, role), num, content.num_shards(role)) for role, num in content.counts.items()
    }
    for sample in content.samples(content.role_of.keys()):
        tars[content.role_of[sample.id]].add(_members(content, sample))
    for tar in tars.values():
        tar.close()
    write_description(content, out)
    (out / "README.md").write_text(readme_text(content, _files(content), _code(content)), encoding="utf-8")


def sample_key(clip_id: str) -> str:
    """Return the name of a clip's files without what WebDataset would take for the start of the suffix, or a folder."""
    if not re.search(r"[./]", clip_id):
        return clip_id
    return f"{re.sub(r'[./]', '_', clip_id)}-{hashlib.sha256(clip_id.encode()).hexdigest()[:8]}"


def _path_of(out: Path, role: str) -> Callable[[int], Path]:
    return lambda number: out / f"{role}-{number:06d}.tar"


def _members(content: Content, sample: Sample) -> dict[str, bytes]:
    key, targets = sample_key(sample.id), content.targets(sample.labels)
    members = {f"{key}.json": json.dumps({**sample.about(), "targets": targets}, ensure_ascii=False).encode()}
    if not content.is_multi_label:
        members[f"{key}.cls"] = str(targets[0]).encode()
    if sample.features_NM is not None:
        members[f"{key}.npy"] = npy_bytes(sample.features_NM)
    if sample.flac is not None:
        members[f"{key}.flac"] = sample.flac
    return members


def _files(content: Content) -> list[tuple[str, str]]:
    parts = ["`.cls`: number of the class"] if not content.is_multi_label else []
    parts += ["`.npy`: features"] if content.kind is not None else []
    parts += ["`.flac`: sound"] if content.with_audio else []
    names = ", ".join(f"`{role}-NNNNNN.tar`" for role in content.counts)
    return [
        (names, ", ".join([*parts, "`.json`: id, labels, `targets` (their numbers), group and more"]) + " of each clip")
    ]


def _code(content: Content) -> Snippet:
    role, last = next(iter(content.counts)), content.num_shards(next(iter(content.counts))) - 1
    shards = f"{role}-{{000000..{last:06d}}}.tar" if last else f"{role}-000000.tar"
    wanted = ["npy"] if content.kind is not None else []
    wanted += ["flac"] if content.with_audio else []
    wanted += ["json" if content.is_multi_label else "cls"]
    lines = [f'tars = folder + "/{shards}"']
    lines += [
        f'samples = wds.WebDataset(tars, shardshuffle=False).shuffle(1000).decode().to_tuple("{" ".join(wanted)}")'
    ]
    lines += ["# flac stays bytes: soundfile.read(io.BytesIO(flac)) decodes it"] if content.with_audio else []
    return Snippet(["import webdataset as wds"], lines)
