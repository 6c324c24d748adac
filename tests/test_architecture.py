"""The layout is the architecture: layers, homes of outside libraries, and what DVC must know."""

from pathlib import Path

import pytest
from import_closure import PACKAGE, ROOT, import_closure, imported_modules
from ruamel.yaml import YAML

# From the bottom up; a module may import its own layer and those before it.
LAYERS = (
    ("errors", "closure", "config", "console", "engine"),
    ("datasets", "dsp", "io"),
    ("steps", "model", "edge"),
    ("cli", "stage"),
)
# Parts of one layer that stay apart although they stand side by side.
APART = {"datasets": {"dsp", "io"}, "dsp": {"datasets", "io"}, "io": {"datasets", "dsp"}}
APART |= {"steps": {"model", "edge"}, "model": {"steps"}, "edge": {"steps", "model"}}
HOMES = {
    "audiomentations": ("dsp/wave_augment.py",),
    "torch": ("model/", "dsp/embedding.py"),
    "transformers": ("dsp/embedding.py", "model/archs/ast_pretrained.py"),
    "torchaudio": ("model/",),
    "lhotse": ("io/manifests.py", "io/lhotse_features.py"),
    "soundfile": ("io/audio.py", "datasets/synthesis/archive.py"),
    "soxr": ("dsp/resample.py",),
    "sounddevice": ("edge/devices.py",),
    "tkinter": ("edge/desktop.py", "edge/display.py"),
    "pyarrow": ("io/", "steps/", "engine/imports.py"),
    "noisereduce": ("dsp/denoise.py",),
    "requests": ("io/fetch/",),
    "urllib3": ("io/fetch/",),
    "tarfile": ("io/archives/", "io/shar.py", "io/sample_tars.py"),
    "deflate": ("io/archives/",),
    "zipfile": ("io/archives/", "datasets/synthesis/archive.py"),
    "sqlite3": ("io/archives/",),
    "rich": ("console.py",),
    "typer": ("cli/",),
    "pydantic": ("config/",),
    "ruamel": ("config/", "steps/prepare.py", "steps/sharing.py", "steps/init/"),
    "scipy": ("dsp/", "steps/features.py", "datasets/synthesis/", "model/"),
    "sklearn": ("model/",),
    "matplotlib": ("model/", "steps/inspect.py", "steps/card/"),
    "PIL": ("model/report/media.py",),
    "jinja2": ("model/", "steps/card/"),
    "onnx": ("model/",),
    "onnxruntime": ("model/", "edge/"),
    "threadpoolctl": ("engine/make.py", "model/"),
    "ray": ("engine/ray.py",),
    "dvc": ("engine/earlier.py", "steps/sharing_objects.py"),
    "multiprocessing": ("engine/", "model/folds.py"),
}
MODULES = sorted((ROOT / PACKAGE).rglob("*.py"))
STAGES = sorted((ROOT / "stages").glob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT / PACKAGE).as_posix()


def part_of(dotted_or_path: str) -> str:
    return dotted_or_path.replace(".py", "").replace("/", ".").split(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    layer_of = {part: number for number, parts in enumerate(LAYERS) for part in parts}
    here = part_of(name_of(path))
    if here == "__init__":
        return
    imported = {m.removeprefix(f"{PACKAGE}.") for m in imported_modules(path) if m.startswith(f"{PACKAGE}.")}
    parts = {part_of(module) for module in imported} - {here}
    up = {part for part in parts if layer_of[part] > layer_of[here] or part in APART.get(here, ())}
    assert not up, f"{name_of(path)} imports {sorted(up)}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_library_has_its_home(path: Path) -> None:
    imported = {module.split(".")[0] for module in imported_modules(path)}
    strays = {library for library in imported & set(HOMES) if not name_of(path).startswith(HOMES[library])}
    assert not strays, f"{name_of(path)} imports {sorted(strays)}"


@pytest.mark.parametrize("path", [*MODULES, *sorted((ROOT / "tests").rglob("*.py"))], ids=str)
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("script", STAGES, ids=lambda path: path.stem)
def test_dvc_deps_are_the_import_closure(script: Path) -> None:
    stage = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][script.stem]
    listed = {dep for dep in stage["deps"] if not dep.startswith(("data/", "models/", "reports/"))}
    assert listed == import_closure(script)


@pytest.mark.parametrize("stage", ["download", "resample", "loudness", "trim", "features", "augment", "split"])
def test_data_stages_do_not_depend_on_training(stage: str) -> None:
    closure = import_closure(ROOT / "stages" / f"{stage}.py")
    assert not [file for file in closure if file.startswith(f"{PACKAGE}/model/") or file.endswith("training.py")]
