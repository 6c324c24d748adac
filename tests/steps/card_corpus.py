"""A corpus as the tables that the stages before the card write: 40 clips, several labels, licences, and some trouble."""

import json
from pathlib import Path

import pyarrow as pa
from steps.clip_rows import write_sounds

from audioprep.config.data import SplitRule
from audioprep.io.layout import Layout
from audioprep.io.ledger import write_ledger
from audioprep.io.tables import CLIPS, FACTS, STATUS, USED, rows_to_table, write_table
from audioprep.steps.split import split

NUM_CLIPS = 40
LABELS = ("bell", "_silence_", "a | b", "<b>rain</b>")
BY, ZERO = "http://creativecommons.org/licenses/by/3.0/", "http://creativecommons.org/publicdomain/zero/1.0/"
# What becomes of the clips that are not simply good.
STATUSES = {3: "missing", 7: "silent", 11: "decode_error"}
ABOUT = {
    "dataset": "toy",
    "recipe": "toy",
    "title": "Toy: sounds *of* toys",
    "license": "CC-BY-4.0",
    "homepage": "https://example.org/toy",
    "cite": "Toys, 2020",
    "notice": "recordings of real people's voices",
    "defects": ["toy_00 is upside down"],
    "variant": "all",
    "num_clips": 40,
    "about": "",
    "is_multi_label": True,
    "splits": {"official": {"about": "as published", "sizes": None, "known": {"g2": "cut twice"}, "shares_groups": ""}},
}
SOURCE = {
    "files": [{"name": "toy.zip", "bytes": 3 * 2**20, "sha256": "ab" * 32}],
    "folder": "",
    "in_root": False,
    "origin": "https://example.org/toy.zip",
    "published": True,
    "sha256": "ab" * 32,
    "verified": True,
}


def clip_rows(num_clips: int = NUM_CLIPS, labels: tuple[str, ...] = LABELS) -> list[dict]:
    """Return declared clips: pairs of a group, a tenth to test, a group of which one clip is in train and one in test."""
    rows = []
    for number in range(num_clips):
        part = "test" if number % 10 in (2, 4) else "train"
        own = {"license": BY if number % 2 else ZERO, "uploader": f"user {number % 3}"}
        rows.append(
            {
                "id": f"toy_{number:02d}",
                "member": f"audio/toy_{number:02d}.wav",
                "labels": [labels[number % len(labels)], *([labels[0]] if number % len(labels) == 1 else [])],
                "group": f"g{number // 2}",
                "splits": {"official": part},
                "attributes": {} if number == 5 else own,
            }
        )
    return rows


def write_corpus(
    data: Path,
    *,
    clips: list[dict] | None = None,
    durations_s: tuple[float, ...] = (0.5, 1.0, 4.0),
    about: dict | None = None,
    backwards: bool = False,
) -> Layout:
    """Write everything that the card is made from.

    Args:
        data: The corpus's folder.
        clips: Declared clips.
        durations_s: Lengths of the clips, in turn.
        about: What differs from `ABOUT`.
        backwards: Write the measured rows in the opposite order.
    """
    layout = Layout.in_folder("toy", data)
    for folder in (layout.raw, layout.audio, layout.cuts):
        folder.mkdir(parents=True)
    clips = clip_rows() if clips is None else clips
    status = [STATUSES.get(number, "ok") for number in range(len(clips))]
    write_table(layout.raw / "clips.parquet", _table(clips, CLIPS))
    rows = [
        {"id": clip["id"], "member": clip["member"], "status": name, "reason": "" if name == "ok" else f"it is {name}"}
        for clip, name in zip(clips, status, strict=True)
    ]
    write_table(layout.audio / "status.parquet", _table(rows, STATUS))
    decoded = [number for number, name in enumerate(status) if name in ("ok", "silent")]
    facts = [_facts(clips[number]["id"], number, durations_s) for number in decoded]
    used = [{"id": clips[number]["id"], "used": status[number] == "ok"} for number in decoded]
    step = -1 if backwards else 1
    write_table(layout.audio / "facts.parquet", _table(facts[::step], FACTS))
    write_sounds(layout, [row["id"] for row in facts])
    write_table(layout.cuts / "_used.parquet", _table(used[::step], USED))
    write_ledger(
        layout, {"dataset": "toy", "store": "toy", "is_partial": False, "sources": [SOURCE]}, ABOUT | (about or {})
    )
    split(layout, "official", SplitRule(on_leak="warn"))
    return layout


def change_audit(layout: Layout, **changes: object) -> None:
    """Change what the audit says."""
    path = layout.splits / "audit.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _facts(clip_id: str, number: int, durations_s: tuple[float, ...]) -> dict:
    return {
        "id": clip_id,
        "file_sha256": f"{number:064x}",
        "pcm_sha256": f"{number + 1000:064x}",
        "container": "WAV/PCM_16" if number % 4 else "FLAC/PCM_24",
        "source_rate_hz": 44_100,
        "duration_s": durations_s[number % len(durations_s)],
        "loudness_lufs": None if number == 9 else -30.0 + number % 8,
        "clipped_fraction": 0.0,
        "bandwidth_hz": 8_000.0,
    }


def _table(rows: list[dict], schema: pa.Schema) -> pa.Table:
    maps = [field.name for field in schema if pa.types.is_map(field.type)]
    return rows_to_table([row | {name: list(row.get(name, {}).items()) for name in maps} for row in rows], schema)
