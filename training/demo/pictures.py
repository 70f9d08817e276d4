"""The demo's pictures: the track on the map, frames beside their heatmaps, and a short video."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import SatelliteMap
from training.demo.results import Frames
from training.demo.scenes import RGB, SceneMaker

matplotlib.use("agg")
AROUND = 25.0  # m of map around the track
VIDEO_RATE = 6.0  # frames per second: twice as fast as the drive


class PictureError(RuntimeError):
    """A picture that could not be written; its text is one line for the user."""


def draw_track(path: Path, frames: Frames, world: SatelliteMap) -> None:
    """Draw truth, priors and answers (where the camera is) on the map."""
    truth = frames.camera(frames.truth)
    low, high = truth.min(axis=0) - AROUND, truth.max(axis=0) + AROUND
    gsd = max(*(high - low)) / 1000
    columns, rows = (int(v) for v in np.ceil((high - low) / gsd))
    grid = Grid(columns, rows, gsd, (float((low + high)[0] / 2), float((low + high)[1] / 2)))
    figure = Figure(figsize=(10, 9.4 * rows / columns + 0.6))
    axes = figure.add_axes((0.08, 0.06, 0.9, 0.92))
    half = np.array(grid.extent) / 2
    x, y = grid.center
    extent = (x - half[0], x + half[0], y - half[1], y + half[1])
    axes.imshow(world.patch(grid).image, extent=extent, alpha=0.75)
    axes.plot(*truth.T, color="white", linewidth=2, label="truth", zorder=2)
    prior = frames.camera(frames.prior)
    axes.plot(*prior.T, ".", color="#4682ff", markersize=5, label="prior (GNSS, odometry)")
    found = frames.camera(frames.pose)
    held = frames.has_pose & ~frames.ok
    for chosen, color, label in ((frames.ok, "#1fbf4f", "localizer"), (held, "#ff3c28", "refused")):
        if chosen.any():
            axes.plot(*found[chosen].T, "o", color=color, markersize=4, label=label, zorder=4)
            ends = np.stack([found[chosen], truth[chosen]], axis=1)
            for pair in ends:
                axes.plot(*pair.T, color=color, linewidth=0.7, zorder=3)
    axes.set(xlabel="east, m", ylabel="north, m", xlim=extent[:2], ylim=extent[2:])
    axes.legend(loc="upper right")
    _save(path, lambda part: figure.savefig(part, dpi=110, format="png"))


def telling_frames(frames: Frames) -> list[int]:
    """Return the frames at 10, 50 and 90 % of the error and the worst; without poses the first."""
    answered = np.flatnonzero(frames.has_pose)
    if len(answered) == 0:
        return [0]
    errors = np.hypot(*(frames.pose[answered, :2] - frames.truth[answered, :2]).T)
    order = answered[np.argsort(errors, kind="stable")]
    at = [round(share * (len(order) - 1)) for share in (0.1, 0.5, 0.9, 1.0)]
    return list(dict.fromkeys(int(order[i]) for i in at))


def draw_frames(path: Path, frames: Frames, scenes: SceneMaker) -> None:
    """Draw the telling frames, one under the other."""
    write_png(path, np.vstack([scenes.scene(i) for i in telling_frames(frames)]))


def write_png(path: Path, picture: RGB) -> None:
    """Write an RGB picture (H, W, 3)."""

    def save(part: Path) -> None:
        done, data = cv2.imencode(".png", picture[..., ::-1])
        if not done:
            raise PictureError(f"can't encode {path}")
        part.write_bytes(data.tobytes())

    _save(path, save)


def write_video(
    path: Path, count: int, scene: Callable[[int], RGB], progress: Callable[[float], None]
) -> None:
    """Write ``count`` scenes as an MP4.

    Raises:
        PictureError: where OpenCV has no encoder, or the file does not read back whole.
    """
    first = scene(0)
    height, width = first.shape[0] // 2 * 2, first.shape[1] // 2 * 2

    def save(part: Path) -> None:
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(part), fourcc, VIDEO_RATE, (width, height))
        for i in range(count):
            picture = first if i == 0 else scene(i)
            writer.write(np.ascontiguousarray(picture[:height, :width, ::-1]))
            progress((i + 1) / count)
        writer.release()
        if count_frames(part) != count:
            raise PictureError(f"can't write {path}: this OpenCV has no MP4 encoder")

    _save(path, save)


def count_frames(path: Path) -> int:
    """Return how many frames a video holds."""
    video, frames = cv2.VideoCapture(str(path)), 0
    while video.grab():
        frames += 1
    video.release()
    return frames


def _save(path: Path, save: Callable[[Path], None]) -> None:
    """Let ``save`` write a file beside ``path``, then move it there."""
    part = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        save(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
