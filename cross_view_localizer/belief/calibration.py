"""From scores to a covariance that means something: temperature, background and floor."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any


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
    """

    temperature: float = 1.0
    floor_std: float = 0.25
    yaw_std: float = math.radians(1.0)
    background: float = 0.0
    moments: str = "all"
    radius: float = 10.0

    def __post_init__(self) -> None:
        for name in ("temperature", "radius"):
            if not (0 < getattr(self, name) < math.inf):
                raise ValueError(
                    f"calibration {name} {getattr(self, name)}: expected a positive number"
                )
        for name in ("floor_std", "yaw_std"):
            if not (0 <= getattr(self, name) < math.inf):
                raise ValueError(f"calibration {name} {getattr(self, name)}: expected zero or more")
        if not 0 <= self.background < 1:
            raise ValueError(
                f"calibration background {self.background}: expected a share in [0, 1)"
            )
        if self.moments not in ("all", "basin", "radius"):
            raise ValueError(f"calibration moments '{self.moments}': expected all, basin or radius")

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
