import torch

from audioprep.model.archs.spectrogram_transformer import SpectrogramTransformer
from audioprep.model.archs.trunk import Sides


def make(num_frames: int = 66, num_bins: int = 36, num_classes: int = 3) -> SpectrogramTransformer:
    torch.manual_seed(0)
    return SpectrogramTransformer(Sides(1, num_frames, num_bins, num_classes), 4, 0.0).eval()


def test_patches_overlap_and_their_features_are_those_of_frames() -> None:
    assert make().frames(torch.randn(2, 1, 66, 36)).shape == (2, 48, 6)


def test_size_is_a_few_million_at_the_default_width() -> None:
    trunk = SpectrogramTransformer(Sides(1, 501, 64, 50), 16, 0.1)
    assert 2.5e6 < sum(weight.numel() for weight in trunk.parameters()) < 3e6


def test_place_matters() -> None:
    trunk = make()
    x_BCNM = torch.zeros(1, 1, 66, 36)
    z_BCN = trunk.frames(x_BCNM)
    assert not torch.allclose(z_BCN[:, :, 0], z_BCN[:, :, 3], atol=1e-3)


def test_positions_are_stretched_to_other_lengths() -> None:
    trunk = make()
    assert trunk.frames(torch.zeros(1, 1, 126, 36)).shape == (1, 48, 12)
    weights = trunk.state_dict()
    other = make(num_frames=126, num_bins=56)
    fitted = other.fitted(weights)
    assert fitted["frame_positions"].shape == (48, 12)
    assert fitted["bin_positions"].shape == (48, 5)
    other.load_state_dict(fitted)
    # Linear in between, as torch has it: the ends stay.
    torch.testing.assert_close(fitted["frame_positions"][:, 0], weights["frame_positions"][:, 0])
    torch.testing.assert_close(fitted["frame_positions"][:, -1], weights["frame_positions"][:, -1])
    same = make().fitted(weights)
    assert torch.equal(same["frame_positions"], weights["frame_positions"])
