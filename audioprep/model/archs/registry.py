"""Every network that `model.arch` can name."""

from collections.abc import Callable
from dataclasses import dataclass

from audioprep.config.training import ModelRule
from audioprep.model.archs.ast_pretrained import PretrainedAst
from audioprep.model.archs.bcresnet import BCResNet
from audioprep.model.archs.crnn import Crnn
from audioprep.model.archs.mn04 import Mn04
from audioprep.model.archs.mobilenetv2 import MobileNetV2
from audioprep.model.archs.panns import Panns
from audioprep.model.archs.resnet8 import ResNet8
from audioprep.model.archs.spectrogram_transformer import SpectrogramTransformer
from audioprep.model.archs.trunk import Sides, Trunk


@dataclass(frozen=True)
class Arch:
    """What is known of a network before it is made.

    Attributes:
        make: Returns it with random weights, drawn from torch's global generator.
        settings: The keys of `model` that it reads, beside those that all of them do; the others are passed over.
        about: What it is, in a few words.
        stays_float: What of it has no int8 counterpart in onnxruntime and is exported in float32; empty: nothing.
    """

    make: Callable[[ModelRule, Sides], Trunk]
    settings: tuple[str, ...]
    about: str
    stays_float: str = ""


def _panns(arch: str, about: str) -> Arch:
    return Arch(lambda _rule, sides: Panns(arch, sides), (), about)


ARCHS: dict[str, Arch] = {
    "resnet8": Arch(
        lambda rule, sides: ResNet8(sides, rule.width, rule.dropout),
        ("width", "frame_pool", "dropout"),
        "residual network of eight 3x3 convolutions; the default",
    ),
    "bcresnet": Arch(
        lambda rule, sides: BCResNet(sides, rule.width),
        ("width",),
        "broadcasted residuals; width 8 is BC-ResNet-1",
        stays_float="sub-spectral norms and SiLU: they have no int8 kernel",
    ),
    "crnn": Arch(
        lambda rule, sides: Crnn(sides, rule.width, rule.dropout),
        ("width", "dropout"),
        "convolutions, then a recurrent layer in both directions",
        stays_float="the recurrent layer: static quantisation knows none",
    ),
    "cnn6": _panns("cnn6", "PANNs, four 5x5 convolutions"),
    "cnn10": _panns("cnn10", "PANNs, eight 3x3 convolutions"),
    "cnn14": _panns("cnn14", "PANNs, twelve 3x3 convolutions"),
    "mobilenetv2": Arch(lambda _rule, sides: MobileNetV2(sides), (), "PANNs, inverted residuals"),
    "mn04": Arch(
        lambda rule, sides: Mn04(sides, rule.dropout),
        ("dropout",),
        "MobileNetV3-Large at 0.4 of its width",
        stays_float="hard-swish and the weights of channels: they have no int8 kernel",
    ),
    "ast": Arch(
        lambda rule, sides: SpectrogramTransformer(sides, rule.width, rule.dropout),
        ("width", "dropout"),
        "spectrogram transformer of six layers",
        stays_float="attention's softmax, layer norms and GELU: they have no int8 kernel",
    ),
    "ast_pretrained": Arch(
        lambda rule, sides: PretrainedAst(sides, rule.dropout),
        ("init_checkpoint", "dropout"),
        "the published spectrogram transformer, from a folder in init_checkpoint; needs audioprep[hf]",
        stays_float="attention's softmax, layer norms and GELU: they have no int8 kernel",
    ),
}
