"""Mean and standard deviation that normalise frames. This module does not load torch."""

from dataclasses import dataclass

from densevos.base.errors import InputError

Triple = tuple[float, float, float]
"""A number each for R, G and B."""


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """Mean and standard deviation of R, G and B in 0 to 1; None leaves the choice open.

    Args:
        mean: Subtracted from frames.
        std: What frames are divided by then.

    Raises:
        InputError: There are not three numbers, or a standard deviation is not above 0.
    """

    mean: Triple | None = None
    std: Triple | None = None

    def __post_init__(self) -> None:
        # Presets and scripts may give any sequence; only the command line counts the numbers.
        for flag, values in (("--mean", self.mean), ("--std", self.std)):
            if values is not None and len(values) != 3:
                raise InputError(
                    f"{flag}: must be three numbers, one each for R, G and B, is {values}"
                )

        if self.std is not None and not all(value > 0 for value in self.std):
            raise InputError(f"--std: must be three numbers above 0, is {self.std}")
