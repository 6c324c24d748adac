"""The bundle on the device: its memory, the time from start to answer, its size, and the time of a clip in one thread.

Usage: python benchmarks/edge.py [--bundle FOLDER] [--checkpoint FILE]     without arguments those of the demo

Torch, with the checkpoint that the bundle was made from, hears the same clips in turn. Clips are WAV files at 44.1 kHz, as
long as the bundle's window. Seconds are CPU seconds; the files are in the page cache, and the bundle's modules are compiled each time.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from clips import source, windows
from suite import Apart, Contestant, Row, median_ratio, report, take_turns
from threadpoolctl import threadpool_limits

from audioprep.console import show_table
from audioprep.dsp.measure import to_mono
from audioprep.edge.front import Front
from audioprep.edge.predict import Predictor
from audioprep.io.audio import decode
from audioprep.io.bundle import NETWORK_NAMES, Bundle, read_bundle

HERE = Path(__file__).resolve().parent
DEMO = HERE.parent / "models" / "demo" / "bundle"
NUM_CLIPS, ROUNDS, PROCESS_ROUNDS = 20, 7, 5
MAX_MEMORY_MB, MAX_START_S, MAX_SIZE_MB = 90.0, 1.0, 0.5
MAX_SHARE = 0.01  # of the clip's length
# A small process starts the command: the kernel counts what the starting process held as the command's own.
_START = """
import json, os, sys, time
started_s = time.perf_counter()
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
taken = used.ru_maxrss * 1024, used.ru_utime + used.ru_stime, time.perf_counter() - started_s
print(json.dumps([status, *taken]))
"""


class Once(NamedTuple):
    """What a process took, from its start to its end."""

    peak_bytes: int
    cpu_s: float
    wall_s: float


def run_once(command: Sequence[str]) -> Once:
    """Run a Python program and return what it took."""
    started = [sys.executable, "-I", "-S", "-c", _START, sys.executable, *command]
    output = subprocess.run(started, check=True, capture_output=True, text=True)
    status, *taken = json.loads(output.stdout.splitlines()[-1])
    if status:
        raise SystemExit(f"{' '.join(command)}: expected it to end well, got {output.stderr.strip()}")
    return Once(*taken)


def of_processes(bundle: Path, checkpoint: Path, clip: Path) -> dict[str, Once]:
    """Return the median of what a process takes that hears one clip and ends."""
    commands = {
        "ours": [str(bundle / "classify.py"), str(clip)],
        "torch": [str(HERE / "by_torch.py"), *map(str, (checkpoint, bundle, clip))],
        "Python and numpy": ["-c", "import numpy"],
        "Python, numpy and onnxruntime": ["-c", "import numpy, onnxruntime"],
    }
    taken: dict[str, list[Once]] = {name: [] for name in commands}
    for _ in range(PROCESS_ROUNDS + 1):
        for name, command in commands.items():
            taken[name].append(run_once(command))
    # The first round warms up.
    return {name: Once(*map(statistics.median, zip(*found[1:], strict=True))) for name, found in taken.items()}


def of_clips(bundle: Bundle, checkpoint: Path, files: Sequence[bytes]) -> dict[str, list[float]]:
    """Return the milliseconds of a clip in every round: of each step, and of all together with each network."""
    # As classify.py has it.
    with threadpool_limits(1):
        contestants = {name: Apart(_Late(make, bundle, checkpoint, files)) for name, make in _STEPS.items()}
        times = take_turns(contestants, ROUNDS)
    return {name: [1e3 * call_s / len(files) for call_s in taken] for name, taken in times.items()}


class _Late:
    """A contestant that makes what it needs in its own process, when it is called first."""

    def __init__(self, make: Callable[..., Contestant], *given: object) -> None:
        self._make, self._given = make, given
        self._run: Contestant | None = None

    def __call__(self) -> None:
        if self._run is None:
            self._run = self._make(*self._given)
        self._run()


def _each(kernel: Callable[[Any], object], items: Sequence[Any]) -> Contestant:
    def run() -> None:
        for item in items:
            kernel(item)

    return run


def _decoding(_bundle: Bundle, _checkpoint: Path, files: Sequence[bytes]) -> Contestant:
    return _each(decode, files)


def _rate(bundle: Bundle, _checkpoint: Path, files: Sequence[bytes]) -> Contestant:
    front, decoded = _front(bundle), [decode(data) for data in files]
    return _each(lambda one: front.at_rate(to_mono(one.wave_TC), one.rate_hz), decoded)


def _features(bundle: Bundle, _checkpoint: Path, files: Sequence[bytes]) -> Contestant:
    front = _front(bundle)
    waves = [front.at_rate(to_mono(one.wave_TC), one.rate_hz) for one in map(decode, files)]
    return _each(lambda wave_T: list(front.windows(wave_T)), waves)


def _network(precision: str) -> Callable[..., Contestant]:
    def make(bundle: Bundle, _checkpoint: Path, files: Sequence[bytes]) -> Contestant:
        predictor = Predictor(bundle, precision=precision)
        return _each(predictor.probabilities, _matrices(bundle, files))

    return make


def _torch_network(bundle: Bundle, checkpoint: Path, files: Sequence[bytes]) -> Contestant:
    import numpy as np
    from by_torch import torch_classifier

    classify, num_shifts = torch_classifier(checkpoint), bundle.about["decision"]["num_shifts"]
    matrices = [np.concatenate([np.stack(windows)] * num_shifts) for windows in _matrices(bundle, files)]
    return _each(classify, matrices)


def _all_by_torch(bundle: Bundle, checkpoint: Path, files: Sequence[bytes]) -> Contestant:
    from by_torch import listener

    return _each(listener(checkpoint, bundle.folder), files)


def _all_by(precision: str) -> Callable[..., Contestant]:
    def make(bundle: Bundle, _checkpoint: Path, files: Sequence[bytes]) -> Contestant:
        predictor = Predictor(bundle, precision=precision)

        def hear(data: bytes) -> None:
            decoded = decode(data)
            predictor.probabilities(
                predictor.front.windows(predictor.front.at_rate(to_mono(decoded.wave_TC), decoded.rate_hz))
            )

        return _each(hear, files)

    return make


def _front(bundle: Bundle) -> Front:
    return Front(bundle.about["audio"], bundle.about["features"], bundle.arrays())


def _matrices(bundle: Bundle, files: Sequence[bytes]) -> list[list]:
    front = _front(bundle)
    return [list(front.windows(front.at_rate(to_mono(one.wave_TC), one.rate_hz))) for one in map(decode, files)]


_ALL = "all of it"
_STEPS = {
    _ALL: _all_by("int8"),
    "all, with the fp32 network": _all_by("fp32"),
    "all, with torch": _all_by_torch,
    "decoding": _decoding,
    "another rate": _rate,
    "features": _features,
    "int8 network": _network("int8"),
    "fp32 network": _network("fp32"),
    "torch network": _torch_network,
}


def within(row: str, unit: str, ours: float, allowed: float, others: dict[str, float]) -> Row:
    """Return the line of a figure that must stay within a limit."""
    ratio = allowed / ours
    rounded = {name: round(value, 3) for name, value in others.items()}
    return Row(row, unit, round(ours, 3), "allowed", allowed, None, round(ratio, 2), 1.0, ours <= allowed, rounded)


def rows(folder: Path, checkpoint: Path) -> list[Row]:
    """Measure, and print what a clip takes step by step."""
    with tempfile.TemporaryDirectory(prefix="audioprep-") as temporary:
        bundle = read_bundle(folder)
        window_s = bundle.about["audio"]["window_s"]
        files = windows(window_s, NUM_CLIPS)
        clip = Path(temporary, "clip.wav")
        clip.write_bytes(files[0])
        took = of_processes(bundle.folder, checkpoint, clip)
        rounds_ms = of_clips(bundle, checkpoint, files)
        sizes = {name: (bundle.folder / file).stat().st_size / 1e6 for name, file in NETWORK_NAMES.items()}
    ms = {name: statistics.median(found) for name, found in rounds_ms.items()}
    cells = [
        (name, f"{ms[name]:.2f}", f"{median_ratio(found, rounds_ms[_ALL]):.2f}") for name, found in rounds_ms.items()
    ]
    what = f"a clip of {window_s:g} s ({bundle.about['provenance']['arch']}; {source()})"
    show_table(f"{what[0].upper()}{what[1:]}, one thread", ("step", "CPU ms", "of ours"), cells)
    beside = {name: found for name, found in took.items() if name != "ours"}
    memory_mb = {name: found.peak_bytes / 1e6 for name, found in beside.items()}
    start_s = {name: found.cpu_s for name, found in beside.items()} | {
        f"{name}, on the wall": took[name].wall_s for name in ("ours", "torch")
    }
    size_mb = {"fp32 network": sizes["fp32"], "checkpoint": checkpoint.stat().st_size / 1e6}
    return [
        within(
            f"edge: peak memory of classify.py, {what}", "MB", took["ours"].peak_bytes / 1e6, MAX_MEMORY_MB, memory_mb
        ),
        within(f"edge: from start to answer, {what}", "s", took["ours"].cpu_s, MAX_START_S, start_s),
        within(f"edge: int8 network, {what}", "MB", sizes["int8"], MAX_SIZE_MB, size_mb),
        within(
            f"edge: from file to answer in one thread, {what}",
            "ms",
            ms[_ALL],
            1e3 * MAX_SHARE * window_s,
            {name: took_ms for name, took_ms in ms.items() if name != _ALL},
        ),
    ]


def main() -> None:
    """Measure and put the lines into results.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=DEMO, help="its folder; the demo's")
    parser.add_argument(
        "--checkpoint", type=Path, help="the one that the bundle was made from; ../checkpoints/fold<n>.pt"
    )
    asked = parser.parse_args()
    if not (asked.bundle / "classify.py").exists():
        raise SystemExit(f"{asked.bundle}: expected a bundle, found none; run `make demo` first, or name one")
    fold = read_bundle(asked.bundle).about["provenance"]["fold"]
    checkpoint = asked.checkpoint or asked.bundle.parent / "checkpoints" / f"fold{fold}.pt"
    if not checkpoint.exists():
        raise SystemExit(f"{checkpoint}: expected the checkpoint of the bundle, found none; name it with --checkpoint")
    report(rows(asked.bundle.resolve(), checkpoint.resolve()))


if __name__ == "__main__":
    main()
