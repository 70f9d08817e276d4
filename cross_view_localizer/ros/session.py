"""Everything that lives between configure and cleanup: localizer, inputs, worker, outputs."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import torch
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from cross_view_localizer.estimate import Estimate, Reason, refusal
from cross_view_localizer.localizer import Localizer, LocalizerConfig
from cross_view_localizer.prior.prior import PriorConfig, PriorEstimator
from cross_view_localizer.prior.stamp_gate import StampGate, Verdict
from cross_view_localizer.ros.incoming.image_input import ImageInput
from cross_view_localizer.ros.incoming.sensor_inputs import SensorInputs
from cross_view_localizer.ros.incoming.static_transforms import StaticTransforms
from cross_view_localizer.ros.messages import stamp_of
from cross_view_localizer.ros.outgoing.outputs import Outputs
from cross_view_localizer.ros.outgoing.reporter import Reporter
from cross_view_localizer.ros.parameters import Parameters
from cross_view_localizer.ros.processing import Job, Processor
from cross_view_localizer.ros.worker import Worker

# Image and sensors see the same jump one after the other; within this time it is one jump.
_SAME_JUMP = 2.0
_IMAGE_JUMP_BACK = 0.5
# The node's own overhead is the time from callback to pose without these: the network, the view
# (undistortion), and waiting for samples on purpose.
_NOT_OVERHEAD = ("encode_aerial", "encode_ground", "match", "view", "prior_wait")


def localizer_config(parameters: Parameters) -> LocalizerConfig:
    """Return the core's configuration.

    Raises:
        ValueError: a value out of range, one line.
    """
    p = parameters
    return LocalizerConfig(
        weights="" if p.weights == "none" else p.weights,
        model=p.model,
        map=p.map,
        map_crs=p.map_crs,
        map_offset=(p.map_offset[0], p.map_offset[1]),
        datum=(p.datum[0], p.datum[1]) if p.datum else None,
        base_height=p.base_height,
        device=p.device,
        precision=p.precision,
        fuse_prior=p.fuse_prior,
        searchable_half=p.searchable_half or None,
        min_coverage=p.min_coverage,
        max_std=p.max_std,
        max_second_mode=p.max_second_mode,
        max_prior_distance=p.max_prior_distance,
        min_std=p.min_std,
        covariance_scale=p.covariance_scale,
        confidence_radius=p.confidence_radius,
    )


def prior_config(parameters: Parameters) -> PriorConfig:
    """Return the prior's configuration.

    Raises:
        ValueError: a value out of range, one line.
    """
    names = PriorConfig.__dataclass_fields__.keys() & Parameters.__dataclass_fields__.keys()
    return PriorConfig(**{name: getattr(parameters, name) for name in names})


class Session:
    """Loads at construction (configure); ``start`` and ``stop`` are activate and deactivate.

    Raises:
        ValueError: (also as WeightsError, MapError) what to fix, one line.
    """

    def __init__(
        self, node: Node, parameters: Parameters, transforms: StaticTransforms, reporter: Reporter
    ) -> None:
        self._node, self.parameters, self._reporter = node, parameters, reporter
        self._transforms, self._status = transforms, reporter.status
        self._prior_config = prior_config(parameters)
        self.localizer = Localizer.from_files(localizer_config(parameters))
        if few := self.localizer.view.few_frames(1):
            self.localizer.satellite_map.close()
            raise ValueError(
                f"{self.localizer.model_id}: {few}, which this node does not gather: choose "
                "weights of a model that takes one frame"
            )
        self.image_input: ImageInput | None = None
        self.prior = PriorEstimator(self._prior_config)

    def start(self) -> None:
        """Subscribe, publish, and begin to work."""
        parameters, node = self.parameters, self._node
        self.prior = PriorEstimator(self._prior_config)
        self._epoch, self._epoch_lock = 0, threading.Lock()
        self._sensors_jumped_at = float("-inf")
        self._gate = StampGate(parameters.buffer_seconds, _IMAGE_JUMP_BACK, parameters.max_future)
        self._worker: Worker[Job] = Worker(self._process, self._catch_up, self._failed)
        frame = self.localizer.satellite_map.frame
        self._outputs = Outputs(node, parameters, frame.datum, self._reporter, self._worker.poke)
        self._inputs = SensorInputs(
            node,
            parameters,
            frame,
            self.prior,
            self._transforms,
            self._reporter,
            self._on_sensor_jump,
        )
        self._processor = Processor(
            parameters,
            self.localizer,
            self.prior,
            self._inputs,
            self._transforms,
            lambda: self._worker.stopping,
        )
        self._status.restart()
        self._worker.start()
        compressed = parameters.image_transport == "compressed"
        self.image_input = ImageInput(
            node,
            CompressedImage if compressed else Image,
            "image/compressed" if compressed else "image",
            parameters.image_reliability,
            self._on_image,
        )
        threshold = JumpThreshold(
            min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
        )
        self._jump_handle = node.get_clock().create_jump_callback(
            threshold, post_callback=lambda _: self._on_clock_jump()
        )

    def stop(self) -> None:
        """Unsubscribe and end the worker; what it was at is not published."""
        if self.image_input is None:
            return
        self._jump_handle.unregister()
        self.image_input.destroy()
        self.image_input = None
        self._inputs.destroy()
        with self._epoch_lock:
            self._epoch += 1
        with self._inputs.changed:
            self._inputs.changed.notify_all()
        if not self._worker.stop():
            self._reporter.error("the network did not finish within 30 s")
        self._outputs.destroy()

    def sensor_obstacles(self) -> list[str]:
        """Return why fixes can't be used at present, one line each."""
        lines = (self._inputs.missing_frame, self._inputs.far_fix)
        return [line for line in lines if line]

    def housekeeping(self) -> None:
        """Called twice a second: what has no event of its own."""
        if self.image_input is not None:
            self.image_input.check()
            self._outputs.poll()

    # -- executor thread --------------------------------------------------------------------------

    def _on_image(self, message: Any) -> None:
        entered = time.perf_counter()
        try:
            self._take_image(message, entered)
        except Exception as error:  # nothing may escape a callback
            self._reporter.internal_error("image message", error)

    def _take_image(self, message: Any, entered: float) -> None:
        stamp, now = stamp_of(message.header), self._node.get_clock().now().nanoseconds
        offset = (stamp - now) * 1e-9 if now else 0.0
        self._status.arrived("image", stamp, offset)
        verdict = self._gate.admit("image", stamp, now or None)
        problem = None
        if verdict is Verdict.FUTURE:
            detail = f"image is stamped {offset:.3f} s ahead of the clock: synchronise the clocks"
            problem = (Reason.FUTURE_STAMP, detail)
        elif verdict is Verdict.JUMP_BACK:
            known = time.monotonic() - self._sensors_jumped_at < _SAME_JUMP
            self._gate.admit("image", stamp, now or None)
            self._forget("image stamps jumped back", and_prior=not known)
        elif verdict is not Verdict.NEW:
            self._status.count("out_of_order")
            return
        if self._worker.offer(Job(message, stamp, entered, self._epoch, problem)):
            self._status.count("dropped")

    def _on_sensor_jump(self, text: str) -> None:
        self._sensors_jumped_at = time.monotonic()
        self._gate.clear()
        self._forget(text, and_prior=False)

    def _on_clock_jump(self) -> None:
        self._gate.clear()
        self._forget("the clock jumped back or changed", and_prior=True)

    def _forget(self, why: str, and_prior: bool) -> None:
        with self._epoch_lock:
            self._epoch += 1
        self._worker.discard()
        if and_prior:
            self._inputs.clear()
        self._outputs.clear()
        self._status.count("time_jumps")
        self._reporter.warn("time", f"{why}: buffers cleared, silent until new data")

    # -- worker thread ----------------------------------------------------------------------------

    def _process(self, job: Job) -> None:
        self._finish(job, self._processor.process(job))

    def _finish(self, job: Job, estimate: Estimate) -> None:
        with self._epoch_lock:
            if job.epoch != self._epoch:
                self._status.count("outdated")
                return
            published = self._outputs.publish_pose(estimate)
        latency = (time.perf_counter() - job.entered) * 1e3
        estimate = replace(estimate, timing={**estimate.timing, "callback_to_pose": latency})
        self._count(estimate, published)
        begun = time.perf_counter()
        self._outputs.publish_rest(estimate)
        self._status.took("after_pose", (time.perf_counter() - begun) * 1e3)
        with self._epoch_lock:
            if job.epoch != self._epoch:
                self._outputs.clear()

    def _count(self, estimate: Estimate, published: bool) -> None:
        self._status.count("frames")
        if published:
            self._status.count("poses")
            self._status.note("refusal", "")
            self._status.note("time", "")
        elif estimate.reason is not None:
            reason = str(estimate.reason.value)
            self._status.count(f"refused.{reason}")
            self._reporter.warn("refusal", f"no pose ({reason}): {estimate.detail}", kind=reason)
        for stage, milliseconds in estimate.timing.items():
            self._status.took(stage, milliseconds)
        if published:
            spent = (estimate.timing.get(stage, 0.0) for stage in _NOT_OVERHEAD)
            self._status.took("overhead", estimate.timing["callback_to_pose"] - sum(spent))

    def _catch_up(self) -> None:
        self._outputs.catch_up()

    def _failed(self, error: Exception, job: Job | None) -> None:
        if isinstance(error, torch.cuda.OutOfMemoryError):
            torch.cuda.empty_cache()
        self._reporter.internal_error("frame", error)
        if job is None:
            return
        detail = f"{type(error).__name__}: {error}".splitlines()[0]
        try:
            self._finish(job, refusal(job.stamp, Reason.INTERNAL_ERROR, detail))
        except Exception as second:
            self._reporter.internal_error("refusal of a frame", second)
