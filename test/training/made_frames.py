"""Frames with errors of known size, for tests of what is reckoned from them."""

from __future__ import annotations

import numpy as np

from training.demo.results import Frames


def frames_of(errors: list[float], std: float = 2.0) -> Frames:
    """Return frames whose answers lie ``errors`` metres east of the truth, priors 5 m north."""
    n = len(errors)
    truth = np.stack([np.arange(n) * 10.0, np.zeros(n), np.zeros(n)], axis=1)
    covariance = np.tile(np.diag([std**2, std**2, 0.01]), (n, 1, 1))
    return Frames(
        stamp=np.arange(n, dtype=np.int64) * 10**9,
        ok=np.full(n, True),
        reason=[""] * n,
        has_pose=np.full(n, True),
        pose=truth + np.array([[e, 0.0, 0.0] for e in errors]),
        covariance=covariance,
        has_prior=np.full(n, True),
        prior=truth + [0.0, 5.0, 0.0],
        prior_covariance=covariance,
        truth=truth,
        confidence=np.ones(n),
        stages=[{"match": 10.0, "total": 20.0 + i} for i in range(n)],
        model="test",
        images=n,
        lever=np.array([1.5, 0.0]),
    )
