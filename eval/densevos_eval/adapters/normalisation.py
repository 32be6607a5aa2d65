"""What is subtracted from frames and what they are divided by before a network sees them; without
torch.
"""

from dataclasses import dataclass

from densevos.base.errors import InputError

Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """Mean and standard deviation of R, G and B in 0 to 1; None leaves the choice to whoever is
    asked next.
    """

    mean: Triple | None = None
    std: Triple | None = None

    def __post_init__(self) -> None:
        for flag, values in (("--mean", self.mean), ("--std", self.std)):
            if values is not None and len(values) != 3:
                raise InputError(
                    f"{flag}: must be three numbers, one each for R, G and B, is {values}"
                )

        if self.std is not None and not all(value > 0 for value in self.std):
            raise InputError(f"--std: must be three numbers above 0, is {self.std}")
