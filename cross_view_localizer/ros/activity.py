"""Everything that lives between activate and deactivate: inputs, worker, outputs."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from cross_view_localizer.estimate import Estimate, Reason, refusal
from cross_view_localizer.localizer import Localizer
from cross_view_localizer.prior.prior import PriorEstimator
from cross_view_localizer.prior.stamp_gate import StampGate, Verdict
from cross_view_localizer.ros import qos
from cross_view_localizer.ros.configurations import localizer_config, prior_config
from cross_view_localizer.ros.incoming.cameras import Cameras
from cross_view_localizer.ros.incoming.image_input import ImageInput, image_topic
from cross_view_localizer.ros.incoming.sensor_inputs import SensorInputs
from cross_view_localizer.ros.incoming.static_transforms import StaticTransforms
from cross_view_localizer.ros.incoming.throttle import Throttle
from cross_view_localizer.ros.messages import stamp_of
from cross_view_localizer.ros.outgoing.facts import ImageFacts, PriorFacts
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


class Activity:
    """Subscribes, works and publishes from construction until ``stop``, which can't be undone.

    Args:
        node: subscribes and publishes.
        parameters: those in force; ``adjust`` brings others.
        localizer: used by the worker's thread alone until ``stop``.
        transforms: outlive the activity, as /tf_static is latched.
        reporter: log and counters.
    """

    def __init__(
        self,
        node: Node,
        parameters: Parameters,
        localizer: Localizer,
        transforms: StaticTransforms,
        reporter: Reporter,
    ) -> None:
        self._node, self._reporter, self._status = node, reporter, reporter.status
        self._wanted = self._in_force = parameters
        self._localizer = localizer
        self._epoch, self._epoch_lock = 0, threading.Lock()
        self._sensors_jumped_at = float("-inf")
        self._gate = StampGate(parameters.buffer_seconds, _IMAGE_JUMP_BACK, parameters.max_future)
        self._throttle = Throttle(parameters.max_rate)
        self._prior = PriorEstimator(prior_config(parameters))
        # Undoes in reverse order what was begun, also where beginning fails half way.
        with ExitStack() as undo:
            undo.callback(self._let_go)
            self._begin(undo, parameters, transforms)
            self._undo = undo.pop_all()

    def _begin(self, undo: ExitStack, parameters: Parameters, transforms: StaticTransforms) -> None:
        node, localizer, frame = self._node, self._localizer, self._localizer.satellite_map.frame
        self._worker: Worker[Job] = Worker(self._process, self._catch_up, self._failed)
        self._outputs = Outputs(node, parameters, frame.datum, self._reporter, self._worker.poke)
        undo.callback(self._outputs.destroy)
        self._inputs = SensorInputs(
            node, parameters, frame, self._prior, transforms, self._reporter, self._on_sensor_jump
        )
        undo.callback(self._inputs.destroy)
        topic = image_topic(node, parameters.image_transport)
        self._processor = Processor(
            parameters,
            localizer,
            self._prior,
            self._inputs,
            transforms,
            Cameras(parameters, topic, self._reporter),
            self._worker.is_stopping,
        )
        self._status.restart()
        self._worker.start()
        undo.callback(self._end_worker)
        compressed = parameters.image_transport == "compressed"
        self._image_input = ImageInput(
            node,
            CompressedImage if compressed else Image,
            topic,
            parameters.image_reliability,
            self._on_image,
        )
        undo.callback(self._image_input.destroy)
        threshold = JumpThreshold(
            min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
        )
        jumps = node.get_clock().create_jump_callback(
            threshold, post_callback=lambda _: self._on_clock_jump()
        )
        undo.callback(jumps.unregister)
        for name, why in qos.untaken(node).items():
            if why:
                self._reporter.warn(f"parameter {name}", why)
            else:
                self._status.note(f"parameter {name}", "")

    def stop(self) -> None:
        """Unsubscribe and end the worker; what it was at is not published."""
        self._undo.close()

    def _end_worker(self) -> None:
        with self._epoch_lock:
            self._epoch += 1
        with self._inputs.changed:
            self._inputs.changed.notify_all()
        if not self._worker.stop():
            self._reporter.error("the network did not finish within 30 s")

    def _let_go(self) -> None:
        """Drop what holds the network.

        Callbacks lead back here in circles, which only the garbage collector would find.
        """
        for name in ("_worker", "_outputs", "_processor", "_localizer"):
            self.__dict__.pop(name, None)

    def adjust(self, parameters: Parameters) -> None:
        """Take other live parameters: inputs at once, the worker before its next frame."""
        self._prior.adjust(prior_config(parameters))
        self._throttle.rate = parameters.max_rate
        self._gate.max_future = parameters.max_future
        self._wanted = parameters

    def image_facts(self) -> ImageFacts:
        """Return what diagnostics say of the image subscription; any thread."""
        image = self._image_input
        reliability = image.reliability.name.lower()
        return ImageFacts(image.topic, image.publishers(), reliability, image.lost)

    def prior_facts(self) -> PriorFacts:
        """Return what diagnostics say of the prior; any thread."""
        lines = (self._inputs.missing_frame, self._inputs.far_fix)
        return PriorFacts(self._prior.counters, tuple(line for line in lines if line))

    def housekeeping(self) -> None:
        """Called twice a second: what has no event of its own."""
        self._image_input.check()
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
        if problem is None and not self._throttle.admits(stamp):
            self._status.count("skipped")
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
        self._throttle.clear()
        if and_prior:
            self._inputs.clear()
        self._outputs.clear()
        self._status.count("time_jumps")
        self._reporter.warn("time", f"{why}: buffers cleared, silent until new data")

    # -- worker thread ----------------------------------------------------------------------------

    def _process(self, job: Job) -> None:
        self._adopt()
        self._finish(job, self._processor.process(job))

    def _adopt(self) -> None:
        """Take the parameters that were set since the last frame."""
        wanted = self._wanted
        if wanted is not self._in_force:
            self._localizer.adjust(localizer_config(wanted))
            self._processor.parameters = wanted
            self._outputs.adjust(wanted)
            self._in_force = wanted

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
        if estimate.no_match is not None:
            self._status.found("no_match", estimate.no_match)
        for stage, milliseconds in estimate.timing.items():
            self._status.took(stage, milliseconds)
        if published:
            spent = (estimate.timing.get(stage, 0.0) for stage in _NOT_OVERHEAD)
            self._status.took("overhead", estimate.timing["callback_to_pose"] - sum(spent))

    def _catch_up(self) -> None:
        self._adopt()
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
