"""The sections of /diagnostics: node, localization, image, prior."""

from __future__ import annotations

import os

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node

from cross_view_localizer.estimate import Reason
from cross_view_localizer.ros.outgoing.facts import Facts, ImageFacts, PriorFacts
from cross_view_localizer.ros.outgoing.reporter import INTERNAL_ERRORS
from cross_view_localizer.ros.outgoing.section import ERROR, WARN, Growth, Section
from cross_view_localizer.ros.outgoing.status import WINDOW, Status
from cross_view_localizer.ros.parameters import Parameters

_IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
# What a heading source can't do without: topic and type.
_NEEDED = {
    "odom_aligned": ("odom", "nav_msgs/msg/Odometry"),
    "odom_enu": ("odom", "nav_msgs/msg/Odometry"),
    "imu_enu": ("imu", "sensor_msgs/msg/Imu"),
}
_COUNTED = ("frames", "poses", "skipped", "dropped", "out_of_order", "outdated", "time_jumps")
# A stamp this far from the clock: people want to know (no sim time, a camera clock that is off).
_OFFSET_WARNING = 5.0
_NO_MATCH = f"refused.{Reason.NO_MATCH.value}"
_REFUSALS_WARNING = 0.5  # share of the frames since the last report
# Humble and Jazzy; Kilted and later.
_PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_TRANSPORT_ADVICE = (
    "best effort loses images above 0.5 MB unless the camera's process and this one load "
    "config/fastdds.xml (FASTRTPS_DEFAULT_PROFILES_FILE); or publish reliable"
)


class Sections:
    """Makes the statuses of one message after the other; used by one thread.

    What happened once is found in the message after it and not again; only the counters among the
    values are for the node's whole life.

    Args:
        node: knows clock, names and the graph.
        status: counters and last words.
    """

    def __init__(self, node: Node, status: Status) -> None:
        self._node, self._status = node, status
        self._growth = Growth()

    def of(self, facts: Facts) -> list[DiagnosticStatus]:
        """Return the statuses; what is not there yet (configured, active) has none."""
        made = [self._life(facts)]
        if facts.parameters is not None:
            made.append(self._localization())
            if facts.image is not None:
                made.append(self._image(facts.image, facts.parameters))
            if facts.prior is not None:
                made.append(self._prior(facts.prior, facts.parameters))
        return [section.status() for section in made]

    def _section(self, name: str, message: str = "ok") -> Section:
        return Section(self._node.get_fully_qualified_name(), name, message)

    def _life(self, facts: Facts) -> Section:
        section = self._section("node", facts.state)
        section.add("state", facts.state)
        if facts.problem:
            section.find(ERROR, facts.problem)
        for subject, text in self._status.notes().items():
            if subject.startswith("parameter"):
                section.find(WARN, text)
        for name, value in facts.loaded.items():
            section.add(name, value)
        for text in facts.warnings:
            section.find(WARN, text)
        if self._node.get_parameter("use_sim_time").value:
            section.add("clock", "sim time")
            if self._node.get_clock().now().nanoseconds == 0:
                section.find(WARN, "use_sim_time is set, but nothing comes on /clock")
        return section

    def _localization(self) -> Section:
        counts, notes = self._status.counts(), self._status.notes()
        new = self._growth.of("localization", counts)
        section = self._section("localization")
        for name in _COUNTED:
            section.add(name, counts.get(name, 0))
        for name, number in sorted(counts.items()):
            if name.startswith("refused.") or name == INTERNAL_ERRORS:
                section.add(name, number)
        figures = self._status.figures()
        if "no_match" in figures:  # the model tells
            section.add("last no_match", figures["no_match"])
            share = new[_NO_MATCH] / new["frames"] if new["frames"] else 0.0
            section.add("share refused as no_match", share)
        for stage, milliseconds in self._status.medians().items():
            section.add(f"{stage} ms", milliseconds)
        if new["frames"] and new["poses"] < (1 - _REFUSALS_WARNING) * new["frames"]:
            section.find(WARN, notes.get("refusal", "most frames are refused"))
        if new["time_jumps"]:
            section.find(WARN, notes.get("time", "time jumped"))
        if new[INTERNAL_ERRORS]:
            section.find(ERROR, notes.get("internal", "internal error"))
        return section

    def _image(self, image: ImageFacts, parameters: Parameters) -> Section:
        section = self._section("image")
        self._traffic(section, "image")
        section.add("topic", image.topic)
        section.add("publishers", image.publishers)
        section.add("reliability", image.reliability)
        section.add("lost by the middleware", image.lost)
        notes = self._status.notes()
        section.add("taken as", notes.get("image_kind", "nothing yet"))
        if "camera" in notes:
            section.find(WARN, notes["camera"])
        section.add("Fast DDS profile", _fast_dds_profile() or "none")
        lost = self._growth.of("image", {"lost": image.lost})["lost"]
        silence = self._status.silence("image")
        if silence > parameters.image_timeout:
            section.find(ERROR, self._silent_image(image, silence))
        elif lost:
            section.find(WARN, f"{lost} images were lost on the way: {_TRANSPORT_ADVICE}")
        self._offset(section, "image", image.topic)
        return section

    def _silent_image(self, image: ImageFacts, silence: float) -> str:
        text = f"{Reason.NO_IMAGE.value}: no image for {silence:.0f} s on {image.topic}"
        if image.publishers:
            return f"{text}, though a publisher is there: {_TRANSPORT_ADVICE}"
        return f"{text}; {self._candidates(*_IMAGE_TYPES)}"

    def _candidates(self, *types: str) -> str:
        """Return the topics that could have been meant: published by others, of these types."""
        own = f"{self._node.get_fully_qualified_name()}/"
        found = [
            name
            for name, kinds in self._node.get_topic_names_and_types()
            if set(kinds) & set(types)
            and not name.startswith(own)
            and self._node.count_publishers(name)
        ]
        return "candidates: " + (", ".join(sorted(found)) or "none")

    def _prior(self, prior: PriorFacts, parameters: Parameters) -> Section:
        status, section = self._status, self._section("prior")
        for topic in ("camera_info", "fix", "odom", "imu", "initialpose", "tf_static"):
            if status.topic(topic).messages:
                self._traffic(section, topic)
        unusable = {name: n for name, n in status.counts().items() if name.endswith("_unusable")}
        for name, number in sorted({**prior.counters, **unusable}.items()):
            section.add(name, number)
        for subject in ("prior", "odom", "imu", "initialpose", "tf_static", "fix"):
            if last := status.dated_note(subject):
                section.add(f"last word on {subject}", last)
        self._silent_sensors(section, parameters)
        for line in prior.obstacles:
            section.find(ERROR, line)
        if self._growth.of("prior", prior.counters)["fix_default_covariance"]:
            section.find(WARN, "fixes state no covariance: default_fix_std is used")
        for topic in ("fix", "odom", "imu"):
            self._offset(section, topic, self._node.resolve_topic_name(topic))
        return section

    def _silent_sensors(self, section: Section, parameters: Parameters) -> None:
        """Name the sensors that are needed and silent for longer than a prior may be carried."""
        source, limit = parameters.heading_source, parameters.max_prior_age
        needed = {"fix": ("sensor_msgs/msg/NavSatFix", "")}
        if self._status.topic("initialpose").messages:  # it stands in for the fixes
            needed.clear()
        if source in _NEEDED:
            topic, kind = _NEEDED[source]
            needed[topic] = (kind, f", which heading_source {source} needs")
        for topic, (kind, purpose) in needed.items():
            silence = self._status.silence(topic)
            if silence > limit:
                name, others = self._node.resolve_topic_name(topic), self._candidates(kind)
                section.find(ERROR, f"no {topic} for {silence:.0f} s on {name}{purpose}; {others}")

    def _traffic(self, section: Section, topic: str) -> None:
        figures = self._status.topic(topic)
        section.add(f"{topic} messages", figures.messages)
        section.add(f"{topic} rate Hz", figures.rate)
        if figures.age is not None:
            section.add(f"{topic} age s", figures.age)
            section.add(f"{topic} stamp", f"{figures.stamp // 10**9}.{figures.stamp % 10**9:09d}")

    def _offset(self, section: Section, key: str, topic: str) -> None:
        """Report stamps that are far from the clock, while such messages come."""
        figures = self._status.topic(key)
        if figures.age is None:
            return
        offset = figures.offset
        section.add(f"{key} stamp minus clock s", offset)
        if abs(offset) > _OFFSET_WARNING and figures.age <= WINDOW:
            side = "ahead of" if offset > 0 else "behind"
            section.find(
                WARN,
                f"{topic} is stamped {abs(offset):.0f} s {side} the clock: for a bag set "
                "use_sim_time and play with --clock; else synchronise the clocks",
            )


def _fast_dds_profile() -> str:
    """Return the profile file that Fast DDS was told to load, else an empty string."""
    return next((os.environ[name] for name in _PROFILE_VARIABLES if os.environ.get(name)), "")
