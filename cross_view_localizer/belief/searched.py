"""The headings that were searched, and what may lie beyond them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def borders(offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (R + 1,) rising limits of what each of (R,) rising offsets stands for, radians.

    Half-way between neighbours; the outermost reach as far out as in.
    """
    middles = (offsets[1:] + offsets[:-1]) / 2
    first, last = 2 * offsets[0] - middles[0], 2 * offsets[-1] - middles[-1]
    return np.concatenate([[first], middles, [last]])


def searched_half(offsets: NDArray[np.float64]) -> float:
    """Return how far from the given heading is searched to both sides, radians.

    Args:
        offsets: (R,) headings tried, relative to the given one; R ≥ 2.

    Returns:
        infinity where they go all the way round, zero where the given one is not among them.
    """
    limits = borders(np.sort(offsets))
    if limits[-1] - limits[0] > 2 * math.pi - 1e-3:
        return math.inf
    return max(0.0, float(min(-limits[0], limits[-1])))


def unsearched_variance(
    mass: NDArray[np.float64],
    offsets: NDArray[np.float64],
    yaw: float,
    std: float,
    prior_in_mass: bool = False,
) -> float:
    """Return what headings that were not searched add to the variance about ``yaw``, rad².

    Beyond the outermost searched headings nothing was measured. What can be said is how much of
    the given heading's Gaussian lies there, and that the image's likelihood there is at most about
    that of the outermost heading: a picture that is sure of the middle leaves them little, one
    that pulls to a side leaves that side much.

    Args:
        mass: (R,) probability of the offsets, sums to one.
        offsets: (R,) radians, relative to the given heading; R ≥ 2.
        yaw: the estimate, relative to the given heading.
        std: of the given heading, radians.
        prior_in_mass: the given heading's Gaussian is in ``mass`` already.
    """
    if math.isinf(searched_half(offsets)):
        return 0.0
    order = np.argsort(offsets)
    limits = borders(offsets[order])
    below = np.array([_below(float(limit) / std) for limit in limits])
    given = np.maximum(np.diff(below), 1e-12)
    likelihood = mass[order] / (given if prior_in_mass else np.diff(limits))
    inside = float(likelihood @ given)
    low = likelihood[0] * _tail(-float(limits[0]) / std, -yaw / std)
    high = likelihood[-1] * _tail(float(limits[-1]) / std, yaw / std)
    shares = likelihood[0] * below[0] + likelihood[-1] * (1 - below[-1])
    return float(std**2 * (low + high) / (inside + shares))


def _below(x: float) -> float:
    """Return the standard normal distribution's mass below ``x``."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _tail(limit: float, about: float) -> float:
    """Return the integral of (z − about)² over the standard normal distribution above ``limit``."""
    density = math.exp(-(limit**2) / 2) / math.sqrt(2 * math.pi)
    return (1 + about**2) * _below(-limit) + (limit - 2 * about) * density
