"""Compare two tables that `classify.py --csv` has written. Usage: compare_predictions.py EXPECTED NEW

Labels must be equal. Processors add in different orders: what differs in its last bit may fall on another step of 16-bit
samples, float16 features or the int8 network, and so probabilities may differ a little.
"""

import csv
import sys
from pathlib import Path

MAX_DIFFERENCE = 0.01  # of a probability

Table = dict[str, tuple[str, list[float]]]


def table(path: Path) -> Table:
    """Return labels and probabilities by file."""
    with path.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    return {name: (labels, [float(value) for value in values]) for name, labels, *values in rows}


def main() -> None:
    """Exit with 1 and a line per difference, or with 0 and one line."""
    expected, new = (table(Path(name)) for name in sys.argv[1:])
    if not expected or expected.keys() != new.keys():
        raise SystemExit(
            f"expected the same files in both tables, got {len(expected)} and {len(new)}; see {sys.argv[2]}"
        )
    difference_of = {}
    failures = []
    for name, (labels, values) in expected.items():
        new_labels, new_values = new[name]
        difference_of[name] = max(abs(a - b) for a, b in zip(values, new_values, strict=True))
        if new_labels != labels or difference_of[name] > MAX_DIFFERENCE:
            failures.append(
                f"{name}: expected {labels} within {MAX_DIFFERENCE}, got {new_labels}, {difference_of[name]:.4f} off"
            )
    if failures:
        raise SystemExit("\n".join(failures))
    num_equal = sum(difference == 0 for difference in difference_of.values())
    print(
        f"{len(new)} files: the same labels; probabilities differ by {max(difference_of.values()):.4f} at most "
        f"({MAX_DIFFERENCE} allowed), in {num_equal} files by nothing"
    )


if __name__ == "__main__":
    main()
