"""What a bundle holds besides its networks: the front end's matrices, the code that uses them, and words for people.

Shape letters: M bins, F bins of the spectrum, C coefficients, P points of the low-pass filter, R rates.
"""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt
import scipy.fft

from audioprep.closure import ROOT, import_closure
from audioprep.dsp.features import EMBEDDING, filterbank
from audioprep.dsp.frames import hann
from audioprep.dsp.resample import lowpass_gains
from audioprep.edge import launch
from audioprep.engine import file_sha256
from audioprep.io.bundle import ARRAYS_NAME, BUNDLE_NAME, NETWORK_NAMES, WAVE_NAME, hash_of

_WORDS = ("README.md", "MODEL_CARD.md")
# Rates of files and of microphones whose way to the features' rate is measured.
_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 192000)
# The filter is flat up to nine tenths of the Nyquist frequency, and steep above.
_LOWPASS_P = np.concatenate([np.linspace(0.0, 0.9, 18, endpoint=False), np.linspace(0.9, 1.0, 401)])


def write_front(folder: Path, kind: str, rule: dict[str, Any], rate_hz: int) -> None:
    """Write the matrices of the front end, `front.npz`, the same bytes each time.

    Args:
        folder: The bundle's folder.
        kind: The kind of features, such as `logmel`.
        rule: Its section of params.yaml.
        rate_hz: Rate of the features' sound.
    """
    other_rates_hz = [rate_in_hz for rate_in_hz in _RATES_HZ if rate_in_hz != rate_hz]
    gains = [np.round(lowpass_gains(rate_in_hz, rate_hz, _LOWPASS_P), 6) for rate_in_hz in other_rates_hz]
    arrays: dict[str, npt.NDArray[Any]] = {
        "lowpass_rates_hz": np.array(other_rates_hz),
        "lowpass_frequencies": _LOWPASS_P,
        "lowpass_gains": np.stack(gains),
    }
    if kind != EMBEDDING:
        arrays["window"] = hann(round(rule["win_ms"] * rate_hz / 1000))
        arrays["filters"] = filterbank(kind, rule, rate_hz)
    if kind == "mfcc":
        cosines_MM = scipy.fft.dct(np.eye(rule["n_mels"]), type=2, norm="ortho", axis=1)
        arrays["cosines"] = cosines_MM[:, : rule["n_mfcc"]].astype(np.float32)
    np.savez(folder / ARRAYS_NAME, **arrays)  # type: ignore[arg-type]


def write_code(folder: Path) -> None:
    """Copy `classify.py` and the modules that it runs, as they are, into a bundle."""
    script = Path(launch.__file__)
    shutil.copyfile(script, folder / "classify.py")
    for name in sorted(import_closure(script)):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    # Without these, an audioprep that is installed beside it would be imported instead.
    for package in {path.parent for path in folder.rglob("*.py")} - {folder}:
        (package / "__init__.py").touch()


def write_words(folder: Path, about: dict[str, Any], corpus: dict[str, Any], per_class: dict[str, Any]) -> None:
    """Write README.md and MODEL_CARD.md.

    Args:
        folder: The bundle, with its networks.
        about: What `bundle.json` will hold.
        corpus: The summary of the corpus's card.
        per_class: Precision, recall, F1 and average precision of each class.
    """
    networks = {**NETWORK_NAMES, "wave": WAVE_NAME}
    sizes = {name: (folder / file).stat().st_size for name, file in networks.items() if (folder / file).exists()}
    known = {**about, "sizes": sizes, "corpus": corpus, "per_class": per_class, "gate": about["metrics"]["gate"]}
    for name in _WORDS:
        text = _templates().get_template(f"{name}.j2").render(known, cross=about["metrics"]["cross_validated"])
        (folder / name).write_text(text, encoding="utf-8")


def write_about(folder: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Write `bundle.json` over a bundle that is otherwise whole, with a hash of each file, and return what it holds."""
    files = {
        path.relative_to(folder).as_posix(): file_sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    about = json.loads(json.dumps(about | {"files": files}))  # as it will be read
    about["sha256"] = hash_of(about)
    (folder / BUNDLE_NAME).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return about


def _templates() -> jinja2.Environment:
    loader = jinja2.PackageLoader("audioprep.model", "bundle")
    environment = jinja2.Environment(  # noqa: S701 # Markdown, not HTML
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": "{:g}".format,
        "percent": lambda share: "-" if share is None or math.isnan(share) else f"{100 * share:.1f} %",
        "kilobytes": lambda size: f"{size / 1e3:,.0f} kB",
    }
    return environment
