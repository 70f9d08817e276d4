"""Towns rendered once into a folder and mapped into memory from there, so that training many models
does not render the same pictures again. The folder is never committed and may be deleted.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cross_view_localizer.geo import Datum
from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import SatelliteMap
from training.datasets.aerial_source import AerialSource
from training.town.drive import write_map
from training.town.manifest import VERSION
from training.town.poses import CameraPose
from training.town.town import Town

FOLDER = Path("cache") / "town"
MAP = "map.tif"


@dataclass(frozen=True)
class Recipe:
    """What is rendered of a town.

    Attributes:
        ground: "panorama" or "pinhole"; width, height: of the ground pictures, pixels.
        frames: how many.
        places: names the stream that poses are drawn from, unless they are given.
        stream: names the frames' own randomness (mountings, light, noise).
        light: number of a day whose light all frames share; None: each has its own.
        gsd: ground sampling distance that crops will have at least, metres.
        mapped: also write the aerial picture as the GeoTIFF that a vehicle would be given.
    """

    ground: Literal["panorama", "pinhole"] = "panorama"
    width: int = 192
    height: int = 96
    frames: int = 60
    places: str = "train"
    stream: str = "train"
    light: int | None = None
    gsd: float = 0.5
    mapped: bool = False


@dataclass(frozen=True)
class Rendered:
    """One town as it lies in the cache.

    Attributes:
        folder: of its files; aerial: crops of its aerial picture.
        grounds: (frames, height, width, 3) uint8 RGB, mapped.
        poses: (frames, 3) x, y, yaw in ``map``.
        cameras: (frames, 28) K, optical-to-levelled rotation (row by row) and height as calibrated,
            and the true rotation.
        datum: of ``map``.
    """

    folder: Path
    aerial: AerialSource
    grounds: NDArray[np.uint8]
    poses: NDArray[np.float64]
    cameras: NDArray[np.float64]
    datum: Datum


def folder_of(cache: Path, recipe: Recipe, seed: int) -> Path:
    """Return where a town lies: one folder per recipe and seed."""
    text = "-".join(str(value) for value in asdict(recipe).values())
    return cache / f"{VERSION}-{text}" / str(seed)


def prepare(
    cache: Path,
    recipe: Recipe,
    poses: dict[int, Sequence[CameraPose] | None],
    workers: int = 1,
) -> None:
    """Render the towns that are not there yet.

    Args:
        poses: seed → where the cameras stand; None draws ``recipe.frames`` poses.
        workers: processes.
    """
    jobs = [
        (cache, recipe, seed, given)
        for seed, given in poses.items()
        if not folder_of(cache, recipe, seed).is_dir()
    ]
    if not jobs:
        return
    with tqdm(total=len(jobs), desc="rendering towns", unit="town", disable=None) as bar:
        if workers < 2:
            for job in jobs:
                _render(job)
                bar.update()
            return
        # A forked worker inherits OpenCV's thread pool without its threads, and hangs.
        with get_context("spawn").Pool(workers) as pool:
            for _ in pool.imap_unordered(_render, jobs):
                bar.update()


def _render(job: tuple[Path, Recipe, int, Sequence[CameraPose] | None]) -> None:
    """Render one town into its folder, which appears whole or not at all."""
    cache, recipe, seed, given = job
    cv2.setNumThreads(1)
    town = Town(seed)
    poses = given if given is not None else town.poses(recipe.frames, recipe.places)
    source = AerialSource(town.aerial, town.grid, recipe.gsd)
    frames = [
        town.render(
            pose,
            recipe.ground,
            recipe.width,
            recipe.height,
            stream=recipe.stream,
            index=index,
            light=recipe.light,
        )
        for index, pose in enumerate(poses)
    ]
    target = folder_of(cache, recipe, seed)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{seed}-"))
    np.save(part / "aerial.npy", source.image)
    np.save(part / "grounds.npy", np.stack([frame.image for frame in frames]))
    np.save(part / "poses.npy", np.array([(p.x, p.y, p.yaw) for p in poses]))
    matrices = [np.asarray(f.intrinsics, dtype=np.float64).ravel() for f in frames]
    rows = [
        np.concatenate([k, f.rotation.ravel(), [f.height], f.true_rotation.ravel()])
        for k, f in zip(matrices, frames, strict=True)
    ]
    np.save(part / "cameras.npy", np.array(rows))
    about: dict[str, Any] = {"grid": asdict(source.grid), "datum": asdict(town.datum)}
    (part / "about.json").write_text(json.dumps(about))
    if recipe.mapped:
        write_map(part / MAP, town)
    try:
        os.replace(part, target)
    except OSError:  # another process made it meanwhile
        shutil.rmtree(part)
        if not target.is_dir():
            raise


@lru_cache(maxsize=4)
def open_map(folder: Path) -> SatelliteMap:
    """Open the GeoTIFF of a town that was rendered with one."""
    return SatelliteMap.open(folder / MAP)


@lru_cache(maxsize=1024)
def open_town(folder: Path) -> Rendered:
    """Map a rendered town into memory."""
    about = json.loads((folder / "about.json").read_text())
    grid = about["grid"] | {"center": tuple(about["grid"]["center"])}
    source = AerialSource(np.load(folder / "aerial.npy", mmap_mode="r"), Grid(**grid), 0.0)
    return Rendered(
        folder,
        source,
        np.load(folder / "grounds.npy", mmap_mode="r"),
        np.load(folder / "poses.npy"),
        np.load(folder / "cameras.npy"),
        Datum(**about["datum"]),
    )
