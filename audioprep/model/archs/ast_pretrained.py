"""A published audio spectrogram transformer, `ast_pretrained`: the body is transformers' ASTModel, the head is ours.

Shape letters: B clips of a batch, N frames, M bins, P patches along the frames, Q along the bins, W words of a clip (two
of its own, then P of each of Q), D values of a word, L classes.

Differences from the published network: clips and bins of any number; a frame's features are those of its patches beside
the mean of the clip's own two words, which are all that the published head hears.

Source: Gong et al. 2021 (arXiv 2104.01778); github.com/YuanGongND/ast, src/models/ast_models.py, positions of other sides.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioprep.errors import ModelError, reason_of
from audioprep.model.archs.trunk import Sides, Trunk

CONFIG_NAME, WEIGHTS = "config.json", "model.safetensors"
_MODEL_TYPE = "audio-spectrogram-transformer"
_NUM_OWN_WORDS = 2
# The keys of config.json that say what the network is; the others are of training or of its classes.
_KEYS = frozenset(
    [
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "hidden_act",
        "layer_norm_eps",
        "patch_size",
        "qkv_bias",
        "frequency_stride",
        "time_stride",
        "max_length",
        "num_mel_bins",
    ]
)


class PretrainedAst(Trunk):
    """transformers' ASTModel, and a linear layer."""

    def __init__(self, sides: Sides, dropout: float) -> None:
        """Make the trunk with random weights.

        Args:
            sides: Of input and output; its `config` is what `published_config` returns. None: that of the published
                network, 12 layers of 768 values.
            dropout: Share of the pooled values that are dropped in training.

        Raises:
            ModelError: transformers is not installed.
        """
        super().__init__()
        transformers = _transformers()
        config = transformers.ASTConfig(**(sides.config or {}))
        self.min_side = config.patch_size
        self._num_known_along_bins = _num_along_bins(config)
        config.max_length, config.num_mel_bins = (
            max(side, self.min_side) for side in (sides.num_frames, sides.num_bins)
        )
        self.body = transformers.ASTModel(config)
        self.body.embeddings = _Words(self.body.embeddings, config)
        self.config = {key: getattr(config, key) for key in sorted(_KEYS)}
        self.pool = sides.make_pool(2 * config.hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.pool.num_outputs, sides.num_classes)

    def frames(self, x_BCNM: Tensor) -> Tensor:
        """Return features [B, 2 D, P]."""
        words_BWD: Tensor = self.body(x_BCNM[:, 0]).last_hidden_state
        own_BD1 = words_BWD[:, :_NUM_OWN_WORDS].mean(dim=1).unsqueeze(2)
        num_along_bins = self.body.embeddings.num_along_bins
        patches_BWD = words_BWD[:, _NUM_OWN_WORDS:]
        z_BQPD = patches_BWD.reshape(patches_BWD.shape[0], num_along_bins, -1, patches_BWD.shape[2])
        z_BDP = z_BQPD.mean(dim=1).transpose(1, 2)
        return torch.cat([z_BDP, own_BD1.expand_as(z_BDP)], dim=1)

    def classify(self, z: Tensor) -> Tensor:
        """Return logits [..., L]."""
        logits: Tensor = self.head(self.dropout(z))
        return logits

    def fitted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return weights with the positions of this network's clips and bins."""
        words, name = self.body.embeddings, "body.embeddings.position_embeddings"
        if name not in weights:
            return weights
        num_along_frames = (words.position_embeddings.shape[1] - _NUM_OWN_WORDS) // words.num_along_bins
        sides = (self._num_known_along_bins, words.num_along_bins, num_along_frames)
        return weights | {name: _fitted_positions(weights[name], *sides)}


class _Words(nn.Module):
    """transformers' ASTEmbeddings, with its parameters and names, for clips of any length."""

    def __init__(self, published: Any, config: Any) -> None:
        super().__init__()
        self.cls_token = published.cls_token
        self.distillation_token = published.distillation_token
        self.position_embeddings = published.position_embeddings
        self.patch_embeddings = published.patch_embeddings
        self.num_along_bins = _num_along_bins(config)

    def forward(self, x_BNM: Tensor) -> Tensor:
        words_BWD: Tensor = self.patch_embeddings(x_BNM)
        own = [word_11D.expand(x_BNM.shape[0], -1, -1) for word_11D in (self.cls_token, self.distillation_token)]
        num_along_frames = words_BWD.shape[1] // self.num_along_bins
        positions_1WD = _fitted_positions(
            self.position_embeddings, self.num_along_bins, self.num_along_bins, num_along_frames
        )
        return torch.cat([*own, words_BWD], dim=1) + positions_1WD


def published_config(folder: Path) -> dict[str, Any]:
    """Return what the `config.json` of a folder says of the network.

    Args:
        folder: As transformers saves it.

    Raises:
        ModelError: There is none, or it is of another kind of network.
    """
    path = folder / CONFIG_NAME
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = config["model_type"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ModelError(
            f"{path}: expected the config of an {_MODEL_TYPE}, got {reason_of(error)}; check the path"
        ) from None
    if kind != _MODEL_TYPE:
        raise ModelError(f"{path}: expected model_type {_MODEL_TYPE}, got {kind}; give the folder of such a network")
    return {key: value for key, value in config.items() if key in _KEYS}


def published_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a folder under the names of `PretrainedAst`, without a head.

    Args:
        folder: As transformers saves it: `config.json` and `model.safetensors`. Nothing in it is run, nothing is downloaded.

    Raises:
        ModelError: A file is missing, damaged, or lacks weights; or transformers is not installed.
    """
    published_config(folder)
    transformers = _transformers()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        body, found = transformers.ASTModel.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:  # noqa: BLE001 - whatever a library finds wrong with somebody's files
        raise ModelError(
            f"{folder}: expected {CONFIG_NAME} and {WEIGHTS}, got {reason_of(error)}; check them"
        ) from None
    if missing := sorted(found["missing_keys"]):
        raise ModelError(
            f"{folder}: expected the weights of the network, got none of {missing[0]} ({len(missing)}); check it"
        )
    return {f"body.{name}": value for name, value in body.state_dict().items()}


def _fitted_positions(positions_1WD: Tensor, num_known: int, num_along_bins: int, num_along_frames: int) -> Tensor:
    """Return the positions of other sides: of shorter clips those in the middle, as published; others are stretched.

    Args:
        positions_1WD: Two of the clip's own words, then those of the patches, bin after bin.
        num_known: Patches along the bins that they are of.
        num_along_bins: Patches along the bins that are wanted.
        num_along_frames: Patches along the frames that are wanted.
    """
    own_12D, patches_1WD = positions_1WD[:, :_NUM_OWN_WORDS], positions_1WD[:, _NUM_OWN_WORDS:]
    grid_1DQP = patches_1WD.transpose(1, 2).reshape(1, patches_1WD.shape[2], num_known, -1)
    if num_along_frames < grid_1DQP.shape[3]:
        first = (grid_1DQP.shape[3] - num_along_frames) // 2
        grid_1DQP = grid_1DQP[..., first : first + num_along_frames]
    if grid_1DQP.shape[2:] != (num_along_bins, num_along_frames):
        size = (num_along_bins, num_along_frames)
        grid_1DQP = functional.interpolate(grid_1DQP, size=size, mode="bilinear", align_corners=False)
    return torch.cat([own_12D, grid_1DQP.flatten(2).transpose(1, 2)], dim=1)


def _num_along_bins(config: Any) -> int:
    return 1 + int((config.num_mel_bins - config.patch_size) // config.frequency_stride)


def _transformers() -> Any:
    """Return the library, which only this network needs; importing it takes seconds."""
    try:
        import transformers
    except ImportError:
        raise ModelError(
            "model.arch ast_pretrained: expected the library transformers, found none; run: pip install 'audioprep[hf]'"
        ) from None
    return transformers
