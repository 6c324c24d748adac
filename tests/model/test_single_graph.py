"""The temperature inside a network, as the device applies it outside; the front end is tested with the export."""

from pathlib import Path

import numpy as np
import pytest
import torch

from audioprep.dsp.temperature import Outputs, scale
from audioprep.errors import ModelError
from audioprep.model.single_graph import _Tempered, write_single_graph


@pytest.mark.parametrize("outputs", ["softmax", "sigmoid"])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_the_devices(outputs: Outputs, temperature: float) -> None:
    scores_BL = np.random.default_rng(0).dirichlet([0.1] * 6, 50).astype(np.float32)
    scores_BL[0] = [0, 0, 0, 0, 0, 1]
    found_BL = _Tempered(outputs, temperature)(torch.from_numpy(scores_BL)).numpy()
    np.testing.assert_allclose(found_BL, scale(scores_BL, outputs, temperature), atol=5e-4)


@pytest.mark.parametrize(
    ("kind", "denoises", "found"), [("mfcc", False, "mfcc"), ("logmel", True, "logmel and noise reduction")]
)
def test_what_a_graph_cannot_do_is_refused(tmp_path: Path, kind: str, *, denoises: bool, found: str) -> None:
    with pytest.raises(
        ModelError, match=rf"export.single_graph: expected logmel features, got {found}; set it to false, or train on"
    ):
        write_single_graph(
            tmp_path / "a",
            tmp_path / "b",
            kind,
            {},
            rate_hz=1,
            num_samples=1,
            denoises=denoises,
            outputs="softmax",
            temperature=None,
        )
