"""The camera of the images that arrive: from camera_info, for raw and for rectified pictures."""

from __future__ import annotations

import re
from typing import Any

from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.ros.incoming import conversions
from cross_view_localizer.ros.outgoing.reporter import Reporter
from cross_view_localizer.ros.parameters import Parameters

_RECTIFIED = {"rect", "rectified"}


def is_rectified(topic: str, frame_id: str) -> bool:
    """Return whether the names say that images are rectified already.

    image_proc and drivers write image_rect, image_rect_color, image_rect_raw or rect/image (with a
    transport's suffix, too), or name a rectified frame. A topic that only says "raw" is believed
    before its frame, which raw and rectified images may share.
    """
    levels = [set(re.split(r"[^a-z0-9]+", level.lower())) for level in topic.split("/")]
    if levels[-1] & {"compressed", "theora", "ffmpeg", "zstd"}:
        levels = levels[:-1]
    for level in levels[:-3:-1]:  # the last, then the one before
        if level & _RECTIFIED:
            return True
        if "raw" in level:
            return False
    return bool(set(re.split(r"[^a-z0-9]+", frame_id.lower())) & _RECTIFIED)


class Cameras:
    """Makes the camera of each image, anew only where something changed; used by one thread.

    Args:
        image_topic: the resolved name, which may tell that images are rectified.
        reporter: told which of its matrices camera_info is used with.
    """

    def __init__(self, parameters: Parameters, image_topic: str, reporter: Reporter) -> None:
        self._parameters, self._topic, self._reporter = parameters, image_topic, reporter
        self._made: tuple[Any, Camera] | None = None
        self._said = ""

    def rectified(self, frame_id: str) -> bool:
        """Return whether images of this frame_id are rectified."""
        kind = self._parameters.image_kind
        return is_rectified(self._topic, frame_id) if kind == "auto" else kind == "rectified"

    def camera(self, info: Any, width: int, height: int, frame_id: str) -> Camera:
        """Return the camera of an image of this size and frame_id.

        Args:
            info: sensor_msgs/CameraInfo; not looked at for an equirectangular camera.

        Raises:
            ConversionError: the calibration can't be used; one line.
        """
        kind: conversions.CameraKind = self._parameters.camera_model  # type: ignore[assignment]
        described = () if kind == "equirectangular" else conversions.info_key(info)
        key = (width, height, frame_id, described)
        if self._made is None or self._made[0] != key:
            if kind == "equirectangular":
                camera = Camera(kind, width, height)
            else:
                rectified = self.rectified(frame_id)
                camera = conversions.camera_from_info(info, kind, width, height, rectified)
                self._say(info, rectified, frame_id)
            self._made = (key, camera)
        return self._made[1]

    def _say(self, info: Any, rectified: bool, frame_id: str) -> None:
        used = "rectified (camera_info's P)" if rectified else "raw (camera_info's K and D)"
        if used != self._said:
            self._said = used
            self._reporter.status.note("image_kind", used)
            self._reporter.info(f"images on {self._topic} are taken as {used}; see image_kind")
        shift = conversions.second_camera_shift(info)
        own = self._parameters.camera_frame or self._parameters.camera_in_base
        if not shift or own:
            self._reporter.status.note("camera", "")
            return
        self._reporter.warn(
            "camera",
            f"camera_info's P places this camera {shift:.3f} m beside the first of a pair; frame "
            f"{frame_id!r} is taken as its own: set camera_frame to confirm, or, where that is the "
            "first camera's frame, camera_in_base",
        )
