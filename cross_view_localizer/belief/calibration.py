"""From scores to a covariance that means something: temperature, background and floor."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# How far from certain a probability counts that a network's float32 has rounded to 0 or 1.
SURE = 1e-9


@dataclass(frozen=True)
class Calibration:
    """What was fitted on held-out frames, shipped with the weights.

    Attributes:
        temperature: scores are divided by it.
        floor_std: metres, added in quadrature to each axis: what the heatmap can't know
            (misregistered imagery, extrinsics).
        yaw_std: radians, added in quadrature to an estimated heading's spread.
        background: share of the mass spread evenly over the support, for frames that fool the
            network.
        moments: what the covariance sums over, about the chosen mode: "all" mass (consistent: then
            the expected squared error is the covariance), the mode's "basin", or a "radius".
        radius: metres, for "radius".
        no_match_scale, no_match_shift: the log-odds that the pictures do not show the same place
            are multiplied by the one, then the other is added.
    """

    temperature: float = 1.0
    floor_std: float = 0.25
    yaw_std: float = math.radians(1.0)
    background: float = 0.0
    moments: str = "all"
    radius: float = 10.0
    no_match_scale: float = 1.0
    no_match_shift: float = 0.0

    def __post_init__(self) -> None:
        for name in ("temperature", "radius", "no_match_scale"):
            if not (0 < getattr(self, name) < math.inf):
                raise ValueError(
                    f"calibration {name} {getattr(self, name)}: expected a positive number"
                )
        for name in ("floor_std", "yaw_std"):
            if not (0 <= getattr(self, name) < math.inf):
                raise ValueError(f"calibration {name} {getattr(self, name)}: expected zero or more")
        if not math.isfinite(self.no_match_shift):
            raise ValueError(
                f"calibration no_match_shift {self.no_match_shift}: expected a finite number"
            )
        if not 0 <= self.background < 1:
            raise ValueError(
                f"calibration background {self.background}: expected a share in [0, 1)"
            )
        if self.moments not in ("all", "basin", "radius"):
            raise ValueError(f"calibration moments '{self.moments}': expected all, basin or radius")

    def no_match(self, probability: ArrayLike) -> NDArray[np.float64]:
        """Return the calibrated probability of no match from the network's, of the same shape.

        sigmoid(scale · logit(p) + shift): the order of frames stays as it is. What a saturated
        network gives, 0 or 1, counts as `SURE` off it, so that scale and shift reach it too. As
        fitted, it is for even odds beforehand, shifted until 96 % of right pairs pass.

        Raises:
            ValueError: a value outside 0 … 1, or NaN.
        """
        given = np.asarray(probability, dtype=np.float64)
        if not ((given >= 0) & (given <= 1)).all():  # also NaN
            worst = given[~((given >= 0) & (given <= 1))].flat[0]
            raise ValueError(f"probability of no match {worst}: expected 0 to 1")
        kept = np.clip(given, SURE, 1 - SURE)
        log_odds = np.log(kept) - np.log1p(-kept)
        return 0.5 + 0.5 * np.tanh(0.5 * (self.no_match_scale * log_odds + self.no_match_shift))

    def to_dict(self) -> dict[str, Any]:
        """Return what :meth:`from_dict` takes, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """Build from a dictionary.

        Raises:
            ValueError: unknown names or values out of range, one line.
        """
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"calibration has unknown values {sorted(unknown)}")
        return cls(**values)
