"""Frames of a pretrained transformer as features: wav2vec2, HuBERT, WavLM and AST, from a folder on this machine.

torch and transformers are imported where a model is loaded, and by nothing that only looks at its folder.

Shape letters: T samples, N frames, D values of a frame, P patches.
"""

import functools
import hashlib
import importlib.util
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audioprep.dsp.arrays import Float32, Wave, check_mono
from audioprep.engine.files import file_sha256
from audioprep.errors import ModelError, reason_of

_WHERE = "features.embedding"
_AST = "audio-spectrogram-transformer"
_TYPES = ("wav2vec2", "hubert", "wavlm", _AST)
_CONV_KEYS = ("conv_kernel", "conv_stride")
_AST_KEYS = ("max_length", "patch_size", "time_stride")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_AST_SPECIAL = 2  # tokens before the patches: class and distillation
_FBANK_WIN_MS, _FBANK_HOP_MS = 25, 10  # Kaldi's, which AST hears through
# Used in training alone, and so missing from some published weights.
_UNUSED = {"masked_spec_embed"}


class Pretrained(NamedTuple):
    """A pretrained model as its folder describes it.

    Attributes:
        folder: The folder.
        weights: Name of the file with the weights.
        config: What `config.json` holds.
        processor: What `preprocessor_config.json` holds.
    """

    folder: Path
    weights: str
    config: dict[str, Any]
    processor: dict[str, Any]

    @property
    def is_ast(self) -> bool:
        """Whether it takes a spectrogram and not the wave."""
        return bool(self.config["model_type"] == _AST)

    @property
    def hop_samples(self) -> int:
        """Distance between the centres of two frames, in samples."""
        if self.is_ast:
            return int(self.config["time_stride"]) * int(self.processor["sampling_rate"]) * _FBANK_HOP_MS // 1000
        return int(math.prod(self.config["conv_stride"]))

    def num_frames(self, num_samples: int) -> int:
        """Return how many whole frames there are in so many samples: the conv layers' output, or AST's columns of patches."""
        if not self.is_ast:
            for kernel, stride in zip(self.config["conv_kernel"], self.config["conv_stride"], strict=True):
                num_samples = max(0, (num_samples - kernel) // stride + 1)
            return num_samples
        per_ms = self.processor["sampling_rate"] / 1000
        num_columns = 1 + (num_samples - round(_FBANK_WIN_MS * per_ms)) // round(_FBANK_HOP_MS * per_ms)
        return max(0, int((num_columns - self.config["patch_size"]) // self.config["time_stride"] + 1))

    @property
    def max_frames(self) -> float:
        """Most frames that it takes at once."""
        if not self.is_ast:
            return math.inf
        return int((self.config["max_length"] - self.config["patch_size"]) // self.config["time_stride"] + 1)

    def sha256(self) -> str:
        """Return the hash of what it is loaded from: both descriptions and the weights."""
        names = ("config.json", "preprocessor_config.json", self.weights)
        return hashlib.sha256("".join(file_sha256(self.folder / name) for name in names).encode()).hexdigest()


def pretrained(rule: Mapping[str, Any], rate_hz: int) -> Pretrained:
    """Return the pretrained model that a rule names, after everything that its folder tells has been checked.

    Args:
        rule: `features.embedding` of params.yaml, as plain values.
        rate_hz: Sampling rate of the waves that it is to take.

    Raises:
        ModelError: The extra is not installed; or the folder is missing, no model's, of another type or rate, has other files than
            `sha256` says, or fewer layers than `layer`.
    """
    if importlib.util.find_spec("transformers") is None:
        raise ModelError(f"{_WHERE}: expected transformers, found none; run: pip install 'audioprep[hf]'")
    folder = Path(str(rule["model"])).expanduser()
    if not folder.is_dir():
        raise ModelError(
            f"{_WHERE}.model: expected a folder, found none at {folder}; nothing is downloaded here, put the model there"
        )
    weights = next((name for name in _WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise ModelError(
            f"{folder}: expected {' or '.join(_WEIGHTS)}, found neither; give a folder that transformers saved"
        )
    model = Pretrained(
        folder, weights, _described(folder, "config.json"), _described(folder, "preprocessor_config.json")
    )
    _check(model, rule, rate_hz)
    return model


def embedding_kernel(rule: Mapping[str, Any], rate_hz: int) -> Callable[[Wave], Float32]:
    """Return the function from a windowed wave [T] to the frames [N, D] of a pretrained model.

    The wave goes through the model's own feature extractor, so it is normalised if and as `preprocessor_config.json` says. The model
    is in evaluation mode, in float32, on one thread of the CPU: the same wave gives the same bytes on one machine and one version
    of torch; other machines differ in the last bits.

    Args:
        rule: `features.embedding` of params.yaml, as plain values. `layer` N: what the first N layers have made of it (0: what goes
            into the first); empty: `last_hidden_state`, the last layer with the normalisation that some models end with.
        rate_hz: Sampling rate of the wave.

    Returns:
        A function that gives float32. wav2vec2, HuBERT and WavLM: a frame is what the conv layers make of the wave, about
        `T / 320`. AST: a frame is the mean over frequency of a column of patches, one every 100 ms; those of the padding to the
        length that AST takes are left out.

    Raises:
        ModelError: As `pretrained`; or the weights cannot be read or are not all there. The function raises it for waves that are
            too short or too long, and for frames that do not fit the rule's dtype.
    """
    model = pretrained(rule, rate_hz)
    extractor, network = _loaded(model.folder, model.weights, rule["sha256"] or model.sha256())
    layer, dtype = rule["layer"], rule["dtype"]

    def frames_of(wave_T: Wave) -> Float32:
        import torch

        check_mono("embedding", wave_T)
        num_frames = model.num_frames(len(wave_T))
        if not 1 <= num_frames <= model.max_frames:
            raise ModelError(
                f"{model.folder}: expected a window of 1 to {model.max_frames:g} frames, got {len(wave_T) / rate_hz:g} s = "
                f"{num_frames} frames; mend window_s of the corpus"
            )
        try:
            with torch.inference_mode(), _one_thread():
                inputs = extractor(np.asarray(wave_T, np.float32), sampling_rate=rate_hz, return_tensors="pt")
                outputs = network(inputs["input_values"], output_hidden_states=layer is not None)
        except (RuntimeError, ValueError) as error:
            raise ModelError(
                f"{model.folder}: expected a model that takes waves, got {reason_of(error)}; give another one"
            ) from None
        states = outputs.last_hidden_state if layer is None else outputs.hidden_states[layer]
        frames_ND: Float32 = states[0].numpy()
        if model.is_ast:
            frames_ND = _columns(frames_ND, model.max_frames)[:num_frames]
        if not np.isfinite(frames_ND).all() or np.abs(frames_ND).max() > np.finfo(dtype).max:
            raise ModelError(
                f"{model.folder}: expected frames of finite {dtype}, got others; set {_WHERE}.dtype to float32"
            )
        return np.ascontiguousarray(frames_ND)

    return frames_of


def _described(folder: Path, name: str) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise ModelError(f"{folder}: expected {name}, found none; give a folder that transformers saved") from None


def _check(model: Pretrained, rule: Mapping[str, Any], rate_hz: int) -> None:
    folder, kind = model.folder, model.config.get("model_type")
    if kind not in _TYPES:
        raise ModelError(f"{folder}: expected a model of type {', '.join(_TYPES)}, got {kind}; choose another one")
    keys = ("num_hidden_layers", *(_AST_KEYS if model.is_ast else _CONV_KEYS))
    if lacking := [key for key in keys if key not in model.config]:
        raise ModelError(f"{folder}/config.json: expected {', '.join(keys)}, got no {lacking[0]}; save the model anew")
    wanted_hz = model.processor.get("sampling_rate")
    if wanted_hz != rate_hz:
        raise ModelError(
            f"{folder}: expected audio of {wanted_hz} Hz, got {rate_hz} Hz; set resample.rate_hz={wanted_hz}"
        )
    num_layers = model.config["num_hidden_layers"]
    if (rule["layer"] or 0) > num_layers:
        raise ModelError(f"{_WHERE}.layer: expected 0 to {num_layers}, got {rule['layer']}; mend it, or leave it empty")
    if rule["sha256"] and rule["sha256"] != (found := model.sha256()):
        raise ModelError(
            f"{folder}: expected the sha256 {rule['sha256'][:12]}…, got {found[:12]}…; bring that model back, or mend {_WHERE}.sha256"
        )


@functools.lru_cache(maxsize=1)
def _loaded(folder: Path, weights: str, _sha256: str) -> tuple[Any, Any]:
    """Return feature extractor and network; the last ones are kept, so that a process loads them once for all shards."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    import transformers

    hf: Any = transformers  # parts of it have no types
    hf.utils.logging.set_verbosity_error()
    hf.utils.logging.disable_progress_bar()
    try:
        extractor = hf.AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
        network, found = hf.AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=weights.endswith(".safetensors"),
            weights_only=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # noqa: BLE001 - whatever it meets in files that are not ours
        raise ModelError(
            f"{folder}: expected a model that transformers {hf.__version__} reads, got {reason_of(error)}; "
            "give another one"
        ) from None
    if missing := sorted(set(found["missing_keys"]) - _UNUSED):
        raise ModelError(
            f"{folder / weights}: expected all weights of the model, got none for {len(missing)}, such as {missing[0]}; "
            "get the file again"
        )
    return extractor, network.eval()


def _columns(states_PD: Float32, num_columns: float) -> Float32:
    """Return the mean over frequency of each column of patches [N, D]; the patches come frequency by frequency."""
    columns_PND = states_PD[_AST_SPECIAL:].reshape(-1, int(num_columns), states_PD.shape[1])
    return np.asarray(columns_PND.mean(axis=0))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread: workers do not fight for the cores, and no sum depends on how many there are."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
