"""When the Localizer keeps silent: what a frame, a prior and an answer must be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.belief.modes import Mode
from cross_view_localizer.estimate import Frame, Motion, Reason
from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.poses import is_positive_definite
from cross_view_localizer.prior.prior import Prior, PriorRefusal
from cross_view_localizer.views import View

# A picture shows nothing where its levels' standard deviation, of 255, is below.
UNIFORM = 2.0


class Refused(Exception):
    """Why a frame has no answer; never leaves the Localizer."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def checked_frame(frame: Frame | None) -> Frame:
    """Return the frame.

    Raises:
        Refused: there is no image, or not the one that its camera takes.
    """
    if frame is None or getattr(frame, "image", None) is None or frame.image.size == 0:
        raise Refused(Reason.NO_IMAGE, "no image")
    expected = (frame.camera.height, frame.camera.width, 3)
    if frame.image.shape != expected or frame.image.dtype != np.uint8:
        raise Refused(
            Reason.BAD_IMAGE,
            f"image {frame.image.shape} {frame.image.dtype}: expected {expected} uint8, "
            "as the camera's calibration says",
        )
    return frame


def check_height(height: float, trained: tuple[float, float]) -> None:
    """Refuse a camera at another height above the road, metres, than weights were trained for.

    Raises:
        Refused: as said.
    """
    low, high = trained
    if not low <= height <= high:
        raise Refused(
            Reason.BAD_CAMERA_INFO,
            f"camera {height:g} m above the road: the weights were trained for {low:g} to {high:g} "
            "m; check the camera's extrinsics and base_height",
        )


def check_picture(view: NDArray[np.uint8], mask: NDArray[np.uint8] | None) -> None:
    """Refuse a view that shows nothing: black, white or covered.

    Args:
        view: (h, w, 3), averaged down, which leaves little of a sensor's noise.
        mask: (h, w), 1 where there is picture; None: everywhere.

    Raises:
        Refused: as said.
    """
    spread = float(cv2.meanStdDev(view, mask=mask)[1].max())
    if spread < UNIFORM:
        raise Refused(
            Reason.BAD_IMAGE,
            f"uniform picture: its levels spread by {spread:.1f} of 255, expected at least "
            f"{UNIFORM:g}; is the lens covered, or the exposure off?",
        )


def checked_earlier(frame: Frame, view: View) -> tuple[tuple[Frame, Motion], ...]:
    """Return the earlier frames that a view takes.

    Raises:
        Refused: fewer than it needs, of another camera, or with a motion that isn't finite.
    """
    if few := view.few_frames(1 + len(frame.earlier)):
        raise Refused(Reason.FEW_FRAMES, few)
    taken = frame.earlier[: view.frames - 1]
    for earlier, motion in taken:
        checked_frame(earlier)
        same = earlier.camera == frame.camera and earlier.camera_in_base == frame.camera_in_base
        if not same or not np.isfinite(motion).all():
            raise Refused(
                Reason.BAD_IMAGE,
                f"an earlier frame with the motion {motion}: expected the newest one's camera and "
                "mounting, and a finite motion",
            )
    return taken


def checked_prior(prior: Prior | PriorRefusal | None, needs_heading: bool) -> Prior:
    """Return the prior.

    Raises:
        Refused: there is none, it isn't finite, or it lacks a heading that the method needs.
    """
    if prior is None:
        raise Refused(Reason.NO_FIX, "no prior: nothing says where to search")
    if isinstance(prior, PriorRefusal):
        raise Refused(Reason(prior.reason), prior.detail)
    if not (math.isfinite(prior.x) and math.isfinite(prior.y)):
        raise Refused(Reason.NO_FIX, f"prior at ({prior.x}, {prior.y}) m: expected finite metres")
    if prior.yaw is None and needs_heading:
        raise Refused(
            Reason.HEADING_UNKNOWN,
            "heading unknown, and this model needs one: drive above the minimum speed, or set "
            "another heading_source",
        )
    covariance = prior.covariance if prior.yaw is not None else prior.covariance[:2, :2]
    if not is_positive_definite(covariance):
        raise Refused(
            Reason.COVARIANCE_NOT_PD,
            f"prior with covariance {np.asarray(covariance).round(6).tolist()}: "
            "expected a positive definite one",
        )
    return prior


def major_std(covariance: NDArray[np.float64]) -> float:
    """Return the standard deviation along the major axis of the position, metres."""
    return math.sqrt(max(float(np.linalg.eigvalsh(covariance[:2, :2])[-1]), 0.0))


def check_reach(prior: Prior, sigmas: float, half: float) -> None:
    """Refuse a prior whose ``sigmas`` standard deviations leave the ``half`` metres searched.

    Raises:
        Refused: as said.
    """
    sigma = major_std(prior.covariance)
    if not sigmas * sigma <= half:
        raise Refused(
            Reason.PRIOR_TOO_WIDE,
            f"prior with σ {sigma:.1f} m: {sigmas:g} σ leave the ±{half:.1f} m that are searched",
        )


@dataclass(frozen=True)
class Judged:
    """What the gates look at; all of it is about ``base_link``.

    Attributes:
        prior: what placed the patch.
        searched_yaw: radians to either side of the prior's heading.
        covariance: (3, 3) over (x, y, yaw), before it is scaled and clipped.
        modes: the chosen one first.
        image_position: (2,) what the image alone says, metres.
        image_covariance: (2, 2) of that, m².
        no_match: probability that image and map do not show the same place; None: not told.
    """

    prior: Prior
    searched_yaw: float
    covariance: NDArray[np.float64]
    modes: Sequence[Mode]
    image_position: NDArray[np.float64]
    image_covariance: NDArray[np.float64]
    no_match: float | None = None


def gate(config: LocalizerConfig, judged: Judged) -> tuple[Reason, str] | None:
    """Return why an answer is not to be trusted; None where it is.

    The first of several reasons is the one behind the others: a heading beyond what is searched
    looks like another place, and with another place's picture σ, modes and distance mean nothing.
    """
    return (
        _sound(judged.covariance)
        or _heading_searched(config.heading_sigmas, judged)
        or _matching(config.max_no_match, judged.no_match)
        or _certain(config.max_std, judged.covariance)
        or _alone(config.max_second_mode, judged.modes)
        or _agreeing(config.max_prior_distance, judged)
    )


_Verdict = tuple[Reason, str] | None


def _sound(covariance: NDArray[np.float64]) -> _Verdict:
    if is_positive_definite(covariance):
        return None
    return Reason.COVARIANCE_NOT_PD, "the covariance is not positive definite"


def _heading_searched(sigmas: float, judged: Judged) -> _Verdict:
    searched = judged.searched_yaw
    if math.isinf(searched):  # the given heading, if any, counts for nothing
        return None
    sigma = math.sqrt(float(judged.prior.covariance[2, 2]))
    if sigmas * sigma <= searched:
        return None
    return Reason.HEADING_TOO_WIDE, (
        f"prior heading with σ {math.degrees(sigma):.1f}°: {sigmas:g} σ leave the "
        f"±{math.degrees(searched):.1f}° that this model searches"
    )


def _matching(limit: float, no_match: float | None) -> _Verdict:
    if no_match is None or no_match <= limit:
        return None
    return Reason.NO_MATCH, (
        f"image and map show different places with probability {no_match:.3g}: expected at most "
        f"{limit:g}; is the camera covered, or the map of elsewhere or out of date?"
    )


def _certain(max_std: float, covariance: NDArray[np.float64]) -> _Verdict:
    sigma = major_std(covariance)
    if sigma <= max_std:
        return None
    return Reason.TOO_UNCERTAIN, f"σ {sigma:.1f} m: expected at most {max_std:g} m"


def _alone(max_second_mode: float, modes: Sequence[Mode]) -> _Verdict:
    if len(modes) < 2 or modes[1].mass <= max_second_mode * modes[0].mass:
        return None
    return Reason.SECOND_MODE, (
        f"second mode at ({modes[1].x:.1f}, {modes[1].y:.1f}) m with "
        f"{modes[1].mass / modes[0].mass:.2f} of the first's mass: "
        f"expected at most {max_second_mode:g}"
    )


def _agreeing(limit: float, judged: Judged) -> _Verdict:
    """Compare by Mahalanobis' distance: σ of the difference of two independent Gaussians.

    The limit is generous, because receivers understate their errors between houses.
    """
    prior = judged.prior
    offset = judged.image_position - (prior.x, prior.y)
    both = judged.image_covariance + prior.covariance[:2, :2]
    distance = math.sqrt(float(offset @ np.linalg.solve(both, offset)))
    if limit == 0 or distance <= limit:
        return None
    return Reason.PRIOR_DISAGREES, (
        f"{math.hypot(*offset):.1f} m from a prior with σ {major_std(prior.covariance):.1f} m are "
        f"{distance:.1f} σ of both together: expected at most {limit:g}"
    )
