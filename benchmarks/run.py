"""`make bench`: every topic in turn, each in a process of its own, and the whole table at the end.

Usage: python benchmarks/run.py [TOPIC ...]     without a topic, all of them
"""

import subprocess
import sys
from pathlib import Path

from suite import known_rows, show

HERE = Path(__file__).resolve().parent
# What every module here measures stands in its first line.
TOPICS = (
    "kernels",
    "audio_pass",
    "data_path",
    "batches",
    "sizes",
    "edge",
    "scaling",
    "scale",
    "growth",
    "noop",
    "duplicates",
)


def main() -> None:
    """Run the topics; one that fails stops none of the others."""
    asked = sys.argv[1:] or TOPICS
    unknown = sorted(set(asked) - set(TOPICS))
    if unknown:
        raise SystemExit(f"benchmarks: expected topics of {', '.join(TOPICS)}, got {', '.join(unknown)}; mend the name")
    failed = [
        topic for topic in asked if subprocess.run([sys.executable, HERE / f"{topic}.py"], check=False).returncode
    ]
    show(known_rows())
    if failed:
        raise SystemExit(
            f"benchmarks: {len(failed)} of {len(asked)} topics failed: {', '.join(failed)}; run them alone"
        )


if __name__ == "__main__":
    main()
