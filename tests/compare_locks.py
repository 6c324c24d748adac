"""Compare what two dvc.lock files say of the outputs of the data stages. Usage: compare_locks.py COMMITTED NEW"""

import sys
from pathlib import Path

from ruamel.yaml import YAML

DATA_STAGES = ("download", "resample", "loudness", "trim", "features", "split")


def data_outs(lock: Path) -> dict[str, str]:
    """Return the hash of every output of a data stage, by path."""
    stages = YAML(typ="safe").load(lock.read_text(encoding="utf-8"))["stages"]
    return {
        out["path"]: out["md5"]
        for name, stage in stages.items()
        if name.split("@")[0] in DATA_STAGES
        for out in stage["outs"]
    }


def main() -> None:
    """Exit with 1 and a line per difference, or with 0 and one line."""
    committed, new = (data_outs(Path(name)) for name in sys.argv[1:])
    differing = sorted(path for path in committed.keys() | new.keys() if committed.get(path) != new.get(path))
    for path in differing:
        print(f"{path}: expected {committed.get(path)}, got {new.get(path)}; run dvc repro and commit dvc.lock")
    if differing:
        raise SystemExit(1)
    print(f"{len(new)} outputs of data stages have the committed hashes")


if __name__ == "__main__":
    main()
