"""The toy corpus, made and trained once for all tests of the training side."""

from pathlib import Path

import pytest
import torch
from model.corpora import QUICK, SMALL_MODEL, SPLIT, write_multi_label_corpus, write_sounds, write_toy_corpus

from audioprep.config.training import EvaluateRule
from audioprep.model.corpus import load_corpus
from audioprep.model.evaluate import evaluate
from audioprep.model.folds import train_folds

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def toy_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with `data/toy`; nothing may change it."""
    root = tmp_path_factory.mktemp("toy")
    write_toy_corpus(root)
    return root


@pytest.fixture(scope="session")
def toy(toy_root: Path) -> Path:
    """Folder of the toy corpus."""
    return toy_root / "data/toy"


@pytest.fixture(scope="session")
def checkpoints(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of folds 1 and 2 of the toy corpus, trained by worker processes."""
    folder = tmp_path_factory.mktemp("models")
    train = QUICK.model_copy(update={"folds": (1, 2)})
    train_folds(toy, SPLIT, SMALL_MODEL, train, folder / "work", folder / "checkpoints", folder / "log")
    return folder / "checkpoints"


@pytest.fixture(scope="session")
def report(toy: Path, checkpoints: Path) -> Path:
    """Results of evaluating those checkpoints."""
    folder = checkpoints.parent / "report"
    evaluate(toy, checkpoints, folder, EvaluateRule())
    return folder


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the corpus whose clips have several labels, or none."""
    root = tmp_path_factory.mktemp("several")
    write_multi_label_corpus(root)
    return root / "data/several"


@pytest.fixture(scope="session")
def several_checkpoints(several: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of its folds 1 and 2."""
    folder = tmp_path_factory.mktemp("several_models")
    train = QUICK.model_copy(update={"folds": (1, 2)})
    train_folds(several, SPLIT, SMALL_MODEL, train, folder / "work", folder / "checkpoints", folder / "log")
    return folder / "checkpoints"


@pytest.fixture(scope="session")
def several_report(several: Path, several_checkpoints: Path) -> Path:
    """Results of evaluating those checkpoints."""
    folder = several_checkpoints.parent / "report"
    evaluate(several, several_checkpoints, folder, EvaluateRule())
    return folder


@pytest.fixture(scope="session")
def noisy_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Corpus and checkpoints of clips so noisy that some are taken for another class."""
    root = tmp_path_factory.mktemp("noisy")
    write_toy_corpus(root, noise=30.0)
    data = root / "data/toy"
    write_sounds(data, load_corpus(data, "logmel", SPLIT).ids)
    train = QUICK.model_copy(update={"folds": (1, 2), "epochs": 3})
    train_folds(data, SPLIT, SMALL_MODEL, train, root / "work", root / "checkpoints")
    return data, root / "checkpoints"


@pytest.fixture(scope="session")
def noisy_report(noisy_run: tuple[Path, Path]) -> Path:
    """Results of evaluating them."""
    data, checkpoints = noisy_run
    evaluate(data, checkpoints, data.parent / "report", EvaluateRule())
    return data.parent / "report"
