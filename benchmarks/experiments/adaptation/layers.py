"""Write a copy of a model in which only some layers have BatchNorm statistics of a target.

    python layers.py MODEL SET:ROOT SPLIT OUT PREFIX ...

Chosen are the layers whose names begin with one of the prefixes, such as backbone.layer4. How well
the copy segments the target tells where in the network the gap does its harm: an adversary can only
mend what lies before the layer that its discriminator sees.
"""

import copy
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.ops import FrozenBatchNorm2d

from densevos.models import card
from densevos.models.segmentation.network import FORMAT
from densevos_eval.segmentation.adaptation import adapt
from densevos_eval.segmentation.classifier import Classifier, load_classifier
from densevos_eval.segmentation.options import Pictures, SegmentationInput


def write(model: Path, pictures: Pictures, prefixes: Collection[str], out: Path) -> None:
    """Write the copy in which the chosen layers have the statistics of `pictures`."""
    classifier = load_classifier(model, torch.device("cpu"))
    found = statistics_of_part(classifier, pictures.load(), prefixes)

    weights, facts = card.load(model, FORMAT, "a segmentation network")
    for name, values in found.items():
        weights[name] = torch.from_numpy(values)

    out.parent.mkdir(parents=True, exist_ok=True)
    card.save(out, weights, facts)


def statistics_of_part(
    classifier: Classifier, material: SegmentationInput, prefixes: Collection[str]
) -> Mapping[str, np.ndarray]:
    """Estimate the statistics of the layers whose names begin with one of `prefixes`.

    The other layers keep theirs during the estimate, so that each chosen layer sees the input that
    it will see afterwards.
    """
    frozen = copy.copy(classifier)
    frozen.network = copy.deepcopy(classifier.network)
    freeze_all_but(frozen.network, prefixes)

    return adapt(frozen, material).values


def freeze_all_but(network: nn.Module, prefixes: Collection[str]) -> None:
    """Replace BatchNorm layers by fixed ones, except those whose names begin with a prefix."""
    for name, layer in list(network.named_modules()):
        if not isinstance(layer, _BatchNorm) or name.startswith(tuple(prefixes)):
            continue

        fixed = FrozenBatchNorm2d(layer.num_features, layer.eps)
        # A fixed layer counts no batches, so that one entry has no place in it.
        state = layer.state_dict()
        del state["num_batches_tracked"]
        fixed.load_state_dict(state)
        network.set_submodule(name, fixed)


def main() -> None:
    """Write the model of the command line."""
    model, labelled_set, split, out, *prefixes = sys.argv[1:]
    write(Path(model), Pictures(set=labelled_set, split=split), prefixes, Path(out))


if __name__ == "__main__":
    main()
