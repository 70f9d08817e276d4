"""A reader's rows as samples for one view: the dataset that training and evaluation load."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from cross_view_localizer.camera.camera import Camera
from cross_view_localizer.camera.view_maker import ViewMaker
from cross_view_localizer.geo import RigidTransform
from cross_view_localizer.grid import Grid
from cross_view_localizer.map.search import aerial_grid
from cross_view_localizer.poses import seen_from
from cross_view_localizer.views import View
from training.datasets.augment import augment
from training.datasets.pair import RGB, DatasetError, Label, Reader
from training.datasets.sample import Sample, tilt_between

NORTH = math.pi / 2
Fit = Literal["tile", "metric"]


class PairDataset(Dataset[Sample]):
    """Samples of a reader.

    Args:
        reader: a split of a dataset.
        view: the pictures that the model wants.
        fit: "tile" resizes the protocol's aerial patch to the view's size whatever its resolution,
            as the papers do; "metric" cuts the view's own square, at the view's metres per pixel,
            about the patch's centre.
        seed: of what training draws anew; None gives the fixed rows of validation and test.
        vary: also vary the light and mirror half of the samples, as our own recipes do.
    """

    def __init__(
        self,
        reader: Reader,
        view: View,
        fit: Fit = "tile",
        seed: int | None = None,
        vary: bool = False,
    ) -> None:
        if vary and seed is None:
            raise ValueError("varied samples without a seed: expected a seed, or vary=False")
        self.reader, self.view, self.fit, self.seed, self.vary = reader, view, fit, seed, vary
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose what `seed` draws: an epoch's samples are the same in any order or process."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> Sample:
        if self.seed is None:
            return sample_of(self.reader, self.reader.label(index), self.view, self.fit)
        rng = np.random.default_rng([self.seed, self.epoch, index])
        sample = sample_of(self.reader, self.reader.label(index, rng), self.view, self.fit)
        return augment(sample, rng) if self.vary else sample


def sample_of(
    reader: Reader, label: Label, view: View, fit: Fit = "tile", turn: float = 0.0
) -> Sample:
    """Read a row's pictures and fit them to a view.

    Args:
        turn: error added to the heading that the method is told, radians, counter-clockwise: a
            north-up view gets its panorama turned by it, a heading-up view its aerial picture.

    Raises:
        DatasetError: pictures that can't be read, or a camera that can't give the view; one line.
    """
    up = picture_up(label, view, fit, turn)
    grid = heatmap_grid(label.grid, view, fit, up)
    ground = ground_view(reader, label, view, fit, turn)
    u, v = grid.map_to_pixel(label.position)
    middle = (grid.width - 1) / 2
    # Without panorama or heading-up picture nothing says what heading was told.
    told = up if view.ground == "pinhole" and not view.heading_up else label.heading + turn
    return Sample(
        aerial=reader.aerial(label, aerial_grid(grid, view)),
        ground=ground.image,
        intrinsics=ground.intrinsics,
        rotation=ground.rotation,
        tilt=ground.tilt,
        height=ground.height,
        height_error=ground.height_error,
        offset=np.array([u - middle, v - middle]) * grid.gsd,
        yaw=_wrapped(label.yaw - told),
        position=np.array(label.position, dtype=np.float64),
        heading=label.yaw,
        group=label.group,
        cell=grid.gsd,
        name=label.name,
        reference_point=label.reference_point,
        earlier=ground.earlier,
        motion=ground.motion,
        place=label.place,
        mask=ground.mask,
    )


def picture_up(label: Label, view: View, fit: Fit = "tile", turn: float = 0.0) -> float:
    """Return the up of the aerial picture that a method is given, radians; ``turn`` as above."""
    if not view.heading_up:
        return label.grid.up
    return turn + (
        label.heading if fit == "metric" else _nearest_side(label.grid.up, label.heading)
    )


class GroundView(NamedTuple):
    """A camera's picture as a view wants it, and those before; the fields are `Sample`'s."""

    image: RGB
    intrinsics: NDArray[np.float64]
    rotation: NDArray[np.float64]
    height: float
    tilt: NDArray[np.float64]
    height_error: float
    earlier: RGB | None
    motion: NDArray[np.float64] | None
    mask: NDArray[np.uint8] | None


def ground_view(
    reader: Reader, label: Label, view: View, fit: Fit = "tile", turn: float = 0.0
) -> GroundView:
    """Return a row's ground picture as the node would give it to the model; arguments as above.

    Raises:
        DatasetError: where the camera can't give the view, or the reader too few frames; one line.
    """
    ground = reader.ground(label)
    found = reader.earlier(label, view.frames - 1) if view.frames > 1 else ()
    if few := view.few_frames(1 + len(found)):
        raise DatasetError(f"{label.name}: {few}; this dataset's reader gives no more")
    ahead = _wrapped(picture_up(label, view, fit, turn) - label.heading - turn)
    try:
        maker = _maker(ground.camera, tuple(ground.rotation.ravel()), ground.height, view)
        image, rotation = maker.facing(ground.image, ahead)
        earlier = [maker.facing(picture, ahead)[0] for picture, _ in found]
    except ValueError as error:
        raise DatasetError(f"{label.name}: {error}") from None
    if view.ground == "pinhole" and not view.heading_up:
        ahead = 0.0  # as the rotation, motions keep to the camera's azimuth
    motions = [seen_from(motion, np.zeros(2), ahead) for _, motion in found]
    tilt = np.full(2, np.nan)
    if ground.true_rotation is not None:
        true = ground.true_rotation @ ground.rotation.T @ maker.rotation
        tilt = tilt_between(maker.rotation, true)
    known = ground.true_height
    return GroundView(
        image,
        maker.intrinsics,
        rotation,
        maker.height,
        tilt,
        math.nan if known is None else math.log(known / maker.height),
        np.stack(earlier) if earlier else None,
        np.array(motions) if motions else None,
        maker.mask,
    )


@lru_cache(maxsize=8)
def _maker(camera: Camera, rotation: tuple[float, ...], height: float, view: View) -> ViewMaker:
    """A camera's view, whose look-up tables cost more to make than to use."""
    mounting = RigidTransform(np.array(rotation).reshape(3, 3), np.array([0.0, 0.0, height]))
    return ViewMaker(camera, mounting, view)


def heatmap_grid(patch: Grid, view: View, fit: Fit, up: float) -> Grid:
    """Return the heatmap's grid for a protocol's patch."""
    scale = 1.0
    if fit == "tile":  # the patch fills the aerial picture, whatever metres that makes a pixel
        scale = patch.gsd * patch.width / (view.aerial_size * view.aerial_gsd)
    x, y = patch.center
    if fit == "tile":  # the aerial picture's middle is the patch's, the heatmap's lies behind
        behind = view.aerial_ahead * scale
        x, y = x - behind * math.cos(up), y - behind * math.sin(up)
    return Grid(view.output_size, view.output_size, view.output_gsd * scale, (x, y), up)


def _nearest_side(up: float, heading: float) -> float:
    """Return ``up`` turned by the quarters that bring it nearest to the heading.

    A protocol may lay its square patch with the heading to the right (KITTI): same ground, no loss.
    """
    return up + round(_wrapped(heading - up) / (math.pi / 2)) * math.pi / 2


def _wrapped(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi
