"""Contact sheets of every edition beside real pictures, and figures of how they look.

``python -m training.town.sheet --out DIR [--real DIR]`` writes one sheet of front pictures, one of
panoramas and one of aerial pictures (0.5 m per pixel) for each edition and for the real samples,
and prints for each kind the mean colour, the shares of clipped and of dark pixels, the contrast and
the energy of details: deviation of brightness from its own Gaussian blur of one pixel.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.grid import Grid
from training.datasets.aerial_source import AerialSource
from training.town.editions import EDITIONS, Edition
from training.town.shapes import Picture
from training.town.town import Town

GSD = 0.5
AERIAL_SIDE = 160
SIZES: dict[Literal["pinhole", "panorama"], tuple[int, int]] = {
    "pinhole": (288, 160),
    "panorama": (400, 200),
}
REAL_AERIAL = (
    ("cvact/*_sat.png", 0.20),
    ("kitti_drive_0002/aerial.png", 0.1959),
    ("vigor_seattle/*_sat.png", 0.1008),
)
REAL_CAMERA = {
    "pinhole": ("kitti_drive_0002/2011*.png",),
    "panorama": ("cvact/*_grd.png", "vigor_seattle/*_pano.png"),
}


def figures(picture: NDArray[np.uint8]) -> list[float]:
    """Return mean R, G, B, clipped share, dark share, contrast and detail of one picture."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = luma - cv2.GaussianBlur(luma, (0, 0), 1.0)
    shares = [(picture.max(-1) >= 253).mean(), (luma < 25).mean()]
    return [*picture.reshape(-1, 3).mean(0), *shares, luma.std(), detail.std()]


def report(name: str, pictures: list[NDArray[np.uint8]]) -> str:
    """Return one line: medians over ``pictures``, and the detail's range of 10 to 90 %."""
    f = np.array([figures(p) for p in pictures])
    m = np.median(f, axis=0)
    low, high = np.quantile(f[:, 6], [0.1, 0.9])
    clipped, dark = 100 * f[:, 3].mean(), 100 * f[:, 4].mean()
    return (
        f"{name:<24} {len(f):3d} RGB {m[0]:3.0f} {m[1]:3.0f} {m[2]:3.0f}  clipped {clipped:4.1f} % "
        f"dark {dark:4.1f} %  contrast {m[5]:4.1f}  detail {m[6]:4.1f} ({low:.1f} ... {high:.1f})"
    )


def _aerial(image: Picture, grid: Grid, corner: tuple[float, float]) -> NDArray[np.uint8]:
    side = min(AERIAL_SIDE, int(min(grid.width, grid.height) * grid.gsd / GSD))
    target = Grid(side, side, GSD, corner, grid.up)
    return AerialSource(image, grid, GSD).crop(target)


def town_pictures(edition: Edition, towns: int) -> dict[str, list[NDArray[np.uint8]]]:
    """Return front pictures, panoramas and aerial pictures of the first training towns."""
    out: dict[str, list[NDArray[np.uint8]]] = {"pinhole": [], "panorama": [], "aerial": []}
    for seed in range(towns):
        town = Town(seed, edition)
        out["aerial"].append(_aerial(town.aerial, town.grid, (0.0, 0.0)))
        for index, pose in enumerate(town.poses(2)):
            for view, size in SIZES.items():
                out[view].append(town.render(pose, view, *size, index=index).image)
    return out


def _read(root: Path, pattern: str) -> Iterator[NDArray[np.uint8]]:
    for path in sorted(root.glob(pattern)):
        yield cast("NDArray[np.uint8]", cv2.imread(str(path)))[..., ::-1].copy()


def real_pictures(root: Path) -> dict[str, list[NDArray[np.uint8]]]:
    """Return what lies under ``root``, in the sizes of the town's pictures."""
    out: dict[str, list[NDArray[np.uint8]]] = {"aerial": []}
    for view, patterns in REAL_CAMERA.items():
        width = SIZES[view][0]  # type: ignore[index]
        pictures = [p for pattern in patterns for p in _read(root, pattern)]
        out[view] = [
            np.asarray(
                cv2.resize(
                    p, (width, width * p.shape[0] // p.shape[1]), interpolation=cv2.INTER_AREA
                )
            )
            for p in pictures
        ]
    for pattern, gsd in REAL_AERIAL:
        for image in _read(root, pattern):
            grid = Grid(image.shape[1], image.shape[0], gsd, (0.0, 0.0))
            out["aerial"].append(_aerial(image, grid, (0.0, 0.0)))
    return out


def sheet(pictures: list[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    """Return the pictures in rows, each at the top left of a cell as large as the largest."""
    height, width = (max(p.shape[i] for p in pictures) for i in (0, 1))
    rows = -(-len(pictures) // columns)
    out = np.zeros((rows * (height + 4), columns * (width + 4), 3), np.uint8)
    for i, p in enumerate(pictures):
        v, u = i // columns * (height + 4), i % columns * (width + 4)
        out[v : v + p.shape[0], u : u + p.shape[1]] = p
    return out


def main(arguments: list[str] | None = None) -> int:
    """Write the sheets and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m training.town.sheet", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the sheets")
    parser.add_argument("--real", type=Path, help="folder with real samples")
    parser.add_argument("--towns", type=int, default=12, help="towns of each edition")
    parser.add_argument("--editions", nargs="*", choices=EDITIONS, default=EDITIONS)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    sets = {e: town_pictures(e, options.towns) for e in options.editions}
    if options.real is not None:
        sets["real"] = real_pictures(options.real)
    for view in ("pinhole", "panorama", "aerial"):
        for name, pictures in sets.items():
            if not pictures[view]:
                continue
            print(report(f"{view} {name}", pictures[view]))
            columns = {"pinhole": 4, "panorama": 3, "aerial": 6}[view]
            path = options.out / f"{view}_{name}.png"
            cv2.imwrite(str(path), sheet(pictures[view], columns)[..., ::-1])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
