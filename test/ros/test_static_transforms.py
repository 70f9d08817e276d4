from __future__ import annotations

import math
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from cross_view_localizer.geo import RigidTransform
from cross_view_localizer.ros.incoming.static_transforms import MissingFrameError, StaticTransforms

QUARTER = RigidTransform.from_euler((1.0, 2.0, 3.0), (0.0, 0.0, math.pi / 2))
TILT = RigidTransform.from_euler((0.5, 0.0, 0.0), (-math.pi / 2, 0.0, -math.pi / 2))


def chain() -> StaticTransforms:
    transforms = StaticTransforms()
    transforms.add("base_link", "camera_link", QUARTER)
    transforms.add("camera_link", "camera_optical_frame", TILT)
    transforms.add("base_link", "gps_link", RigidTransform.from_euler((0, 0, 1), (0, 0, 0)))
    return transforms


def test_chain_is_composed_in_order() -> None:
    found = chain().lookup("base_link", "camera_optical_frame")
    forward = np.array([0.0, 0.0, 1.0])  # the camera looks along its z
    # camera_link's x is turned to base_link's y
    np.testing.assert_allclose(found.rotation @ forward, [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(found.translation, [1.0, 2.5, 3.0], atol=1e-12)


def test_either_direction_and_siblings() -> None:
    transforms = chain()
    there = transforms.lookup("gps_link", "camera_optical_frame")
    back = transforms.lookup("camera_optical_frame", "gps_link")
    np.testing.assert_allclose((there @ back).rotation, np.eye(3), atol=1e-12)
    np.testing.assert_allclose((there @ back).translation, 0, atol=1e-12)


def test_missing_frame_is_named() -> None:
    with pytest.raises(MissingFrameError, match="'lidar' is not on /tf_static .*camera_link"):
        chain().lookup("base_link", "lidar")
    split = chain()
    split.add("other_root", "lidar", QUARTER)
    with pytest.raises(MissingFrameError, match="does not connect 'lidar' to 'base_link'"):
        split.lookup("base_link", "lidar")


def test_resent_frame_replaces_and_slash_is_dropped() -> None:
    transforms = chain()
    transforms.add("/base_link", "/gps_link", RigidTransform.from_euler((7, 0, 0), (0, 0, 0)))
    assert transforms.lookup("base_link", "gps_link").translation[0] == 7.0


def entry(child: str, x: float, parent: str = "base_link", w: float = 1.0) -> SimpleNamespace:
    return SimpleNamespace(
        header=SimpleNamespace(frame_id=parent),
        child_frame_id=child,
        transform=SimpleNamespace(
            translation=SimpleNamespace(x=x, y=0.0, z=0.0),
            rotation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=w),
        ),
    )


def message(*entries: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(transforms=list(entries))


def test_broken_transform_is_left_out_and_reported() -> None:
    transforms = StaticTransforms()
    transforms.add_message(message(entry("camera", 1.0, w=0.0)))
    assert transforms.frames() == []
    assert "base_link -> camera" in transforms.rejected


def test_report_ends_with_the_correction_of_that_frame() -> None:
    transforms = StaticTransforms()
    transforms.add_message(message(entry("camera", 1.0, w=0.0), entry("gps", 1.0, parent="gps")))
    transforms.add_message(message(entry("imu", 0.0)))
    assert "-> camera" in transforms.rejected and "-> gps" in transforms.rejected
    transforms.add_message(message(entry("/camera", 2.0)))
    assert "camera" not in transforms.rejected and "-> gps" in transforms.rejected
    transforms.add_message(message(entry("gps", 3.0)))
    assert transforms.rejected == ""
    assert transforms.lookup("base_link", "camera").translation[0] == 2.0


def test_report_on_an_entry_without_a_name_ends_with_the_next_message() -> None:
    transforms = StaticTransforms()
    transforms.add_message(message(entry("", 1.0)))
    assert "two different frame names" in transforms.rejected
    transforms.add_message(message(entry("camera", 1.0)))
    assert transforms.rejected == ""


def test_lookups_see_whole_messages_while_others_arrive() -> None:
    """The two edges of each message cancel: any other sum mixes two messages."""
    transforms, stop, problems = StaticTransforms(), threading.Event(), []
    transforms.add_message(message(entry("mast", 0.0), entry("camera", 0.0, parent="mast")))

    def look() -> None:
        try:
            while not stop.is_set():
                x = transforms.lookup("base_link", "camera").translation[0]
                assert x == 0.0, f"{x} m: of two messages"
                transforms.frames()
        except Exception as error:
            problems.append(error)

    readers = [threading.Thread(target=look) for _ in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for reader in readers:
            reader.start()
        for k in range(100):
            x = float(k + 1)
            more = entry(f"frame_{k % 30}", 1.0)
            transforms.add_message(
                message(entry("mast", x), more, entry("camera", -x, parent="mast"))
            )
            if problems:
                break
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        for reader in readers:
            reader.join()
    assert problems == []
