"""/diagnostics: what runs, what is missing, and what to do; alive in every lifecycle state."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from cross_view_localizer.ros.outgoing.reporter import INTERNAL_ERRORS

if TYPE_CHECKING:
    from cross_view_localizer.ros.node import LocalizerNode
    from cross_view_localizer.ros.session import Session

_NAME = "cross_view_localizer"
_IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
# A stamp this far from the clock: people want to know (no sim time, a camera clock that is off).
_OFFSET_WARNING = 5.0
_REFUSALS_WARNING = 0.5  # share of the frames since the last report
# Humble and Jazzy; Kilted and later.
_PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_LEVELS = (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR)


class Section:
    """One DiagnosticStatus in the making; the worst finding gives level and message."""

    def __init__(self, name: str, message: str) -> None:
        self._name, self._message, self._worst = f"{_NAME}: {name}", message, 0
        self._values: dict[str, str] = {}

    def add(self, key: str, value: object) -> None:
        """Add a value; floats are rounded."""
        self._values[key] = f"{value:.4g}" if isinstance(value, float) else str(value)

    def find(self, level: int, message: str) -> None:
        """Add a finding: 1 warns, 2 is an error."""
        if level > self._worst:
            self._worst, self._message = level, message

    def status(self) -> DiagnosticStatus:
        """Return the message."""
        return DiagnosticStatus(
            level=_LEVELS[self._worst],
            name=self._name,
            message=self._message,
            values=[KeyValue(key=key, value=value) for key, value in self._values.items()],
        )


class DiagnosticsPublisher:
    """Publishes from a thread of its own: neither configure nor a stopped sim time silences it."""

    def __init__(self, node: LocalizerNode) -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._period = float(node.get_parameter("diagnostics_period").value)
        self._stop = threading.Event()
        self._before: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="diagnostics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while not self._stop.wait(self._period):
            try:
                self._publisher.publish(self._message())
            except Exception as error:
                if not self._node.context.ok():  # shut down under our feet
                    return
                self._node.reporter.internal_error("diagnostics", error)

    def _message(self) -> DiagnosticArray:
        made = DiagnosticArray()
        made.header.stamp = self._node.get_clock().now().to_msg()
        sections = [self._life()]
        session = self._node.session
        if session is not None:
            sections.append(self._localization(session))
            if session.image_input is not None:
                sections += [self._image(session), self._prior(session)]
        made.status = [section.status() for section in sections]
        return made

    def _life(self) -> Section:
        node = self._node
        section = Section("node", node.state)
        section.add("state", node.state)
        if node.problem:
            section.find(2, node.problem)
        for subject, text in node.status.notes().items():
            if subject.startswith("parameter"):
                section.find(1, text)
        if node.session is not None:
            session = node.session
            frame = session.localizer.satellite_map.frame
            section.add("model", session.localizer.model_id)
            section.add("device", session.localizer.device)
            section.add("map", session.parameters.map)
            section.add("datum", f"{frame.datum.latitude:.7f} {frame.datum.longitude:.7f}")
            section.add("heading_source", session.parameters.heading_source)
            for text in session.map_warnings:
                section.find(1, text)
        if self._node.get_parameter("use_sim_time").value:
            section.add("clock", "sim time")
            if node.get_clock().now().nanoseconds == 0:
                section.find(1, "use_sim_time is set, but nothing comes on /clock")
        return section

    def _localization(self, session: Session) -> Section:
        status = self._node.status
        counts, notes = status.counts(), status.notes()
        section = Section("localization", "ok")
        for name in ("frames", "poses", "dropped", "out_of_order", "outdated", "time_jumps"):
            section.add(name, counts.get(name, 0))
        for name, number in sorted(counts.items()):
            if name.startswith("refused."):
                section.add(name, number)
        for stage, milliseconds in status.medians().items():
            section.add(f"{stage} ms", milliseconds)
        frames = counts.get("frames", 0) - self._before.get("frames", 0)
        poses = counts.get("poses", 0) - self._before.get("poses", 0)
        self._before = counts
        if frames and poses < (1 - _REFUSALS_WARNING) * frames:
            section.find(1, notes.get("refusal", "most frames are refused"))
        if "time" in notes and not frames:
            section.find(1, notes["time"])
        if counts.get(INTERNAL_ERRORS):
            section.add(INTERNAL_ERRORS, counts[INTERNAL_ERRORS])
            section.find(2, notes.get("internal", "internal error"))
        return section

    def _image(self, session: Session) -> Section:
        image, status = session.image_input, self._node.status
        section = Section("image", "ok")
        if image is None:
            return section
        self._traffic(section, "image")
        section.add("topic", image.topic)
        section.add("publishers", image.publishers())
        section.add("reliability", image.reliability.name.lower())
        section.add("lost by the middleware", image.lost)
        notes = status.notes()
        section.add("taken as", notes.get("image_kind", "nothing yet"))
        if "camera" in notes:
            section.find(1, notes["camera"])
        section.add("Fast DDS profile", _fast_dds_profile() or "none")
        silence = status.silence("image")
        if silence > session.parameters.image_timeout:
            section.find(2, self._silent_image(session, silence))
        elif image.lost:
            section.find(1, f"{image.lost} images were lost on the way: {_TRANSPORT_ADVICE}")
        self._offset(section, "image", image.topic)
        return section

    def _silent_image(self, session: Session, silence: float) -> str:
        image = session.image_input
        assert image is not None
        text = f"no image for {silence:.0f} s on {image.topic}"
        if image.publishers():
            return f"{text}, though a publisher is there: {_TRANSPORT_ADVICE}"
        return f"{text}; {self._candidates(_IMAGE_TYPES)}"

    def _candidates(self, types: tuple[str, ...]) -> str:
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

    def _prior(self, session: Session) -> Section:
        status, notes = self._node.status, self._node.status.notes()
        section = Section("prior", "ok")
        for topic in ("camera_info", "fix", "odom", "imu", "initialpose", "tf_static"):
            if status.topic(topic).messages:
                self._traffic(section, topic)
        for name, number in sorted(session.prior.counters.items()):
            section.add(name, number)
        for name, number in sorted(status.counts().items()):
            if name.endswith("_unusable"):
                section.add(name, number)
        for subject in ("prior", "odom", "imu", "initialpose", "tf_static", "fix"):
            if subject in notes:
                section.add(f"last word on {subject}", notes[subject])
        limit = session.parameters.max_prior_age
        if not status.topic("initialpose").messages and status.silence("fix") > limit:
            silence, topic = status.silence("fix"), self._node.resolve_topic_name("fix")
            candidates = self._candidates(("sensor_msgs/msg/NavSatFix",))
            section.find(2, f"no fix for {silence:.0f} s on {topic}; {candidates}")
        for line in session.sensor_obstacles():
            section.find(2, line)
        if session.prior.counters.get("fix_default_covariance"):
            section.find(1, "fixes state no covariance: default_fix_std is used")
        for topic in ("fix", "odom", "imu"):
            self._offset(section, topic, self._node.resolve_topic_name(topic))
        return section

    def _traffic(self, section: Section, topic: str) -> None:
        figures = self._node.status.topic(topic)
        section.add(f"{topic} messages", figures.messages)
        section.add(f"{topic} rate Hz", figures.rate)
        if figures.age is not None:
            section.add(f"{topic} age s", figures.age)
            section.add(f"{topic} stamp", f"{figures.stamp // 10**9}.{figures.stamp % 10**9:09d}")

    def _offset(self, section: Section, key: str, topic: str) -> None:
        """Report stamps that are far from the clock."""
        figures = self._node.status.topic(key)
        if not figures.messages:
            return
        offset = figures.offset
        section.add(f"{key} stamp minus clock s", offset)
        if abs(offset) > _OFFSET_WARNING:
            side = "ahead of" if offset > 0 else "behind"
            section.find(
                1,
                f"{topic} is stamped {abs(offset):.0f} s {side} the clock: for a bag set "
                "use_sim_time and play with --clock; else synchronise the clocks",
            )


_TRANSPORT_ADVICE = (
    "best effort loses images above 0.5 MB unless the camera's process and this one load "
    "config/fastdds.xml (FASTRTPS_DEFAULT_PROFILES_FILE); or publish reliable"
)


def _fast_dds_profile() -> str:
    """Return the profile file that Fast DDS was told to load, else an empty string."""
    return next((os.environ[name] for name in _PROFILE_VARIABLES if os.environ.get(name)), "")
