from __future__ import annotations

import math
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


def test_broken_transform_is_left_out_and_reported() -> None:
    transforms = StaticTransforms()
    zero = SimpleNamespace(x=0.0, y=0.0, z=0.0, w=0.0)
    entry = SimpleNamespace(
        header=SimpleNamespace(frame_id="base_link"),
        child_frame_id="camera",
        transform=SimpleNamespace(translation=zero, rotation=zero),
    )
    transforms.add_message(SimpleNamespace(transforms=[entry]))
    assert transforms.frames() == []
    assert transforms.rejected is not None and "base_link -> camera" in transforms.rejected
