"""Parameter sets that papers, their authors and well-known ports published.

The papers of v1 and v2 searched w1, sigma_alpha and sigma_beta on 100 validation images, coarse to fine (v1: 5..10,
50:10:100, 3:1:10; v2: 3:6, 30:10:100, 3:6; w2 = sigma_gamma = 3); the rows of the authors' page are what the searches
found for each of their models. v3 and v3+ use no CRF, in the papers or in the code.
"""

from __future__ import annotations

from dataclasses import dataclass

from deeplab_studio.crf.params import CrfParams, Normalization


@dataclass(frozen=True, slots=True)
class Preset:
    """A named parameter set.

    Parameters
    ----------
    id : str
        Stable name for settings and the command line: lower case letters, digits and hyphens.
    name : str
        What a person reads.
    params : CrfParams
        The parameters.
    source : str
        Where the figures come from, in one or two sentences.
    """

    id: str
    name: str
    params: CrfParams
    source: str


_AUTHORS = (
    "The DeepLab authors' page of released models (Chen, Papandreou, Kokkinos, Murphy, Yuille, ICLR 2015). "
    "Their CRF library normalises after filtering."
)


def _preset(
    preset_id: str,
    name: str,
    source: str,
    normalization: Normalization,
    values: tuple[float, float, float, float, float],
    iterations: int = 10,
) -> Preset:
    return Preset(preset_id, name, CrfParams(*values, iterations=iterations, normalization=normalization), source)


PRESETS: tuple[Preset, ...] = (
    _preset(
        "v2-resnet101",
        "v2 ResNet-101 (PyTorch port)",
        "kazuto1011/deeplab-pytorch, configs/voc12.yaml and cocostuff*.yaml: VOC 2012 val 76.65 without, 77.93 with "
        "it.",
        "symmetric",
        (4, 67, 3, 3, 1),
    ),
    _preset(
        "v1-largefov",
        "v1 LargeFOV",
        f"{_AUTHORS} CoinCheung/Deeplab-Large-FOV uses the same figures with symmetric normalisation.",
        "after",
        (4, 121, 5, 3, 3),
    ),
    _preset(
        "v1-largefov-port",
        "v1 LargeFOV (PyTorch port)",
        "wangleihitcs/DeepLab-V1-PyTorch, main.py, on pictures padded to 513x513: VOC 2012 val 65.44 without, 69.60 "
        "with it.",
        "symmetric",
        (5, 140, 5, 3, 3),
    ),
    _preset("v1", "v1", _AUTHORS, "after", (5, 50, 10, 3, 3)),
    _preset("v1-msc", "v1 MSc", _AUTHORS, "after", (3, 95, 3, 3, 3)),
    _preset("v1-coco", "v1 COCO", _AUTHORS, "after", (5, 67, 3, 3, 3)),
    _preset("v1-msc-largefov", "v1 MSc LargeFOV", _AUTHORS, "after", (4, 83, 5, 3, 3)),
    _preset("v1-coco-largefov", "v1 COCO LargeFOV", _AUTHORS, "after", (5, 69, 5, 3, 3)),
    _preset("v1-msc-coco-largefov", "v1 MSc COCO LargeFOV", _AUTHORS, "after", (4, 59, 5, 3, 3)),
    _preset(
        "v2-script",
        "v2 script default",
        "The authors' run_densecrf.sh for VOC 2012, as kept in xmojiao/deeplab_v2. Their CRF library normalises after "
        "filtering.",
        "after",
        (4, 49, 5, 3, 3),
    ),
    _preset(
        "pydensecrf-readme",
        "pydensecrf README",
        "The example in the README of lucasb-eyer/pydensecrf (5 iterations).",
        "symmetric",
        (10, 80, 13, 3, 3),
        iterations=5,
    ),
)
"""Every preset; the first is what `CrfParams` defaults to."""


def find_preset(name: str) -> Preset | None:
    """The preset with this id or, in any case of letters, this name; None if there is none."""
    wanted = name.strip().casefold()
    return next((preset for preset in PRESETS if wanted in (preset.id, preset.name.casefold())), None)
