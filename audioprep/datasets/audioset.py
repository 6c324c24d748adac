"""AudioSet: 10 s segments of YouTube videos, 527 classes, several labels a clip.

Layout   {balanced_train,unbalanced_train,eval}_segments.csv: YTID, start, end, "mid,mid"; the audio is the user's own:
         files named `YTID…` or `YYTID…`, whatever follows, in any folder; in the store they are one audio.tar
Splits   official: the train and eval segments
Groups   video; the segment's place in it is its source interval
Defects  videos disappear: what cannot be had is reported, and is no failure
"""

import json
from collections.abc import Iterator

from audioprep.datasets.folder import AUDIO_SUFFIXES
from audioprep.datasets.recipe import Archive, Clip, Recipe, Source, Split, Variant

_CSV = "http://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv"
_ONTOLOGY = "https://raw.githubusercontent.com/audioset/ontology/d417d32bf59c711abb5910fd2f76a0eb44697991"
_ID_LENGTH = 11


def _clips(source: Source, variant: str) -> Iterator[Clip]:
    tables = {"balanced_train": "train", "eval": "test"}
    if variant.startswith("full"):
        tables["unbalanced_train"] = "train"
    audio = _audio_by_video(source)
    names_by_mid = _names_by_mid(source, with_ancestors=variant.endswith("-ancestors"))
    # Two million clips share a few hundred thousand label sets and two parts: each of these is kept once.
    labels_by_mids: dict[str, tuple[str, ...]] = {}
    for table, part in tables.items():
        splits = {"official": part}
        for video, start, end, mids in _segments(source.text(f"{table}_segments.csv")):
            if mids not in labels_by_mids:
                labels_by_mids[mids] = tuple(sorted(set().union(*(names_by_mid[mid] for mid in mids.split(",")))))
            yield Clip(
                id=video,
                member=audio.get(video, f"{video}.wav"),
                labels=labels_by_mids[mids],
                group=video,
                splits=splits,
                source_start_s=float(start),
                source_end_s=float(end),
            )


def _segments(table: str) -> Iterator[tuple[str, str, str, str]]:
    for line in table.splitlines():
        if line and not line.startswith(("#", "YTID,")):
            video, start, end, mids = line.split(",", 3)
            yield video, start, end, mids.strip().strip('"')


def _audio_by_video(source: Source) -> dict[str, str]:
    """Return the audio files by the id that they are named by; a leading Y may be part of the id or stand before it."""
    found: dict[str, str] = {}
    for name in sorted(source.names()):
        if name[name.rfind(".") :].lower() in AUDIO_SUFFIXES:
            stem = name[name.rfind("/") + 1 :]
            found.setdefault(stem[:_ID_LENGTH], name)
            if stem.startswith("Y"):
                found.setdefault(stem[1 : 1 + _ID_LENGTH], name)
    return found


def _names_by_mid(source: Source, *, with_ancestors: bool) -> dict[str, frozenset[str]]:
    """Return the names that each label stands for: its own, and those of the classes above it."""
    names = {row["mid"]: row["display_name"] for row in source.rows("class_labels_indices.csv")}
    parents: dict[str, list[str]] = {}
    for node in json.loads(source.text("ontology.json")) if with_ancestors else ():
        for child in node["child_ids"]:
            parents.setdefault(child, []).append(node["id"])
    # Nodes above that are no class, such as the abstract ones, give no label, but what is above them does.
    return {mid: frozenset(names[node] for node in _with_above(mid, parents) if node in names) for mid in names}


def _with_above(mid: str, parents: dict[str, list[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [mid]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(parents.get(node, ()))
    return seen


def _variant(name: str, about: str, num_train: int) -> Variant:
    split = Split(
        "official",
        "the published train and eval segments; the valid part is drawn from train by video",
        sizes={"train": num_train, "test": 20_371},
    )
    return Variant(name, about, num_clips=num_train + 20_371, num_classes=527, splits=(split,), is_multi_label=True)


def _csv(name: str, *variants: str) -> Archive:
    return Archive(name, url=f"{_CSV}/{name}", is_metadata=True, variants=variants)


RECIPE = Recipe(
    name="audioset",
    title="AudioSet",
    license="of each video; labels CC-BY-4.0, ontology CC-BY-SA-4.0",
    homepage="https://research.google.com/audioset/",
    cite="J. F. Gemmeke et al., Audio Set: An ontology and human-labeled dataset for audio events, ICASSP 2017",
    get="labels download; audio is yours: --root FOLDER with files named by YouTube id",
    archives=(
        Archive("audio.tar"),
        _csv("balanced_train_segments.csv"),
        _csv("eval_segments.csv"),
        _csv("unbalanced_train_segments.csv", "full", "full-ancestors"),
        _csv("class_labels_indices.csv"),
        Archive(
            "ontology.json",
            url=f"{_ONTOLOGY}/ontology.json",
            is_metadata=True,
            variants=("balanced-ancestors", "full-ancestors"),
        ),
    ),
    clips=_clips,
    variants=(
        _variant("balanced", "balanced_train and eval", 22_160),
        _variant("full", "balanced_train, unbalanced_train and eval", 22_160 + 2_041_789),
        _variant("balanced-ancestors", "balanced, each label with the classes above it in the ontology", 22_160),
        _variant("full-ancestors", "full, each label with the classes above it in the ontology", 22_160 + 2_041_789),
    ),
    window_s=10.0,
    ask="whoever has downloaded the videos that are listed at https://research.google.com/audioset/download.html",
    is_partial=True,
    defects=("videos disappear, so that no two copies have the same clips: publish the ids with every result",),
    notice="The audio is not distributed: each video is its uploader's, and may show people and works of others.",
)
