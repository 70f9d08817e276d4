"""Real pictures through the Localizer, each around many wrong priors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.estimate import Estimate, Frame
from cross_view_localizer.geo import RigidTransform
from cross_view_localizer.grid import Grid
from cross_view_localizer.localizer import Localizer, LocalizerConfig
from cross_view_localizer.map.satellite_map import SatelliteMap
from cross_view_localizer.models.weights import LoadedModel
from cross_view_localizer.prior.prior import Prior
from cross_view_localizer.views import View
from training.datasets.pair import RGB, Label
from training.measuring.records import Record, record

REACH = 12.0  # m: shifts are uniform within ± this, east and north
TURN = math.radians(5.0)  # and headings within ± this
# What the priors honestly state of these.
STD, YAW_STD = REACH / math.sqrt(3), TURN / math.sqrt(3)
MIN_COVERAGE = 0.15  # CVACT's 51 m do not fill a patch; what is missing counts as unknown

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """A real picture and where it was taken.

    Attributes:
        name: of the picture. group: of its set.
        image: (H, W, 3) RGB. camera, mount: of it; mount takes optical to ``base_link``.
        map: path of the aerial picture.
        truth: (x, y, yaw) of ``base_link`` in that map's frame.
    """

    name: str
    group: str
    image: RGB
    camera: Camera
    mount: RigidTransform
    map: Path
    truth: tuple[float, float, float]


def cut(scene: Scene, view: View) -> Scene:
    """Return a pinhole scene with its picture cut to a view's aspect ratio, about its middle: what
    is lost where a picture is cropped instead of padded.
    """
    height, width = scene.image.shape[:2]
    wide = min(width, round(height * view.ground_width / view.ground_height))
    high = min(height, round(width * view.ground_height / view.ground_width))
    left, top = (width - wide) // 2, (height - high) // 2
    assert scene.camera.matrix is not None
    matrix = scene.camera.matrix.copy()
    matrix[:2, 2] -= left, top
    camera = replace(scene.camera, width=wide, height=high, matrix=matrix)
    image = np.ascontiguousarray(scene.image[top : top + high, left : left + wide])
    return replace(scene, image=image, camera=camera)


@dataclass(frozen=True)
class Trial:
    """What came out for one scene: a record for every prior; the first one's estimate."""

    scene: Scene
    records: list[Record]
    first: Estimate


def drawn(random: np.random.Generator, scenes: int, count: int) -> Floats:
    """Return (scenes, count, 3) errors of priors: metres east and north, radians."""
    return random.uniform(-1, 1, (scenes, count, 3)) * (REACH, REACH, TURN)


def trials(
    scenes: Sequence[Scene],
    model: LoadedModel,
    errors: Floats,
    progress: Callable[[float], None],
    pictures: Sequence[Scene] | None = None,
) -> list[Trial]:
    """Ask the Localizer about every scene and prior.

    Args:
        errors: (scenes, n, 3) of the priors; see `drawn`.
        progress: is told the share that is done.
        pictures: whose pictures are shown; None: the scenes' own. Others make the control.
    """
    config = LocalizerConfig(min_coverage=MIN_COVERAGE, reuse_aerial=False)
    found = []
    for i, (scene, shown) in enumerate(zip(scenes, pictures or scenes, strict=True)):
        world = SatelliteMap.open(scene.map)
        localizer = Localizer(model, world, config)
        frame = Frame(shown.image, 0, shown.camera, shown.mount)
        records, first = [], None
        for j, error in enumerate(errors[i]):
            prior = _prior(scene, error)
            estimate = localizer.localize(frame, prior)
            first = first or estimate
            records.append(record(_label(scene, j, prior), estimate, float(error[2])))
            progress((i + (j + 1) / len(errors[i])) / len(scenes))
        world.close()
        assert first is not None
        found.append(Trial(scene, records, first))
    return found


def _prior(scene: Scene, error: Floats) -> Prior:
    x, y, yaw = (float(value) for value in np.add(scene.truth, error))
    return Prior(0, x, y, yaw, np.diag([STD**2, STD**2, YAW_STD**2]), 0.0, "sample", "sample")


def _label(scene: Scene, number: int, prior: Prior) -> Label:
    x, y, yaw = scene.truth
    assert prior.yaw is not None
    return Label(
        name=f"{scene.name}, prior {number + 1}",
        ground_file=Path(),
        aerial_file=scene.map,
        grid=Grid(512, 512, 2 * REACH / 512, (prior.x, prior.y)),
        position=(x, y),
        yaw=yaw,
        heading=prior.yaw,
        group=scene.name,  # frames of one picture are alike: intervals are over pictures
    )
