"""Which clips belong together: by the split's group, or by what the corpus says of them (device, city, speaker)."""

from collections.abc import Sequence
from pathlib import Path

from audioprep.errors import ConfigError, unknown_name
from audioprep.io.tables import read_table

# More parts than this are no parts but names, such as titles.
_MAX_PARTS = 50
# Of the facts: words that say where a file comes from.
_FACTS = ("container",)


def read_groups(split: Path, ids: Sequence[str]) -> list[str]:
    """Return the group of each clip, as the split has it.

    Raises:
        ShardError: The split is missing or damaged.
    """
    table = read_table(split, ["id", "group"])
    return _of(ids, dict(zip(table["id"].to_pylist(), table["group"].to_pylist(), strict=True)))


def read_parts(data: Path, ids: Sequence[str], names: Sequence[str] | None) -> dict[str, list[str]]:
    """Return for each name the part of the corpus that each clip belongs to; "" where that is not known.

    Args:
        data: The corpus's folder, `data/<ds>`.
        ids: The clips.
        names: Attributes of the clips, `group`, or `container` of the facts. None: the attributes that divide the clips
            into 2 to 50 parts.

    Raises:
        ConfigError: The corpus has nothing of such a name.
        ShardError: A table is missing or damaged.
    """
    path = data / "raw" / "clips.parquet"
    if names is None and not path.is_file():
        return {}
    table = read_table(path, ["id", "group", "attributes"])
    columns: dict[str, dict[str, str]] = {}
    for clip, pairs in zip(table["id"].to_pylist(), table["attributes"].to_pylist(), strict=True):
        for name, value in pairs or ():
            columns.setdefault(name, {})[clip] = value
    if names is None:
        found = {name: _of(ids, values) for name, values in sorted(columns.items())}
        return {name: values for name, values in found.items() if 2 <= len(set(values)) <= _MAX_PARTS}
    columns["group"] = dict(zip(table["id"].to_pylist(), table["group"].to_pylist(), strict=True))
    if set(names) & set(_FACTS):
        facts = read_table(data / "audio" / "facts.parquet", ["id", *_FACTS])
        columns |= {name: dict(zip(facts["id"].to_pylist(), facts[name].to_pylist(), strict=True)) for name in _FACTS}
    for name in names:
        if name not in columns:
            raise ConfigError(unknown_name(f"evaluate.groups of {data.name}", name, {*columns, *_FACTS}))
    return {name: _of(ids, columns[name]) for name in names}


def _of(ids: Sequence[str], values: dict[str, str]) -> list[str]:
    return [values.get(clip) or "" for clip in ids]
