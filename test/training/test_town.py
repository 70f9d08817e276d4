"""The town's front: seeds, equal bytes, where it lies, where cameras stand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pyproj import Transformer
from towns import town

from cross_view_localizer.geo import MapFrame
from training.town.place import place_town
from training.town.seeds import RANGES, check_training_seed, split_of
from training.town.town import Town


def test_same_seed_gives_the_same_bytes() -> None:
    first, second = Town(11), Town(11)
    pose = first.poses(1)[0]
    assert first.poses(1) == second.poses(1)
    assert first.aerial.tobytes() == second.aerial.tobytes()
    for view, width in (("pinhole", 240), ("panorama", 320)):
        a = first.render(pose, view, width, 160, "demo", 4)  # type: ignore[arg-type]
        b = second.render(pose, view, width, 160, "demo", 4)  # type: ignore[arg-type]
        assert a.image.tobytes() == b.image.tobytes()
        assert (a.true_rotation == b.true_rotation).all()


def test_another_seed_stream_or_index_gives_another_picture() -> None:
    pose = town().poses(1)[0]
    base = town().render(pose, "pinhole", 60, 40, "train", 0).image
    assert (town().render(pose, "pinhole", 60, 40, "train", 1).image != base).any()
    assert (town().render(pose, "pinhole", 60, 40, "test", 0).image != base).any()
    assert town().poses(3) != Town(11).poses(3)


@pytest.mark.parametrize("split", RANGES)
def test_only_training_seeds_may_be_trained_on(split: str) -> None:
    seeds = RANGES[split]  # type: ignore[index]
    for seed in (seeds[0], seeds[-1]):
        assert split_of(seed) == split
        if split == "train":
            check_training_seed(seed)
        else:
            with pytest.raises(ValueError, match=rf"{seed} is kept for {split}.*0 \.\.\. 99999"):
                check_training_seed(seed)


@pytest.mark.parametrize("seed", [-1, 100_050, 250_000, 399_999])
def test_a_seed_of_no_split_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=str(seed)):
        split_of(seed)


@pytest.mark.parametrize("seed", range(12))
def test_the_aerial_grid_is_utm_with_a_degree_of_convergence(seed: int) -> None:
    place = place_town(seed)
    assert 1.0 <= abs(math.degrees(place.grid.up) - 90) <= 3.5
    to_wgs84 = Transformer.from_crs(place.epsg, 4326)
    frame = MapFrame(place.datum)
    corners = np.array([(0, 0), (1599, 0), (0, 1599), (1599, 1599), (700.25, 3.5)])
    east = place.corner[0] + (corners[:, 0] + 0.5) * 0.2
    north = place.corner[1] - (corners[:, 1] + 0.5) * 0.2
    xy = frame.to_map(*to_wgs84.transform(east, north))
    assert np.abs(xy - place.grid.pixel_to_map(corners)).max() < 1e-3


def test_streets_point_everywhere() -> None:
    from training.town.seeds import stream
    from training.town.streets import network

    angles = []
    for seed in range(40):
        lines = [s.line for s in network(stream(seed, "streets"), 160.0) if s.main]
        angles.append(math.atan2(*lines[0].tangents[len(lines[0].tangents) // 2][::-1]))
    # mean resultant length of 40 uniform angles: above 0.45 about once in 3000
    assert abs(np.exp(1j * np.array(angles)).mean()) < 0.45


def test_poses_keep_their_distances_and_a_quarter_leaves_the_plain_road() -> None:
    poses = town().poses(40, "test", min_distance=10.0)
    xy = np.array([(p.x, p.y) for p in poses])
    uv = town().grid.map_to_pixel(xy)
    to_edge = np.minimum(uv, 1599 - uv).min() * town().grid.gsd
    assert to_edge >= 70
    gaps = np.hypot(*(xy[:, None] - xy).transpose(2, 0, 1))
    assert gaps[~np.eye(40, dtype=bool)].min() >= 10
    assert sum(p.kind != "street" for p in poses) == 10


def test_plain_street_poses_drive_along_their_own_lane() -> None:
    world = town().world
    for pose in town().poses(60):
        if pose.kind != "street":
            continue
        best = min(
            world.streets, key=lambda s: np.hypot(*(s.line.points - (pose.x, pose.y)).T).min()
        )
        i = int(np.argmin(np.hypot(*(best.line.points - (pose.x, pose.y)).T)))
        along = best.line.tangents[i]
        way = np.sign(along @ [math.cos(pose.yaw), math.sin(pose.yaw)])
        left = np.array([-along[1], along[0]])
        lateral = float((np.array([pose.x, pose.y]) - best.line.points[i]) @ left)
        assert abs(lateral + way * world.hand * best.lane / 2) < 1.2
        assert abs(along @ [math.cos(pose.yaw), math.sin(pose.yaw)]) > math.cos(math.radians(12))


def test_too_many_poses_are_refused_with_their_number() -> None:
    with pytest.raises(ValueError, match=r"room for \d+ of 30 poses 60.0 m apart"):
        town().poses(30, min_distance=60.0)
