"""The map frame against independent geodesy, and rotations against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cross_view_localizer.geo import (
    Datum,
    MapFrame,
    RigidTransform,
    quaternion_from_yaw,
    rotation_from_euler,
    rotation_from_quaternion,
    wrap_angle,
    yaw_from_quaternion,
)

OXFORD = Datum(51.752, -1.258)
angles = st.floats(-20, 20)
datums = st.builds(Datum, st.floats(-85, 85), st.floats(-180, 180))
offsets = st.tuples(st.floats(-50_000, 50_000), st.floats(-50_000, 50_000))
quaternions = st.tuples(*[st.floats(-2, 2)] * 4).filter(lambda q: sum(v * v for v in q) > 0.01)
transforms = st.builds(
    RigidTransform.from_quaternion, st.tuples(*[st.floats(-100, 100)] * 3), quaternions
)


def ecef(latitude: float, longitude: float) -> NDArray[np.float64]:
    """WGS84's textbook formula at height 0."""
    a, f = 6378137.0, 1 / 298.257223563
    e2 = f * (2 - f)
    lat, lon = math.radians(latitude), math.radians(longitude)
    n = a / math.sqrt(1 - e2 * math.sin(lat) ** 2)
    return np.array(
        [
            n * math.cos(lat) * math.cos(lon),
            n * math.cos(lat) * math.sin(lon),
            n * (1 - e2) * math.sin(lat),
        ]
    )


def topocentric(datum: Datum, latitude: float, longitude: float) -> NDArray[np.float64]:
    """East and north on the tangent plane at the datum."""
    lat, lon = math.radians(datum.latitude), math.radians(datum.longitude)
    east = np.array([-math.sin(lon), math.cos(lon), 0])
    north = np.array(
        [-math.sin(lat) * math.cos(lon), -math.sin(lat) * math.sin(lon), math.cos(lat)]
    )
    offset = ecef(latitude, longitude) - ecef(datum.latitude, datum.longitude)
    return np.array([east @ offset, north @ offset])


@pytest.mark.parametrize(
    ("distance", "utm_error"), [(131, 3.13), (1310, 31.3), (2620, 62.5), (6550, 156)]
)
def test_map_is_the_tangent_plane_where_utm_axes_are_turned(
    distance: float, utm_error: float
) -> None:
    # The numbers measured in ros_contract.md 3.5.
    frame = MapFrame(OXFORD)
    lat, lon = frame.to_wgs84(np.array([0.6, 0.8]) * distance)
    truth = topocentric(OXFORD, lat, lon)
    assert np.hypot(*(frame.to_map(lat, lon) - truth)) < 0.003
    utm = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32630", always_xy=True)
    offset = np.subtract(utm.transform(lon, lat), utm.transform(OXFORD.longitude, OXFORD.latitude))
    assert np.hypot(*(offset - truth)) == pytest.approx(utm_error, rel=0.02)


@given(datums, offsets)
def test_map_and_wgs84_round_trip(datum: Datum, xy: tuple[float, float]) -> None:
    frame = MapFrame(datum)
    lat, lon = frame.to_wgs84(xy)
    assert -90 <= lat <= 90 and -180 <= lon <= 180
    np.testing.assert_allclose(frame.to_map(lat, lon), xy, atol=1e-5)


@given(datums)
def test_axes_point_east_and_north(datum: Datum) -> None:
    frame = MapFrame(datum)
    # PROJ takes angles of less than a millimetre for zero.
    np.testing.assert_allclose(frame.to_map(datum.latitude, datum.longitude), 0, atol=2e-3)
    north = frame.to_map(datum.latitude + 1e-4, datum.longitude)
    assert abs(north[0]) < 2e-3 and north[1] == pytest.approx(11.13, rel=0.01)


def test_a_datum_at_the_date_line_has_neighbours_on_both_sides() -> None:
    frame = MapFrame(Datum(-17.0, 179.9999))
    assert frame.to_map(-17.0, -179.9999)[0] == pytest.approx(21.3, abs=0.1)


def test_a_datum_of_numpy_floats_projects_as_any() -> None:
    frame = MapFrame(Datum(np.float64(51.752), np.float64(-1.258)))
    np.testing.assert_allclose(frame.to_map(51.752, -1.258), 0, atol=1e-6)


def test_arrays_keep_their_shape() -> None:
    frame = MapFrame(OXFORD)
    positions = frame.to_map(np.full((2, 3), 51.75), -1.25)
    assert positions.shape == (2, 3, 2)
    assert frame.to_wgs84(positions).shape == (2, 3, 2)
    assert frame.to_map(51.75, -1.25).shape == (2,)


@pytest.mark.parametrize(
    ("latitude", "longitude", "words"),
    [
        (math.nan, 0.0, "position"),
        (51.7, math.inf, "position"),
        (91.0, 0.0, "latitude within ±90"),
        (0.0, 181.0, "longitude within ±180"),
        (0.0, 0.0, "200 km"),
        (-1.258, 51.752, "check the datum"),
    ],
)
def test_positions_that_cannot_be_are_refused(
    latitude: float, longitude: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        MapFrame(OXFORD).to_map(latitude, longitude)
    assert "\n" not in str(caught.value)


def test_one_bad_position_of_many_is_named() -> None:
    with pytest.raises(ValueError, match="nan"):
        MapFrame(OXFORD).to_map([51.752, math.nan], [-1.258, -1.258])


@pytest.mark.parametrize("xy", [(math.nan, 0.0), (0.0, math.inf), (3e5, 0.0)])
def test_map_positions_that_cannot_be_are_refused(xy: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="expected finite metres within 200 km"):
        MapFrame(OXFORD).to_wgs84(xy)


@pytest.mark.parametrize("bad", [(91, 0), (-91, 0), (0, 181), (math.nan, 0), (0, math.nan)])
def test_a_datum_off_the_earth_is_refused(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="in this order"):
        Datum(*bad)


@given(st.floats(-1e4, 1e4))
def test_wrap_angle_keeps_the_direction(angle: float) -> None:
    wrapped = float(wrap_angle(angle))
    assert -math.pi <= wrapped < math.pi
    assert math.cos(wrapped - angle) == pytest.approx(1)


def test_wrap_angle_of_arrays_and_edges() -> None:
    np.testing.assert_allclose(
        wrap_angle([math.pi, -math.pi, 3.5 * math.pi]), [-math.pi, -math.pi, -math.pi / 2]
    )


@given(angles)
def test_yaw_survives_a_quaternion(yaw: float) -> None:
    x, y, z, w = quaternion_from_yaw(yaw)
    assert math.cos(yaw_from_quaternion(x, y, z, w) - yaw) == pytest.approx(1)
    assert math.cos(yaw_from_quaternion(3 * x, 3 * y, 3 * z, 3 * w) - yaw) == pytest.approx(1)


@given(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5), angles)
def test_yaw_is_euler_yaw_under_roll_and_pitch(roll: float, pitch: float, yaw: float) -> None:
    rotation = rotation_from_euler(roll, pitch, yaw)
    assert math.cos(math.atan2(rotation[1, 0], rotation[0, 0]) - yaw) == pytest.approx(1)
    # The definition: first about x, then y, then z, all fixed.
    about = [
        rotation_from_euler(roll, 0, 0),
        rotation_from_euler(0, pitch, 0),
        rotation_from_euler(0, 0, yaw),
    ]
    np.testing.assert_allclose(rotation, about[2] @ about[1] @ about[0], atol=1e-12)


def test_euler_angles_turn_the_way_rep_103_says() -> None:
    np.testing.assert_allclose(
        rotation_from_euler(0, 0, math.pi / 2) @ (1, 0, 0), (0, 1, 0), atol=1e-12
    )
    # Positive pitch lowers the nose, positive roll lowers the right side.
    np.testing.assert_allclose(
        rotation_from_euler(0, math.pi / 2, 0) @ (1, 0, 0), (0, 0, -1), atol=1e-12
    )
    np.testing.assert_allclose(
        rotation_from_euler(math.pi / 2, 0, 0) @ (0, -1, 0), (0, 0, -1), atol=1e-12
    )


@pytest.mark.parametrize("bad", [(0, 0, 0, 0), (math.nan, 0, 0, 1), (math.inf, 0, 0, 1)])
def test_an_unfilled_quaternion_is_refused(bad: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="expected finite values of length 1"):
        rotation_from_quaternion(*bad)


@given(quaternions)
def test_quaternions_give_rotations(q: tuple[float, float, float, float]) -> None:
    rotation = rotation_from_quaternion(*q)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    # The axis stays where it is.
    np.testing.assert_allclose(rotation @ q[:3], q[:3], atol=1e-9)


@given(transforms, transforms, st.tuples(*[st.floats(-100, 100)] * 3))
def test_transforms_chain_and_invert(
    a: RigidTransform, b: RigidTransform, point: tuple[float, float, float]
) -> None:
    np.testing.assert_allclose((a @ b).apply(point), a.apply(b.apply(point)), atol=1e-9)
    np.testing.assert_allclose(a.inverse().apply(a.apply(point)), point, atol=1e-9)
    np.testing.assert_allclose((a @ a.inverse()).translation, 0, atol=1e-9)


def test_transform_takes_a_child_point_to_its_parent() -> None:
    # A camera 1 m ahead and 2 m up, turned left: what it sees 3 m ahead lies 3 m to the left.
    mounted = RigidTransform.from_euler((1, 0, 2), (0, 0, math.pi / 2))
    np.testing.assert_allclose(
        mounted.apply([[3, 0, 0], [0, 0, 0]]), [[1, 3, 2], [1, 0, 2]], atol=1e-12
    )
    again = RigidTransform.from_quaternion((1, 0, 2), quaternion_from_yaw(math.pi / 2))
    np.testing.assert_allclose(again.rotation, mounted.rotation, atol=1e-12)


def test_transforms_compare_by_value_and_cannot_change() -> None:
    one, two = (RigidTransform.from_euler((1, 2, 3), (0.1, 0, 0)) for _ in range(2))
    assert one == two and hash(one) == hash(two) and one != RigidTransform.identity()
    with pytest.raises(ValueError, match="read-only"):
        one.translation[0] = 5


@pytest.mark.parametrize(
    ("rotation", "translation", "words"),
    [
        (np.eye(2), np.zeros(3), "expected"),
        (np.eye(3), np.zeros(2), "expected"),
        (2 * np.eye(3), np.zeros(3), "orthonormal"),
        (np.diag([1, 1, -1]), np.zeros(3), "right-handed"),
        (np.full((3, 3), np.nan), np.zeros(3), "orthonormal"),
        (np.eye(3), np.array([0, np.nan, 0]), "finite metres"),
    ],
)
def test_what_is_no_rigid_transform_is_refused(
    rotation: NDArray[np.float64], translation: NDArray[np.float64], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        RigidTransform(rotation, translation)
