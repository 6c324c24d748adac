"""What is known of one clip, or of one shard: facts, decisions, and a picture of the clip."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np

from audioprep.config.data import FeatureKind, LogmelRule
from audioprep.dsp.denoise import denoiser
from audioprep.dsp.features import feature_kernel, windowed
from audioprep.engine import read_index
from audioprep.errors import DatasetError, unknown_name
from audioprep.io.audio import decode_stored
from audioprep.io.layout import Layout
from audioprep.io.shar import cuts_name, read_audio_tar, read_cuts, read_recording, tar_name
from audioprep.io.tables import read_table
from audioprep.io.window_cuts import WINDOW_ID, part_in_samples, windows_of

_MAX_LISTED = 10
_PICTURES = (".png", ".svg", ".pdf", ".jpg")


def describe_shard(path: Path) -> Iterator[str]:
    """Yield what is in one shard, line by line.

    Args:
        path: A `recording.NNNNNN.tar`, a `cuts.NNNNNN.jsonl` or any Parquet file of ours.

    Raises:
        ShardError: It is damaged.
        DatasetError: It is none of these.
    """
    if path.suffix == ".tar":
        recordings = [(recording_id, len(flac)) for recording_id, flac in read_audio_tar(path)]
        yield f"{path}: {len(recordings)} recordings, {path.stat().st_size:,} bytes"
        yield from (
            f"  {recording_id}  {num_bytes:,} bytes of FLAC" for recording_id, num_bytes in recordings[:_MAX_LISTED]
        )
    elif path.suffix == ".jsonl":
        cuts = read_cuts(path)
        yield f"{path}: {len(cuts)} cuts"
        yield from (f"  {cut['id']}  {cut['start']:g} s + {cut['duration']:g} s" for cut in cuts[:_MAX_LISTED])
    elif path.suffix == ".parquet":
        table = read_table(path)
        yield f"{path}: {table.num_rows} rows, {path.stat().st_size:,} bytes"
        yield from (f"  {field.name}: {field.type}" for field in table.schema)
        if metadata := (table.schema.metadata or {}).get(b"audioprep"):
            yield f"  {metadata.decode()}"
    else:
        raise DatasetError(f"{path}: expected a .tar, .jsonl or .parquet shard, got '{path.suffix}'; give one of these")


def describe_clip(layouts: list[Layout], clip_id: str, picture: Path) -> Iterator[str]:
    """Yield everything known of one clip, line by line, and draw it.

    Args:
        layouts: The corpora to look in.
        clip_id: The clip; of a recording with several windows, the recording or one of its windows.
        picture: PNG to write: the waveform with the used part marked, and the log-mel of the window.

    Raises:
        DatasetError: No corpus has this clip; the nearest one is suggested. Or the picture has an odd suffix.
        ShardError: What the stages made is missing or damaged.
    """
    if picture.suffix.lower() not in _PICTURES:
        raise DatasetError(f"{picture}: expected a picture as {', '.join(_PICTURES)}; give --picture such a name")
    layout, status = _find(layouts, clip_id)
    recording_id = status["id"]
    yield f"{clip_id} in {layout.dataset}"
    yield f"  file        {status['member']}"
    yield f"  status      {status['status']}{': ' + status['reason'] if status['reason'] else ''}"
    facts = read_table(layout.audio / "facts.parquet").to_pylist()
    fact = next((row for row in facts if row["id"] == recording_id), None)
    if fact is None:
        return
    yield from (f"  {name:<18} {_short(value)}" for name, value in fact.items() if name not in ("id", "envelope_db"))
    if not (layout.cuts / "_index.json").exists():
        return
    whole = next(cut for cut in read_cuts(layout.cuts / cuts_name(fact["shard"])) if cut["id"] == recording_id)
    cuts = {recording_id: whole} | {cut["id"]: cut for _, cut in windows_of(whole)}
    if clip_id not in cuts:
        raise DatasetError(unknown_name("clip", clip_id, cuts))
    cut = cuts[clip_id]
    yield f"  labels             {', '.join(cut['supervisions'][0]['custom']['labels'])}"
    yield f"  used part          {cut['start']:g} s to {cut['start'] + cut['duration']:g} s"
    yield from (f"  {name:<18} {_short(value)}" for name, value in cut["custom"].items() if name != "status")
    _draw(layout, fact, cut, picture)
    yield f"  picture            {picture}"


def _find(layouts: list[Layout], clip_id: str) -> tuple[Layout, dict[str, Any]]:
    known: list[str] = []
    wanted = {clip_id, re.sub(WINDOW_ID, "", clip_id)}
    for layout in layouts:
        if (layout.audio / "status.parquet").exists():
            for row in read_table(layout.audio / "status.parquet").to_pylist():
                if row["id"] in wanted:
                    return layout, row
                known.append(row["id"])
    if not known:
        raise DatasetError(f"{clip_id}: expected a prepared corpus, found none; run `audioprep prepare NAME` first")
    message = unknown_name("clip", clip_id, known)
    raise DatasetError(f"clip: expected one of {len(known)} ids, got '{clip_id}'; {message.rsplit('; ', 1)[1]}")


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{key}={part}" for key, part in sorted(value.items())) or "none"
    return "none" if value is None else str(value)


def _made_kind(layout: Layout) -> str:
    """Return log-mel, which is what is drawn, or, where that is not made, a kind that is: it knows the window too."""
    made = [kind for kind in get_args(FeatureKind) if (layout.features(kind) / "_index.json").exists()]
    return made[0] if made else "logmel"


def _draw(layout: Layout, fact: dict[str, Any], cut: dict[str, Any], picture: Path) -> None:
    # Imported here: half a second that only a picture needs.
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    index = read_index(layout.features(_made_kind(layout)))
    rate_hz, rule = index["rate_hz"], index["rule"] if index["kind"] == "logmel" else LogmelRule().model_dump()
    wave_T = decode_stored(read_recording(layout.shar / tar_name(fact["shard"]), fact["id"]))
    decided = part_in_samples(cut, rate_hz)
    clear_T = denoiser(index.get("denoise"), rate_hz)(wave_T)
    window_T = windowed(clear_T, decided, round(index["window_s"] * rate_hz))
    mel_NM = feature_kernel("logmel", rule, rate_hz)(window_T)
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(10, 6), layout="constrained")
    seconds_T = np.arange(len(wave_T)) / rate_hz
    top.plot(seconds_T, wave_T, linewidth=0.5, color="#1f4e79")
    top.axvspan(cut["start"], cut["start"] + cut["duration"], color="#f2a900", alpha=0.2, label="used part")
    top.set(title=f"{cut['id']}: stored recording", xlabel="s", xlim=(0, seconds_T[-1]), ylabel="full scale = 1")
    top.legend(loc="upper right")
    image = bottom.imshow(
        mel_NM.T, origin="lower", aspect="auto", cmap="magma", extent=(0, index["window_s"], 0, mel_NM.shape[1])
    )
    title = f"log-mel of the {index['window_s']:g} s window, {decided['gain_db']:+.1f} dB"
    title += ", noise taken away" if "denoise" in index else ""
    bottom.set(title=title, xlabel="s", ylabel="mel band")
    figure.colorbar(image, ax=bottom, label="dB")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=100, metadata={"Software": None})
    plt.close(figure)
