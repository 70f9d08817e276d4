"""A reader's rows as samples for one view: the dataset that training and evaluation load."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from cross_view_localizer.camera.resample import resized, rolled
from cross_view_localizer.grid import Grid
from cross_view_localizer.poses import seen_from
from cross_view_localizer.views import View
from training.datasets.augment import augment
from training.datasets.pair import DatasetError, GroundPicture, Label, Reader
from training.datasets.sample import Sample

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
        """Choose what `seed` draws: the same epoch gives the same samples, in any order or
        process.
        """
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
    """
    believed = label.heading + turn
    up = label.grid.up
    if view.heading_up:
        up = (label.heading if fit == "metric" else _nearest_side(up, label.heading)) + turn
    grid = heatmap_grid(label.grid, view, fit, up)
    azimuth = 0.0 if view.heading_up else believed
    given = reader.ground(label)
    ground = ground_picture(given, view, azimuth)
    earlier, motion = earlier_pictures(reader, label, given, view, azimuth)
    u, v = grid.map_to_pixel(label.position)
    middle = (grid.width - 1) / 2
    return Sample(
        aerial=reader.aerial(label, aerial_grid(grid, view)),
        ground=ground.image,
        intrinsics=np.eye(3) if ground.camera.matrix is None else ground.camera.matrix,
        rotation=ground.rotation,
        tilt=np.zeros(2),
        height=ground.height,
        offset=np.array([u - middle, v - middle]) * grid.gsd,
        yaw=_wrapped(label.yaw - grid.up if view.heading_up else label.yaw - believed),
        position=np.array(label.position, dtype=np.float64),
        heading=label.yaw,
        group=label.group,
        cell=grid.gsd,
        name=label.name,
        reference_point=label.reference_point,
        earlier=earlier,
        motion=motion,
        place=label.place,
    )


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


def aerial_grid(heatmap: Grid, view: View) -> Grid:
    """Return the grid of the aerial picture that belongs to a heatmap."""
    scale = heatmap.gsd / view.output_gsd
    x, y = heatmap.center
    ahead = view.aerial_ahead * scale
    center = (x + ahead * math.cos(heatmap.up), y + ahead * math.sin(heatmap.up))
    size = view.aerial_size
    return Grid(size, size, view.aerial_gsd * scale, center, heatmap.up)


def ground_picture(ground: GroundPicture, view: View, azimuth: float) -> GroundPicture:
    """Return the camera's picture at the view's size.

    Args:
        azimuth: for north-up views, of the panorama's middle column as the method is told: the
            panorama is rolled so that its middle looks north then.

    Raises:
        ValueError: where the camera is of another kind than the view's.
    """
    panorama = ground.camera.kind == "equirectangular"
    if panorama != (view.ground == "panorama"):
        raise ValueError(
            f"camera '{ground.camera.kind}': the model's view wants a {view.ground}; choose a "
            "model for this dataset's cameras"
        )
    image = resized(ground.image, (view.ground_width, view.ground_height))
    camera = ground.camera.resized(view.ground_width, view.ground_height)
    if panorama and not view.heading_up:
        image = rolled(image, _wrapped(NORTH - azimuth))
    return replace(ground, image=image, camera=camera)


def earlier_pictures(
    reader: Reader, label: Label, newest: GroundPicture, view: View, azimuth: float
) -> tuple[NDArray[np.uint8] | None, NDArray[np.float64] | None]:
    """Return the pictures before a row's, as `ground_picture` makes them, with their motions.

    Raises:
        DatasetError: fewer than the view needs; one line.
    """
    found = reader.earlier(label, view.frames - 1) if view.frames > 1 else ()
    if few := view.few_frames(1 + len(found)):
        raise DatasetError(f"{label.name}: {few}; this dataset's reader gives no more")
    if not found:
        return None, None
    pictures = [ground_picture(replace(newest, image=one), view, azimuth).image for one, _ in found]
    # All pictures are turned alike, and the frames that the motions are between with them.
    turned = view.ground == "panorama" and not view.heading_up
    turn = _wrapped(NORTH - azimuth) if turned else 0.0
    motions = [seen_from(motion, np.zeros(2), turn) for _, motion in found]
    return np.stack(pictures), np.array(motions)


def _nearest_side(up: float, heading: float) -> float:
    """Return ``up`` turned by the quarters that bring it nearest to the heading.

    A protocol may lay its square patch with the heading to the right (KITTI): same ground, no loss.
    """
    return up + round(_wrapped(heading - up) / (math.pi / 2)) * math.pi / 2


def _wrapped(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi
