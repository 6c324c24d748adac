"""Features of a bundle that numpy alone cannot make: noise reduction and pretrained embeddings, as the pipeline makes them."""

from audioprep.dsp.denoise import denoiser
from audioprep.dsp.features import EMBEDDING, feature_kernel
from audioprep.edge.front import Front
from audioprep.io.bundle import Bundle


def whole_front(bundle: Bundle) -> Front | None:
    """Return what makes features for a bundle that needs more than numpy, None for any other.

    Raises:
        ModelError: The embedding's pretrained model cannot be used.
    """
    audio, features = bundle.about["audio"], bundle.about["features"]
    rate_hz = audio["rate_hz"]
    kernel = feature_kernel(EMBEDDING, features["rule"], rate_hz) if features["kind"] == EMBEDDING else None
    clear = denoiser(features["denoise"], rate_hz) if features.get("denoise") else None
    if kernel is None and clear is None:
        return None
    return Front(audio, features, bundle.arrays(), kernel, clear)
