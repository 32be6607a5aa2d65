"""How fast does the clustered loss's discriminator learn, beside that of the general loss?

    python pairs.py RUN OUT.json

RUN is a run with the clustered loss. The network that it started from looks at batches as in its
training and does not change, so nothing works against the discriminators. Both see the same units
(maps or tokens) at the same place: one tells images from videos, the other pairs of one domain from
pairs of two. They learn from every second batch, and are judged on the others.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from densevos.base.files import write_json
from densevos.config import I2VConfig
from densevos.data.segmentation.samples import DomainSamples
from densevos.learners import probe
from densevos.learners.adversary import Adversary
from densevos.learners.image_to_video import DomainFeatures, discriminator_of
from densevos.methods.domains import open_domains
from densevos.methods.examination import Examination
from densevos.methods.image_to_video import make_adapter
from densevos.methods.registry import read_config

STEPS = (30, 100, 300)
"""Steps after which the discriminators are judged; the runs of the experiment have 152."""
RATES = (1e-4, 1e-3)
"""Learning rates of Adam: that of the recipes, and ten times as much."""


def measure(config: I2VConfig) -> list[dict[str, object]]:
    """Balanced accuracy of both discriminators by learning rate and steps; chance is 0.5."""
    domains = open_domains(config)
    learner = make_adapter(config, domains)
    samples = DomainSamples(domains.source, domains.target, config.clips, config.loop.seed)
    examination = Examination(config=config, learner=learner, samples=lambda _: samples)
    batches = examination.batches(Path())

    learner.eval()
    with torch.no_grad():
        features = [learner.look(batch).features for batch in batches]

    rows: list[dict[str, object]] = []
    for kind in (config.adversarial.unit, discriminator_of(config)):
        for rate in RATES:
            # The same first weights for both learning rates.
            torch.manual_seed(0)
            adversary = probe.new_adversary(kind, features[0].tap, config.adversarial)
            accuracies = learned(adversary, features, rate)
            rows.append({"discriminator": kind, "rate": rate, "accuracy": accuracies})

    return rows


def learned(
    adversary: Adversary, features: Sequence[DomainFeatures], rate: float
) -> dict[int, float]:
    """Accuracy on held-out batches after each of STEPS."""
    to_learn, held_out = features[::2], features[1::2]
    optimiser = torch.optim.Adam(adversary.parameters(), lr=rate)
    found = {}

    for step in range(1, max(STEPS) + 1):
        batch = to_learn[step % len(to_learn)]
        optimiser.zero_grad(set_to_none=True)
        probe.losses_of(adversary, batch, step)["adversarial"].backward()
        optimiser.step()

        if step in STEPS:
            adversary.eval()
            found[step] = probe.accuracy(adversary, held_out, seed=0)
            adversary.train()

    return found


def main() -> None:
    """Measure the run of the command line."""
    run, out = map(Path, sys.argv[1:])
    config = read_config(run / "config.json")
    if not isinstance(config, I2VConfig) or config.loss != "clustered":
        raise SystemExit(f"error: {run}: is not a run with the clustered loss")

    write_json(out, measure(config))


if __name__ == "__main__":
    main()
