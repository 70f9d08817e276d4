"""Diagnostics: whose they are, and that what happened once is not told for ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from harness import DOMAIN, level_of

rclpy = pytest.importorskip("rclpy")

from cross_view_localizer.ros.outgoing.facts import Facts, ImageFacts, PriorFacts  # noqa: E402
from cross_view_localizer.ros.outgoing.reporter import Reporter  # noqa: E402
from cross_view_localizer.ros.outgoing.sections import Sections  # noqa: E402
from cross_view_localizer.ros.outgoing.status import WINDOW, Status  # noqa: E402
from cross_view_localizer.ros.parameters import Parameters  # noqa: E402

IMAGE = ImageFacts("/left/image", 1, "reliable", 0)
ACTIVE = Facts("active", parameters=Parameters(), image=IMAGE, prior=PriorFacts({}, ()))


@pytest.fixture(scope="module")
def ros_node() -> Iterator[object]:
    context = rclpy.Context()
    context.init(domain_id=DOMAIN + 1)
    node = rclpy.create_node("finder", namespace="left", context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


class Told:
    """Sections of a node that heard from its sensors just now."""

    def __init__(self, ros_node: object) -> None:
        self.now = 100.0
        self.status = Status(clock=lambda: self.now)
        for topic in ("image", "fix", "odom"):
            self.status.arrived(topic)
        self._sections = Sections(ros_node, self.status)

    def values(self, section: str) -> dict[str, str]:
        (found,) = (s for s in self._sections.of(ACTIVE) if s.name.endswith(f": {section}"))
        return {pair.key: pair.value for pair in found.values}

    def __call__(self, facts: Facts = ACTIVE) -> dict[str, tuple[int, str]]:
        return {
            status.name.split(": ")[1]: (level_of(status), status.message)
            for status in self._sections.of(facts)
        }


@pytest.fixture
def told(ros_node: object) -> Told:
    return Told(ros_node)


def test_nodes_of_two_namespaces_have_names_of_their_own(ros_node: object) -> None:
    statuses = Sections(ros_node, Status()).of(ACTIVE)
    assert [status.name for status in statuses] == [
        f"/left/finder: {section}" for section in ("node", "localization", "image", "prior")
    ]
    assert {status.hardware_id for status in statuses} == {"/left/finder"}


def test_all_is_well(told: Told) -> None:
    assert told() == {
        "node": (0, "active"),
        "localization": (0, "ok"),
        "image": (0, "ok"),
        "prior": (0, "ok"),
    }


def test_an_internal_error_is_told_once(told: Told) -> None:
    class Logger:
        def error(self, text: str) -> None: ...

        warning = error

    reporter = Reporter(Logger(), told.status)
    reporter.internal_error("frame", RuntimeError("broken"))
    level, message = told()["localization"]
    assert level == 2 and "frame: RuntimeError: broken" in message
    assert told()["localization"] == (0, "ok")
    reporter.internal_error("frame", RuntimeError("broken"))
    assert told()["localization"][0] == 2


def test_a_lost_image_is_told_once(told: Told) -> None:
    three = replace(ACTIVE, image=replace(IMAGE, lost=3))
    level, message = told(three)["image"]
    assert level == 1 and message.startswith("3 images were lost")
    assert told(three)["image"] == (0, "ok")
    again = replace(ACTIVE, image=replace(IMAGE, lost=1))  # a new subscription counts from zero
    assert told(again)["image"][1].startswith("1 images")


def test_a_fix_without_covariance_is_told_once(told: Told) -> None:
    one = replace(ACTIVE, prior=PriorFacts({"fix_default_covariance": 1}, ()))
    assert told(one)["prior"] == (1, "fixes state no covariance: default_fix_std is used")
    assert told(one)["prior"] == (0, "ok")


def test_no_match_is_shown_for_the_period(told: Told) -> None:
    assert not any("no_match" in key for key in told.values("localization"))
    told.status.count("frames", 4)
    told.status.count("refused.no_match")
    told.status.found("no_match", 0.93)
    shown = told.values("localization")
    assert (shown["last no_match"], shown["share refused as no_match"]) == ("0.93", "0.25")
    assert shown["refused.no_match"] == "1"
    told.status.count("frames", 2)
    assert told.values("localization")["share refused as no_match"] == "0"
    told.status.restart()
    assert "last no_match" not in told.values("localization")


def test_a_jump_of_time_is_told_once_also_where_no_frame_follows(told: Told) -> None:
    told.status.count("time_jumps")
    told.status.note("time", "stamps jumped back")
    assert told()["localization"] == (1, "stamps jumped back")
    assert told()["localization"] == (0, "ok")


def test_stamps_far_from_the_clock_are_told_while_they_come(told: Told) -> None:
    told.status.arrived("odom", stamp=1, offset=-60.0)
    level, message = told()["prior"]
    assert level == 1 and "/left/odom is stamped 60 s behind the clock" in message
    told.now += WINDOW + 1.0
    told.status.arrived("fix")
    assert "behind" not in told(ACTIVE)["prior"][1]


def test_silence_of_what_is_needed_is_named(told: Told) -> None:
    told.now += 7.0
    told.status.arrived("fix")
    level, message = told()["prior"]
    assert level == 2
    assert message.startswith(
        "no odom for 7 s on /left/odom, which heading_source odom_aligned needs; candidates: "
    )
    course = replace(ACTIVE, parameters=replace(Parameters(), heading_source="course"))
    assert told(course)["prior"] == (0, "ok")
    inertial = replace(ACTIVE, parameters=replace(Parameters(), heading_source="imu_enu"))
    assert "no imu for 7 s on /left/imu" in told(inertial)["prior"][1]
    told.now += 7.0
    text = told()["prior"][1]
    assert "no fix for 7 s on /left/fix" in text and "no odom for 14 s" in text
    assert told()["image"][1].startswith("no_image: no image for 14 s on /left/image")
