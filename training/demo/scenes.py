"""One frame as a picture: what the camera saw beside where the node thinks that it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import SatelliteMap
from training.demo.chain import HEATMAP
from training.demo.results import Floats, Frames, read_messages, stamp_of

RGB = NDArray[np.uint8]
SIDE = 60.0  # m of the map that are shown
HEIGHT = 320  # pixels of a picture
TRUTH, PRIOR, ANSWER, REFUSED = (255, 255, 255), (70, 130, 255), (60, 220, 90), (255, 60, 40)
ELLIPSE = 2.1460  # sqrt of the 90 % quantile of chi-square with two degrees of freedom
_SHIFT = 4  # fractional bits of OpenCV's coordinates


@dataclass(frozen=True)
class HeatmapCells:
    """A ~/heatmap as it was sent: values (H, W) 0 … 98, row 0 in the north, and where they lie."""

    values: NDArray[np.int8]
    grid: Grid


def read_heatmaps(recorded: Path) -> dict[int, HeatmapCells]:
    """Return the recorded heatmaps by stamp, ns."""
    return {stamp_of(m): _cells(m) for m in read_messages(recorded, HEATMAP)}


def read_images(drive: Path, topic: str) -> dict[int, RGB]:
    """Return the camera's images (H, W, 3), RGB, by stamp, ns."""
    return {
        stamp_of(m): np.asarray(m.data).reshape(m.height, m.width, 3)
        for m in read_messages(drive, topic)
    }


def _cells(message: Any) -> HeatmapCells:
    info = message.info
    values = np.asarray(message.data, np.int8).reshape(info.height, info.width)[::-1]
    x = info.origin.position.x + info.width * info.resolution / 2
    y = info.origin.position.y + info.height * info.resolution / 2
    return HeatmapCells(values, Grid(info.width, info.height, info.resolution, (x, y)))


class SceneMaker:
    """Draws frames of one drive."""

    def __init__(
        self,
        frames: Frames,
        images: dict[int, RGB],
        heatmaps: dict[int, HeatmapCells],
        world: SatelliteMap,
    ) -> None:
        self._frames, self._images, self._heatmaps, self._map = frames, images, heatmaps, world

    def scene(self, index: int) -> RGB:
        """Return frame ``index``: camera left, map right, a line of words below."""
        frames = self._frames
        image = self._images[int(frames.stamp[index])]
        width = round(image.shape[1] * HEIGHT / image.shape[0] / 2) * 2
        camera = cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_AREA)
        picture = np.hstack([camera, self.overlay(index)])
        bar = np.full((32, picture.shape[1], 3), 24, np.uint8)
        _write(bar, self._words(index), (8, 21))
        return np.vstack([picture, bar])

    def overlay(self, index: int) -> RGB:
        """Return the map around the vehicle, (HEIGHT, HEIGHT, 3), north up, with what was found."""
        frames = self._frames
        centre = frames.prior[index] if frames.has_prior[index] else frames.truth[index]
        grid = Grid(HEIGHT, HEIGHT, SIDE / HEIGHT, (float(centre[0]), float(centre[1])))
        picture = self._map.patch(grid).image.copy()
        cells = self._heatmaps.get(int(frames.stamp[index]))
        if cells is not None:
            picture = blended(picture, grid, cells)
        _pose(picture, grid, frames.truth[index], TRUTH)
        if frames.has_prior[index]:
            covariance = frames.prior_covariance[index]
            _ellipse(picture, grid, frames.prior[index], covariance, PRIOR)
        if frames.has_pose[index]:
            color = ANSWER if frames.ok[index] else REFUSED
            _ellipse(picture, grid, frames.pose[index], frames.covariance[index], color)
            mark(picture, grid, frames.pose[index], color)
        _scale_bar(picture, grid)
        return picture

    def _words(self, index: int) -> str:
        frames = self._frames
        seconds = (frames.stamp[index] - frames.stamp[0]) / 1e9
        words = [f"{seconds:5.1f} s"]
        truth = frames.truth[index, :2]
        if frames.has_prior[index]:
            words.append(f"prior {np.hypot(*(frames.prior[index, :2] - truth)):.1f} m off (blue)")
        if frames.has_pose[index]:
            sigma = np.sqrt(np.linalg.eigvalsh(frames.covariance[index, :2, :2])[-1])
            error = np.hypot(*(frames.pose[index, :2] - truth))
            color = "green" if frames.ok[index] else "red"
            words.append(f"localizer {error:.1f} m off, sigma {sigma:.1f} m ({color})")
        if not frames.ok[index]:
            words.append(f"refused: {frames.reason[index]}")
        return ", ".join([*words, "truth: white"])


def blended(picture: RGB, grid: Grid, cells: HeatmapCells) -> RGB:
    """Lay a heatmap over a picture of the map: the likelier, the less of the map shows."""
    anchors = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    source = cells.grid.map_to_pixel(grid.pixel_to_map(anchors))
    affine = np.column_stack([source[1] - source[0], source[2] - source[0], source[0]])
    values = cv2.warpAffine(
        np.clip(cells.values, 0, 98).astype(np.float32) / 98,
        affine,
        (grid.width, grid.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    colors = cv2.applyColorMap((values * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    alpha = 0.75 * np.sqrt(values)[..., None]
    return np.asarray((picture * (1 - alpha) + colors * alpha).astype(np.uint8))


def _points(grid: Grid, xy: Floats) -> NDArray[np.int32]:
    return np.round(grid.map_to_pixel(xy) * 2**_SHIFT).astype(np.int32)


def _ellipse(
    picture: RGB, grid: Grid, pose: Floats, covariance: Floats, color: tuple[int, int, int]
) -> None:
    """Draw the 90 % ellipse of a pose."""
    turn = np.linspace(0, 2 * np.pi, 61)
    root = np.linalg.cholesky(covariance[:2, :2] + 1e-9 * np.eye(2))
    ring = pose[:2] + ELLIPSE * np.stack([np.cos(turn), np.sin(turn)], axis=1) @ root.T
    cv2.polylines(picture, [_points(grid, ring)], True, color, 1, cv2.LINE_AA, _SHIFT)


def _pose(picture: RGB, grid: Grid, pose: Floats, color: tuple[int, int, int]) -> None:
    """Draw an arrowhead at a pose."""
    shape = np.array([[2.2, 0.0], [-1.2, 1.1], [-0.6, 0.0], [-1.2, -1.1]])
    c, s = np.cos(pose[2]), np.sin(pose[2])
    corners = _points(grid, pose[:2] + shape @ np.array([[c, s], [-s, c]]))
    cv2.fillPoly(picture, [corners], color, cv2.LINE_AA, _SHIFT)
    cv2.polylines(picture, [corners], True, (0, 0, 0), 1, cv2.LINE_AA, _SHIFT)


def mark(picture: RGB, grid: Grid, pose: Floats, color: tuple[int, int, int]) -> None:
    """Draw a dot at (x, y)."""
    centre = tuple(int(v) for v in _points(grid, pose[:2]))
    cv2.circle(picture, centre, 4 << _SHIFT, color, -1, cv2.LINE_AA, _SHIFT)
    cv2.circle(picture, centre, 4 << _SHIFT, (0, 0, 0), 1, cv2.LINE_AA, _SHIFT)


def _scale_bar(picture: RGB, grid: Grid) -> None:
    length = round(10 / grid.gsd)
    left, bottom = 10, grid.height - 12
    cv2.rectangle(picture, (left, bottom), (left + length, bottom + 3), (255, 255, 255), -1)
    _write(picture, "10 m", (left + length + 5, bottom + 5))


def _write(picture: RGB, text: str, at: tuple[int, int]) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (240, 240, 240), 1, cv2.LINE_AA)
