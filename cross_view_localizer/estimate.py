"""What goes into the front door and what comes out: Frame, Estimate, reasons for silence."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cross_view_localizer.belief.heatmap import Heatmap
    from cross_view_localizer.belief.modes import Mode
    from cross_view_localizer.camera.camera import Camera
    from cross_view_localizer.geo import RigidTransform
    from cross_view_localizer.map.satellite_map import Patch
    from cross_view_localizer.prior.prior import Prior


Motion = tuple[float, float, float]
"""A planar pose in another: x, y (metres) and yaw (radians, counter-clockwise)."""


class Reason(str, Enum):
    """Why a frame has no pose; the values are what ``~/estimate`` and the diagnostics say."""

    NO_IMAGE = "no_image"
    BAD_IMAGE = "bad_image"  # unknown encoding, wrong size, undecodable, uniform, or frozen
    FEW_FRAMES = "few_frames"  # the model needs more frames than were given
    NO_CAMERA_INFO = "no_camera_info"
    BAD_CAMERA_INFO = "bad_camera_info"  # K = 0, or no camera for this view or these weights
    NO_EXTRINSICS = "no_extrinsics"
    NO_FIX = "no_fix"
    STALE_PRIOR = "stale_prior"
    HEADING_UNKNOWN = "heading_unknown"
    HEADING_TOO_WIDE = "heading_too_wide"  # wider than the headings that the model searches
    PRIOR_TOO_WIDE = "prior_too_wide"
    OUTSIDE_MAP = "outside_map"
    LITTLE_IMAGERY = "little_imagery"
    NO_MATCH = "no_match"  # the network says that image and map do not show the same place
    TOO_UNCERTAIN = "too_uncertain"
    SECOND_MODE = "second_mode"
    PRIOR_DISAGREES = "prior_disagrees"  # the answer lies further off than both could be wrong
    COVARIANCE_NOT_PD = "covariance_not_pd"
    OUT_OF_MEMORY = "out_of_memory"
    FUTURE_STAMP = "future_stamp"  # the image is stamped ahead of the clock
    INTERNAL_ERROR = "internal_error"  # an unexpected exception while the frame was processed


@dataclass(frozen=True)
class Frame:
    """One image with everything that is known of how it was taken.

    Attributes:
        image: (H, W, 3) uint8, RGB, as the camera gave it (distorted).
        stamp: time of acquisition, nanoseconds.
        camera: intrinsics and distortion.
        camera_in_base: takes points of the camera's optical frame to ``base_link``.
        earlier: frames of the same camera before this one, the latest first, each with where
            ``base_link`` was then: (x, y, yaw) in ``base_link`` now, by odometry. For models that
            take several; others, and frames beyond those a model takes, are left alone.
    """

    image: NDArray[np.uint8]
    stamp: int
    camera: Camera
    camera_in_base: RigidTransform
    earlier: tuple[tuple[Frame, Motion], ...] = ()


@dataclass(frozen=True)
class Estimate:
    """The answer for one frame: a pose of ``base_link`` in ``map``, or a reason why not.

    Everything here is about ``base_link``: heatmap and modes are shifted from the camera too.

    Attributes:
        stamp: the image's, nanoseconds.
        status: "ok" or "refused".
        reason, detail: why it was refused (None and "" when ok); detail is one line for people.
        pose: (x, y, yaw), metres and radians; None when refused.
        covariance: (3, 3) over (x, y, yaw), m², m·rad, rad²; None when refused.
        yaw_from_prior: the method estimated no heading: yaw and its variance are the prior's.
        confidence: probability that the position is right to ``confidence_radius``, 0 … 1; the
            mass of the heatmap there, times that of a match where the method tells.
        no_match: calibrated probability that image and map do not show the same place, 0 … 1; None
            where the method was not trained to tell, or the network did not run. Everything else
            here is what it is given that they do.
        modes: the chosen mode first, then the others by falling mass.
        heatmap: calibrated distribution over positions of ``base_link``; None where the network
            did not run.
        patch: the aerial picture searched; None where it was not cut.
        prior: the prior used; None where there was none.
        timing: wall-clock milliseconds by stage.
        model_id: name of the model and hash of its weights.
        prior_fused: the prior was multiplied into the heatmap (once).
        raw_pose, raw_covariance: as pose and covariance, but filled whenever the network ran.
    """

    stamp: int
    status: str
    reason: Reason | None = None
    detail: str = ""
    pose: tuple[float, float, float] | None = None
    covariance: NDArray[np.float64] | None = None
    yaw_from_prior: bool = True
    confidence: float = 0.0
    no_match: float | None = None
    modes: tuple[Mode, ...] = ()
    heatmap: Heatmap | None = None
    patch: Patch | None = None
    prior: Prior | None = None
    timing: dict[str, float] = field(default_factory=dict)
    model_id: str = ""
    prior_fused: bool = False
    raw_pose: tuple[float, float, float] | None = None
    raw_covariance: NDArray[np.float64] | None = None

    @property
    def ok(self) -> bool:
        """Whether there is a pose to publish."""
        return self.status == "ok"


def refusal(stamp: int, reason: Reason, detail: str, prior: Prior | None = None) -> Estimate:
    """Return the Estimate of a frame that never reached the network."""
    return Estimate(stamp=stamp, status="refused", reason=reason, detail=detail, prior=prior)
