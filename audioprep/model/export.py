"""Stage export: one fold's classifier as an edge bundle, if int8 is as good as float32.

Reads    models/<ds>/checkpoints/, reports/<ds>/ metrics.json, details.json, calibration.json and predictions.parquet, data/<ds>/<kind>/,
         splits/, card/summary.json; audio/facts.parquet, if it is there
Writes   models/<ds>/bundle/ model.fp32.onnx, model.int8.onnx, front.npz, classify.py and the modules that it runs, README.md,
         MODEL_CARD.md, bundle.json
"""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from audioprep.config.training import ExportRule
from audioprep.console import say
from audioprep.dsp.temperature import scale
from audioprep.engine import fresh_folder
from audioprep.errors import ModelError
from audioprep.io.bundle import FORMAT, NETWORK_NAMES, WAVE_NAME
from audioprep.model.bundle import write_about, write_code, write_front, write_words
from audioprep.model.checkpoints import Checkpoint, cost_of, load_checkpoint
from audioprep.model.corpus import Corpus, load_corpus
from audioprep.model.gate import write_networks
from audioprep.model.metrics.decisions import fitted_thresholds
from audioprep.model.single_graph import write_single_graph
from audioprep.model.trained import check_fits, read_training
from audioprep.model.training_facts import training_facts


def export(
    data: Path, checkpoints: Path, results: Path, out: Path, rule: ExportRule, audio: dict[str, Any]
) -> dict[str, Any]:
    """Write the edge bundle of one corpus; nothing is written when int8 fails the gate.

    Args:
        data: The corpus's folder, `data/<ds>`.
        checkpoints: What the train stage wrote.
        results: What the evaluate stage wrote, with `metrics.json`, `details.json`, `calibration.json` and `predictions.parquet`.
        out: The bundle's folder.
        rule: Which fold, and how much int8 may cost.
        audio: What the device does before the features: `rate_hz`, `window_s`, `loudness`, `trim`, and `hop_s` where it judges all windows
            of what is longer.

    Returns:
        What `bundle.json` holds.

    Raises:
        ModelError: The fold was not trained, the export is not exact, or int8 loses too much.
        ShardError: Features or split are missing or damaged.
    """
    torch.set_num_threads(1)
    folds = read_training(checkpoints)["folds"]
    fold = folds[0] if rule.fold is None else rule.fold
    if fold not in folds:
        raise ModelError(f"export.fold: expected a trained fold of {folds}, got {fold}; mend it or train.folds")
    checkpoint = load_checkpoint(checkpoints / f"fold{fold}.pt")
    corpus = load_corpus(data, checkpoint.rule.features, checkpoint.meta["split"])
    check_fits(corpus, checkpoint)
    metrics, details = (_read_json(results / name) for name in ("metrics.json", "details.json"))
    calibration = _of_fold(_read_json(results / "calibration.json"), checkpoint)
    decision = _decision(calibration, checkpoint, corpus)
    temporary = fresh_folder(out.with_name(f".{out.name}.tmp"))
    try:
        gate = write_networks(temporary, checkpoint, corpus, rule, fitted_thresholds(calibration, corpus.classes))
        write_front(temporary, corpus.meta["kind"], corpus.meta["rule"], audio["rate_hz"])
        write_code(temporary)
        if rule.single_graph:
            _write_wave(temporary, corpus, audio, decision)
        facts = training_facts(data, results, corpus, checkpoint, decision["temperature"])
        about = _about(checkpoint, corpus, metrics, gate, audio) | {"decision": decision, "training_facts": facts}
        write_words(temporary, about, _read_json(data / "card" / "summary.json"), details["per_class"])
        about = write_about(temporary, about)
        shutil.rmtree(out, ignore_errors=True)
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    int8, fp32 = ((out / NETWORK_NAMES[name]).stat().st_size / 1e3 for name in ("int8", "fp32"))
    temperature = decision["temperature"]
    say(
        f"{data.name}: int8 ({gate['int8']}) in {int8:.0f} kB, float32 in {fp32:.0f} kB; they agree on "
        f"{gate['agreement']:.1%} of the {gate['num_clips']} {gate['role']} clips; "
        f"{'no temperature' if temperature is None else f'temperature {temperature:.2f}'}; bundle in {out}"
    )
    return about


def _write_wave(folder: Path, corpus: Corpus, audio: dict[str, Any], decision: dict[str, Any]) -> None:
    write_single_graph(
        folder / NETWORK_NAMES["int8"],
        folder / WAVE_NAME,
        corpus.meta["kind"],
        corpus.meta["rule"],
        rate_hz=audio["rate_hz"],
        num_samples=round(audio["window_s"] * audio["rate_hz"]),
        denoises=bool(corpus.meta.get("denoise")),
        outputs=decision["outputs"],
        temperature=decision["temperature"],
    )


def _about(
    checkpoint: Checkpoint,
    corpus: Corpus,
    metrics: dict[str, Any],
    gate: dict[str, Any],
    audio: dict[str, Any],
) -> dict[str, Any]:
    meta, front = checkpoint.meta, checkpoint.classifier.front
    cost = cost_of(checkpoint.rule, checkpoint.shapes)
    return {
        "format": FORMAT,
        "dataset": meta["dataset"],
        "labels": meta["labels"],
        "audio": audio,
        "features": {**corpus.meta, "num_frames": checkpoint.shapes.num_frames, "num_bins": checkpoint.shapes.num_bins},
        "normalisation": {"in_network": True, "mean": front.mean_M.tolist(), "std": front.std_M.tolist()},
        "metrics": {"cross_validated": metrics, "gate": gate},
        "provenance": {
            "arch": checkpoint.rule.arch,
            "num_parameters": cost.num_parameters,
            "num_multiply_adds": cost.num_multiply_adds,
            "model": checkpoint.rule.model_dump(mode="json"),
            "split": meta["split"],
            "split_sha256": corpus.split_meta["sha256"],
            "fold": meta["fold"],
            "fit_on": meta["fit_on"],
            "versions": {name: version(name) for name in ("audioprep", "torch", "onnx", "onnxruntime")},
        },
    }


def _of_fold(calibration: dict[str, Any], checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what the evaluation found on the validation clips of the checkpoint's fold.

    Raises:
        ModelError: The evaluation was one of other folds.
    """
    fold = checkpoint.meta["fold"]
    if f"fold{fold}" not in calibration:
        raise ModelError(
            f"export: expected the calibration of fold {fold}, got that of {', '.join(calibration) or 'none'}; run the "
            "evaluate stage again"
        )
    return dict(calibration[f"fold{fold}"])


def _decision(calibration: dict[str, Any], checkpoint: Checkpoint, corpus: Corpus) -> dict[str, Any]:
    """Return what the device makes of the network's output: probabilities as sure as they are right, and labels.

    Thresholds are of these probabilities; they are those of the report, which have another value before the temperature.
    """
    outputs = checkpoint.classifier.outputs
    temperature, thresholds = calibration["temperature"], None
    if corpus.is_multi_label:
        values_1L = fitted_thresholds(calibration, corpus.classes)[None]
        scaled_1L = values_1L if temperature is None else scale(values_1L, outputs, temperature)
        thresholds = dict(zip(corpus.classes, scaled_1L[0].tolist(), strict=True))
    return {
        "outputs": outputs,
        "num_shifts": calibration["num_shifts"],
        "temperature": temperature,
        "thresholds": thresholds,
        "num_validation_clips": calibration["num_clips"],
    }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise ModelError(f"{path}: expected what an earlier stage wrote, found none; run `dvc repro`") from None
