"""From an image message to an Estimate: the worker's job, frame by frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.estimate import Estimate, Frame, Reason, refusal
from cross_view_localizer.geo import RigidTransform
from cross_view_localizer.localizer import Localizer
from cross_view_localizer.prior.prior import Prior, PriorEstimator, PriorRefusal
from cross_view_localizer.ros.incoming import conversions
from cross_view_localizer.ros.incoming.cameras import Cameras
from cross_view_localizer.ros.incoming.frozen import FrozenCamera
from cross_view_localizer.ros.incoming.images import (
    ConversionError,
    compressed_to_rgb,
    image_to_rgb,
)
from cross_view_localizer.ros.incoming.sensor_inputs import SensorInputs
from cross_view_localizer.ros.incoming.static_transforms import MissingFrameError, StaticTransforms
from cross_view_localizer.ros.parameters import Parameters


@dataclass(frozen=True)
class Job:
    """A frame on its way through the worker.

    Attributes:
        message: sensor_msgs/Image or CompressedImage.
        stamp: nanoseconds.
        entered: time.perf_counter() at the callback's entry.
        epoch: grows with every jump of time; results of older ones are not published.
        problem: set where the callback already knows that the frame is refused.
    """

    message: Any
    stamp: int
    entered: float
    epoch: int
    problem: tuple[Reason, str] | None = None


class _Refused(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class Processor:
    """Turns jobs into estimates; holds what is looked up once (extrinsics).

    Attributes:
        parameters: those in force; to be changed between frames only.
    """

    def __init__(
        self,
        parameters: Parameters,
        localizer: Localizer,
        prior: PriorEstimator,
        inputs: SensorInputs,
        transforms: StaticTransforms,
        cameras: Cameras,
        stopping: Callable[[], bool],
    ) -> None:
        self.parameters, self._localizer = parameters, localizer
        self._prior, self._inputs, self._transforms = prior, inputs, transforms
        self._cameras, self._stopping = cameras, stopping
        self._frozen = FrozenCamera()
        self._mount: tuple[tuple[str, int], RigidTransform] | None = None

    def process(self, job: Job) -> Estimate:
        """Return the estimate of a frame, refused where it can't be processed."""
        begun = time.perf_counter()
        timing = {"queue": (begun - job.entered) * 1e3}
        try:
            frame = self._frame(job)
            timing["decode"] = (time.perf_counter() - begun) * 1e3
            prior = self._awaited_prior(job.stamp, timing)
            place = self._prior.odometry_at(job.stamp)
            if frozen := self._frozen.says(frame.image, job.stamp, place, prior):
                raise _Refused(Reason.BAD_IMAGE, frozen)
        except _Refused as refused:
            estimate = refusal(job.stamp, refused.reason, refused.detail)
            return replace(estimate, timing=timing, model_id=self._localizer.model_id)
        estimate = self._localizer.localize(frame, prior)
        return replace(estimate, timing={**timing, **estimate.timing})

    def _frame(self, job: Job) -> Frame:
        if job.problem is not None:
            raise _Refused(*job.problem)
        compressed = self.parameters.image_transport == "compressed"
        try:
            rgb = compressed_to_rgb(job.message) if compressed else image_to_rgb(job.message)
        except ConversionError as error:
            raise _Refused(Reason.BAD_IMAGE, str(error)) from error
        height, width = rgb.shape[:2]
        frame_id = job.message.header.frame_id
        camera = self._camera_for(width, height, frame_id)
        return Frame(rgb, job.stamp, camera, self._mount_of(frame_id))

    def _camera_for(self, width: int, height: int, frame_id: str) -> Camera:
        info = self._inputs.camera_info
        if info is None and self.parameters.camera_model != "equirectangular":
            topic = self._inputs.topic("camera_info")
            raise _Refused(Reason.NO_CAMERA_INFO, f"no camera_info on {topic} yet")
        try:
            return self._cameras.camera(info, width, height, frame_id)
        except ValueError as error:
            raise _Refused(Reason.BAD_CAMERA_INFO, str(error)) from error

    def _mount_of(self, frame_id: str) -> RigidTransform:
        if self.parameters.camera_in_base:
            return conversions.extrinsics(self.parameters.camera_in_base)
        frame = self.parameters.camera_frame or frame_id
        key = (frame, self._transforms.version)
        if self._mount is None or self._mount[0] != key:
            try:
                if not frame:
                    raise MissingFrameError("the image has no frame_id: set camera_frame")
                found = self._transforms.lookup(self.parameters.base_frame, frame)
            except MissingFrameError as error:
                detail = f"camera: {error}; or set camera_in_base"
                raise _Refused(Reason.NO_EXTRINSICS, detail) from error
            self._mount = (key, found)
        return self._mount[1]

    def _awaited_prior(self, stamp: int, timing: dict[str, float]) -> Prior | PriorRefusal:
        """Return the prior at the stamp, waiting a little for samples that are on their way."""
        begun = time.perf_counter()
        deadline = begun + self.parameters.max_prior_wait
        with self._inputs.changed:
            while not (self._prior.ready(stamp) or self._stopping()):
                left = deadline - time.perf_counter()
                if left <= 0 or not self._inputs.changed.wait(left):
                    break
        timing["prior_wait"] = (time.perf_counter() - begun) * 1e3
        prior = self._prior.at(stamp)
        if isinstance(prior, PriorRefusal):
            if self._inputs.missing_frame:
                raise _Refused(Reason.NO_EXTRINSICS, self._inputs.missing_frame)
            if self._inputs.far_fix:
                raise _Refused(Reason.OUTSIDE_MAP, self._inputs.far_fix)
        return prior
