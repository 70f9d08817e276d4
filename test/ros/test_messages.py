from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("geometry_msgs.msg")
pytest.importorskip("cross_view_localizer.msg")

from cross_view_localizer.estimate import Estimate, Reason, refusal  # noqa: E402
from cross_view_localizer.prior.prior import Prior  # noqa: E402
from cross_view_localizer.ros.messages import (  # noqa: E402
    covariance36,
    estimate_message,
    is_publishable,
    pose_message,
)

POSE = (3.0, -4.0, 2.5)
COVARIANCE = np.array([[4.0, 1.0, 0.2], [1.0, 3.0, -0.1], [0.2, -0.1, 0.05]])


def answer(**changes: object) -> Estimate:
    values = {
        "stamp": 5_000_000_007,
        "status": "ok",
        "pose": POSE,
        "covariance": COVARIANCE,
        "raw_pose": POSE,
        "raw_covariance": COVARIANCE,
        "yaw_from_prior": False,
    }
    return Estimate(**{**values, **changes})  # type: ignore[arg-type]


def test_covariance_goes_to_its_nine_places() -> None:
    full = covariance36(COVARIANCE, yaw_from_prior=False).reshape(6, 6)
    np.testing.assert_array_equal(full[np.ix_((0, 1, 5), (0, 1, 5))], COVARIANCE)
    assert np.count_nonzero(full) == 9


def test_yaw_of_the_prior_has_no_cross_terms() -> None:
    full = covariance36(COVARIANCE, yaw_from_prior=True)
    assert full[[5, 11, 30, 31]].tolist() == [0.0] * 4
    assert full[[0, 1, 6, 7, 35]].tolist() == [4.0, 1.0, 1.0, 3.0, 0.05]


def test_unobserved_axes_may_have_a_variance() -> None:
    full = covariance36(COVARIANCE, False, unobserved=9.0)
    assert full[[14, 21, 28]].tolist() == [9.0] * 3


def test_pose_is_planar_and_stamped() -> None:
    message = pose_message(answer(), "map", 0.0)
    assert message is not None
    q = message.pose.pose.orientation
    assert (q.x, q.y) == (0.0, 0.0)
    assert 2 * math.atan2(q.z, q.w) == pytest.approx(2.5)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (5, 7)


@pytest.mark.parametrize(
    "changes",
    [
        {"pose": (math.nan, 0.0, 0.0)},
        {"covariance": COVARIANCE * math.nan},
        {"covariance": -COVARIANCE},
        {"status": "refused", "reason": Reason.TOO_UNCERTAIN},
    ],
)
def test_what_is_no_pose_is_not_published(changes: dict[str, object]) -> None:
    assert pose_message(answer(**changes), "map", 0.0) is None


def test_publishable() -> None:
    assert is_publishable(POSE, COVARIANCE)
    assert not is_publishable(None, None)


def test_refusal_is_told_without_a_nan() -> None:
    prior = Prior(7, 1.0, 2.0, None, np.diag([4.0, 4.0, 3.3]), 0.5, "fix")
    message = estimate_message(refusal(7, Reason.NO_FIX, "no fix yet", prior), "map")
    assert (message.status, message.reason, message.detail) == (1, "no_fix", "no fix yet")
    assert not message.has_pose and not message.has_patch and message.no_match == -1.0
    assert message.has_prior and not message.prior_has_yaw
    assert message.prior.covariance[35] == 0.0 and message.prior.covariance[0] == 4.0
    broken = Prior(7, math.nan, 2.0, 0.1, np.diag([4.0, 4.0, 3.3]), math.inf, "fix")
    assert not estimate_message(refusal(7, Reason.NO_FIX, "", broken), "map").has_prior


@pytest.mark.parametrize(
    ("no_match", "said"), [(None, -1.0), (0.0, 0.0), (0.7, 0.7), (math.nan, -1.0)]
)
def test_no_match_is_told_where_it_is_known(no_match: float | None, said: float) -> None:
    assert estimate_message(answer(no_match=no_match), "map").no_match == said


def test_held_back_pose_is_in_the_estimate() -> None:
    held = answer(status="refused", reason=Reason.SECOND_MODE, pose=None, covariance=None)
    message = estimate_message(held, "map")
    assert message.status == 1 and message.has_pose
    assert message.pose.pose.position.x == 3.0
