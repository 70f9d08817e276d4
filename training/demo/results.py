"""What the recorded bag says, frame by frame, beside the truth of the drive."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.geo import yaw_from_quaternion
from training.bags.store import message_store, open_bag
from training.demo.chain import ESTIMATE

_AXES = np.ix_((0, 1, 5), (0, 1, 5))
Floats = NDArray[np.float64]


class ResultError(ValueError):
    """A recording that holds nothing to measure."""


@dataclass(frozen=True)
class Frames:
    """The N frames that the node processed or refused.

    Attributes:
        stamp: (N,) int64, ns.
        ok: (N,) bool, a pose was published; reason: why not, else "".
        has_pose: (N,) bool, the network ran (also where a gate held the pose back).
        pose, prior, truth: (N, 3) x, y, yaw of ``base_link`` in ``map``; NaN where there is none.
        covariance, prior_covariance: (N, 3, 3) over x, y, yaw.
        confidence: (N,).
        stages: milliseconds by stage, for each frame.
        model: id of the model.
        images: number of camera images in the drive.
        lever: (2,) m, where the camera sits ahead and left of ``base_link``.
    """

    stamp: NDArray[np.int64]
    ok: NDArray[np.bool_]
    reason: list[str]
    has_pose: NDArray[np.bool_]
    pose: Floats
    covariance: Floats
    has_prior: NDArray[np.bool_]
    prior: Floats
    prior_covariance: Floats
    truth: Floats
    confidence: Floats
    stages: list[dict[str, float]]
    model: str
    images: int
    lever: Floats

    def camera(self, pose: Floats) -> Floats:
        """Return where the camera is, (N, 2) metres, for poses (N, 3) of ``base_link``."""
        c, s = np.cos(pose[:, 2]), np.sin(pose[:, 2])
        ahead, left = self.lever
        return pose[:, :2] + np.stack([c * ahead - s * left, s * ahead + c * left], axis=1)

    def refused(self) -> Counter[str]:
        """Return the number of refused frames by reason."""
        return Counter(reason for reason, ok in zip(self.reason, self.ok, strict=True) if not ok)

    @property
    def accounted(self) -> float:
        """Share of the camera images that were answered, or refused with a reason."""
        said = sum(bool(ok or reason) for ok, reason in zip(self.ok, self.reason, strict=True))
        return said / max(self.images, 1)


def _planar(with_covariance: Any) -> tuple[list[float], Floats]:
    pose = with_covariance.pose
    o = pose.orientation
    yaw = yaw_from_quaternion(o.x, o.y, o.z, o.w)
    covariance = np.asarray(with_covariance.covariance).reshape(6, 6)[_AXES]
    return [pose.position.x, pose.position.y, yaw], covariance


def read_messages(bag: Path, topic: str) -> list[Any]:
    """Return the messages of one topic, in order.

    Raises:
        BagError: where the bag can't be read.
    """
    store = message_store()
    with open_bag(bag) as reader:
        chosen = [c for c in reader.connections if c.topic == topic]
        return [store.deserialize_cdr(d, c.msgtype) for c, _, d in reader.messages(chosen)]


def stamp_of(message: Any) -> int:
    """Return the stamp, ns, of a message with a header."""
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def interpolated(messages: list[Any], stamps: NDArray[np.int64]) -> Floats:
    """Return the poses (N, 3) that Odometry messages give at ``stamps`` (N,)."""
    times = np.array([stamp_of(m) for m in messages], np.int64)
    poses = np.array([_planar(m.pose)[0] for m in messages])
    poses[:, 2] = np.unwrap(poses[:, 2])
    since = (times - times[0]) / 1e9
    at = (stamps - times[0]) / 1e9
    return np.stack([np.interp(at, since, poses[:, i]) for i in range(3)], axis=1)


def read_frames(
    recorded: Path, drive: Path, image: str, truth: str, lever: tuple[float, float]
) -> Frames:
    """Read the node's answers and set them beside the truth.

    Args:
        recorded: bag of the node's topics. drive: the bag that was played.
        image, truth: topics of the camera and of the true Odometry in ``drive``.
        lever: m, the camera ahead and left of ``base_link``.

    Raises:
        ResultError: where the node said nothing at all.
    """
    estimates = read_messages(recorded, ESTIMATE)
    if not estimates:
        raise ResultError("the node answered no frame at all")
    with open_bag(drive) as reader:
        images = sum(c.msgcount for c in reader.connections if c.topic == image)
    stamps = np.array([stamp_of(m) for m in estimates], np.int64)
    nothing = [np.nan] * 3, np.full((3, 3), np.nan)
    poses = [_planar(m.pose) if m.has_pose else nothing for m in estimates]
    priors = [_planar(m.prior) if m.has_prior else nothing for m in estimates]
    return Frames(
        stamp=stamps,
        ok=np.array([m.status == 0 for m in estimates]),
        reason=[str(m.reason) for m in estimates],
        has_pose=np.array([bool(m.has_pose) for m in estimates]),
        pose=np.array([p for p, _ in poses]),
        covariance=np.array([c for _, c in poses]),
        has_prior=np.array([bool(m.has_prior) for m in estimates]),
        prior=np.array([p for p, _ in priors]),
        prior_covariance=np.array([c for _, c in priors]),
        truth=interpolated(read_messages(drive, truth), stamps),
        confidence=np.array([m.confidence for m in estimates]),
        stages=[dict(zip(m.stage_names, m.stage_ms, strict=True)) for m in estimates],
        model=next((str(m.model_id) for m in reversed(estimates) if m.model_id), "unknown"),
        images=images,
        lever=np.asarray(lever, np.float64),
    )
