"""Puts the fixes' belief and the initial pose's together."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from cross_view_localizer.prior.carry import UNKNOWN_YAW_VARIANCE, GaussianPose

# 99.9 % of a chi-square distribution with two degrees of freedom.
_AGREE = 13.8


def agree(fixes: GaussianPose, initial: GaussianPose) -> bool:
    """Return whether two beliefs may be about the same position."""
    gap = initial.position - fixes.position
    total = fixes.covariance[:2, :2] + initial.covariance[:2, :2]
    offset = np.array([gap.real, gap.imag])
    return float(offset @ np.linalg.solve(total, offset)) <= _AGREE


def without_yaw(belief: GaussianPose) -> GaussianPose:
    """Return the belief with its yaw unknown; what the yaw added to the position's spread stays."""
    covariance = belief.covariance.copy()
    covariance[2, :] = covariance[:, 2] = 0.0
    covariance[2, 2] = UNKNOWN_YAW_VARIANCE
    return replace(belief, yaw=None, covariance=covariance, yaw_source="unknown")


def product(fixes: GaussianPose, initial: GaussianPose) -> GaussianPose:
    """Update the initial pose by the fixes' belief (Kalman, Joseph form).

    The two are independent, except where the fixes were carried along by the initial pose's own
    yaw: then they measure the position given that yaw.
    """
    assert initial.yaw is not None
    gap, noise = fixes.position - initial.position, fixes.covariance
    measured, innovation = np.eye(3), np.array([gap.real, gap.imag, 0.0])
    if fixes.yaw is not None and fixes.yaw_source != initial.yaw_source:
        innovation[2] = math.remainder(fixes.yaw - initial.yaw, math.tau)
    else:
        slope = noise[:2, 2] / noise[2, 2]
        noise = noise[:2, :2] - noise[2, 2] * np.outer(slope, slope)
        measured, innovation = measured[:2], innovation[:2]
        measured[:, 2] = -slope
    prior = initial.covariance
    gain = np.linalg.solve(measured @ prior @ measured.T + noise, measured @ prior).T
    keep = np.eye(3) - gain @ measured
    change = gain @ innovation
    own_yaw = len(innovation) == 3
    return GaussianPose(
        initial.position + complex(change[0], change[1]),
        initial.yaw + float(change[2]),
        keep @ prior @ keep.T + gain @ noise @ gain.T,
        min(fixes.age, initial.age),
        f"{fixes.source}+{initial.source}",
        f"{fixes.yaw_source}+{initial.yaw_source}" if own_yaw else initial.yaw_source,
    )
