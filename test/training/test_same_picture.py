"""Training's pictures are the node's: of the same camera picture the model is given the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from localizer_world import flat_world, mounting, prior_at
from torch import Tensor

from cross_view_localizer.belief.calibration import Calibration
from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.estimate import Frame
from cross_view_localizer.geo import RigidTransform
from cross_view_localizer.localizer import Localizer, LocalizerConfig
from cross_view_localizer.map.satellite_map import SatelliteMap
from cross_view_localizer.models.contract import CrossViewModel, GroundInput, Scores
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.views import View
from training.datasets.ford import FordReader
from training.datasets.kitti import KittiReader
from training.datasets.own import OwnReader
from training.datasets.pair import Reader
from training.datasets.pairs import PairDataset
from training.datasets.sample import collate
from training.town.layouts import ford, kitti, own

FRONT = View("pinhole", 240, 160, 64, 1.0, 48, 1.0, estimates_heading=True)
VIEWS = {
    "cropped": FRONT,
    "stretched": View("pinhole", 240, 160, 64, 1.0, 48, 1.0, stretch=True),
    "padded": View("pinhole", 288, 160, 64, 1.0, 48, 1.0, pad=True),
    "padded at the sides": View("pinhole", 240, 60, 64, 1.0, 48, 1.0, pad=True),
    "ahead": View("pinhole", 321, 119, 64, 1.0, 48, 1.0, aerial_ahead=10.0),
}
PANORAMAS = {
    "heading-up": View("panorama", 200, 100, 64, 1.0, 48, 1.0),
    "north-up": View("panorama", 200, 100, 64, 1.0, 48, 1.0, heading_up=False),
}


class Recorder(CrossViewModel):
    """Keeps what it is given, and says nothing of it."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view

    def encode_aerial(self, image: Tensor) -> Tensor:
        self.aerial = image
        return image

    def encode_ground(self, ground: GroundInput) -> Tensor:
        self.ground = ground
        return ground.image

    def match(self, aerial: Tensor, ground: Tensor) -> Scores:
        cells = self.view.output_size**2
        flat = torch.full((1, 1, *(self.view.output_size,) * 2), -math.log(cells))
        return Scores(flat, torch.zeros(1))


@dataclass
class Dataset:
    """A reader, and the same camera as a node would know it.

    Attributes:
        camera: as in its CameraInfo; mount: of the camera in base_link, from the vehicle's files.
        azimuth: of the camera in base_link.
        map: that the node has; None for any.
    """

    reader: Reader
    camera: Camera
    mount: RigidTransform
    base_height: float = 0.0
    azimuth: float = 0.0
    map: Path | None = None


def noise(*given: Any) -> np.ndarray:
    width, height = given[3]
    return np.random.default_rng(given[-1]).integers(0, 256, (height, width, 3), np.uint8)


def of_kitti(root: Path) -> Dataset:
    kitti.write(root, frames=2)
    text = next((root / "raw_data").glob("*/calib_cam_to_cam.txt")).read_text()
    said = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    projection = np.array(said["P_rect_02"].split(), dtype=float).reshape(3, 4)
    width, height = (int(float(value)) for value in said["S_rect_02"].split())
    reader = KittiReader(root, "test2")
    camera = Camera("pinhole", width, height, projection[:, :3])
    return Dataset(reader, camera, mounting(1.08, -0.26, 1.65))


def of_ford(root: Path) -> Dataset:
    ford.write(root)
    reader = FordReader(root, "test", rows="all", log=(4, 5))
    camera = Camera("pinhole", *ford.SIZE, ford.MATRIX)
    x, y, z = ford.TRANSLATION  # of a body whose y points right and z down
    # TURN is to the right there.
    return Dataset(reader, camera, mounting(x, -y, -z, yaw=-ford.TURN), 1.0, -ford.TURN)


def of_own(root: Path) -> Dataset:
    size, fov = (640, 360), 90.0
    own.write(root, frames=2, camera="pinhole", size=size, fov=fov)
    options: dict[str, Any] = {"camera": "pinhole", "fov": fov, "pitch": -4.0, "roll": 1.5}
    reader = OwnReader(root / own.LIST, root / own.RASTER, "all", **options)
    focal, middle = 320.0, ((size[0] - 1) / 2, (size[1] - 1) / 2)
    matrix = np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1]])
    body = RigidTransform.from_euler((0, 0, 1.5), (math.radians(1.5), math.radians(4.0), 0))
    mount = body @ RigidTransform(mounting(0, 0, 0).rotation, np.zeros(3))
    return Dataset(reader, Camera("pinhole", *size, matrix), mount, map=root / own.RASTER)


def of_own_panoramas(root: Path) -> Dataset:
    own.write(root, frames=2, size=(800, 400))
    reader = OwnReader(root / own.LIST, root / own.RASTER, "all", pitch=3.0)
    camera = Camera("equirectangular", 800, 400)
    mount = mounting(0, 0, 1.5, pitch=math.radians(-3.0))
    return Dataset(reader, camera, mount, map=root / own.RASTER)


MADE: dict[str, Callable[[Path], Dataset]] = {
    "kitti": of_kitti, "ford": of_ford, "own": of_own, "own panoramas": of_own_panoramas
}  # fmt: skip


@pytest.fixture(scope="module", params=MADE)
def dataset(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    with pytest.MonkeyPatch.context() as patch:
        for layout in (kitti, ford):
            patch.setattr(layout, "camera_picture", noise)
        yield MADE[request.param](tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def anywhere(tmp_path_factory: pytest.TempPathFactory) -> SatelliteMap:
    return flat_world(tmp_path_factory.mktemp("world")).satellite_map


def test_the_model_is_given_the_same_in_training_and_on_the_vehicle(
    dataset: Dataset, anywhere: SatelliteMap
) -> None:
    reader, camera = dataset.reader, dataset.camera
    views = PANORAMAS if camera.kind == "equirectangular" else VIEWS
    own_map = dataset.map and SatelliteMap.open(dataset.map)
    for name, view in views.items():
        trained = collate([PairDataset(reader, view, "metric")[0]])
        label = reader.label(0)
        model = Recorder(view)
        config = LocalizerConfig(
            device="cpu", warm_up=False, base_height=dataset.base_height, min_coverage=0.0
        )
        loaded = LoadedModel(model, "recorder", {}, Calibration(), {}, "recorder")
        localizer = Localizer(loaded, own_map or anywhere, config)
        yaw = label.heading - dataset.azimuth
        lever = dataset.mount.translation[:2]
        c, s = math.cos(yaw), math.sin(yaw)
        x, y = label.grid.center if own_map else (0.0, 0.0)
        prior = prior_at(x - c * lever[0] + s * lever[1], y - s * lever[0] - c * lever[1], yaw, 3.0)
        frame = Frame(reader.ground(label).image, prior.stamp, camera, dataset.mount)
        estimate = localizer.localize(frame, prior)
        assert estimate.heatmap is not None, estimate.detail
        told = dict(zip(GroundInput._fields, model.ground, strict=True))
        for what, value in zip(GroundInput._fields, trained.ground, strict=True):
            if value is None:  # one frame, or all of it picture
                assert told[what] is None
                continue
            pixels = what in ("image", "mask")
            exact = {"rtol": 0, "atol": 0} if pixels else {"rtol": 1e-6, "atol": 2e-6}
            where = f"{name} {what}"
            torch.testing.assert_close(value.float(), told[what], msg=where, **exact)
        if own_map:
            assert (trained.aerial.float() - model.aerial).abs().max() <= 1, name


def test_a_cropped_picture_has_square_pixels_and_a_stretched_one_shows_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kitti, "camera_picture", noise)
    dataset = of_kitti(tmp_path)
    matrix = dataset.camera.matrix
    assert matrix is not None
    cropped, stretched = (
        PairDataset(dataset.reader, VIEWS[name], "metric")[0].intrinsics
        for name in ("cropped", "stretched")
    )
    assert cropped[0, 0] == pytest.approx(cropped[1, 1], rel=0.01)
    assert cropped[1, 1] == pytest.approx(matrix[1, 1] * 160 / dataset.camera.height, rel=0.01)
    scale = 240 / dataset.camera.width, 160 / dataset.camera.height
    np.testing.assert_allclose(np.diag(stretched)[:2], np.diag(matrix)[:2] * scale)
