"""Towns rendered once into a folder and mapped into memory from there, so that training many models
does not render the same pictures again. The folder is never committed and may be deleted.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cross_view_localizer.geo import Datum
from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import SatelliteMap
from training.datasets.aerial_source import AerialSource
from training.town import manifest
from training.town.drive import write_map
from training.town.editions import Edition
from training.town.poses import CameraPose
from training.town.shapes import Array, Picture
from training.town.town import GroundFrame, Town

FOLDER = Path("cache") / "town"
MAP = "map.tif"


@dataclass(frozen=True)
class Recipe:
    """What is rendered of a town.

    Attributes:
        ground: "panorama" or "pinhole"; width, height: of the view, pixels. Pinhole pictures of
            another aspect ratio than that just fit it.
        frames: how many.
        places: names the stream that poses are drawn from, unless they are given.
        stream: names the frames' own randomness (mountings, light, noise).
        light: number of a day whose light all frames share; None: each has its own.
        gsd: ground sampling distance that crops will have at least, metres.
        mapped: also write the aerial picture as the GeoTIFF that a vehicle would be given.
        edition: of the town.
        whole: pinhole pictures lie within the view; otherwise they fill it.
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
    edition: Edition = "town-v1"
    whole: bool = False


@dataclass(frozen=True)
class Rendered:
    """One town as it lies in the cache.

    Attributes:
        folder: of its files; aerial: crops of its aerial picture.
        grounds: (frames, height, width, 3) uint8 RGB, mapped; smaller pictures in the top left.
        poses: (frames, 3) x, y, yaw in ``map``.
        cameras: (frames, 28 or 34) see `Calibrated`.
        datum: of ``map``.
    """

    folder: Path
    aerial: AerialSource
    grounds: NDArray[np.uint8]
    poses: NDArray[np.float64]
    cameras: NDArray[np.float64]
    datum: Datum


class Calibrated(NamedTuple):
    """A frame's camera as its calibration says, and as it is: see `GroundFrame`.

    Attributes:
        matrix, rotation, true_rotation: (3, 3).
        height, true_height: metres.
        size: (width, height) of the picture.
        moved: forward and left, metres, and yaw, radians.
    """

    matrix: Array
    rotation: Array
    height: float
    true_rotation: Array
    true_height: float
    size: tuple[int, int]
    moved: tuple[float, float, float]

    @classmethod
    def of(cls, row: Array, size: tuple[int, int]) -> Calibrated:
        """Read a row of `Rendered.cameras`; ``size`` is a picture's where the row has none."""
        matrix, rotation, true = (row[k : k + 9].reshape(3, 3) for k in (0, 9, 19))
        height, moved = float(row[18]), (0.0, 0.0, 0.0)
        if len(row) == _STATED:
            return cls(matrix, rotation, height, true, height, size, moved)
        true_height, width, tall, *moves = row[_STATED:].tolist()
        forward, left, yaw = moves
        size = (int(width), int(tall))
        return cls(matrix, rotation, height, true, true_height, size, (forward, left, yaw))


_STATED = 28  # numbers of a camera of which nothing but its turn is misstated


def _row(frame: GroundFrame) -> Array:
    """Return what `Calibrated` reads."""
    height, width = frame.image.shape[:2]
    stated = [frame.intrinsics.ravel(), frame.rotation.ravel(), [frame.height]]
    true = [frame.true_rotation.ravel(), [frame.true_height, width, height], frame.moved]
    return np.concatenate([*stated, *true])


def _stack(images: Sequence[Picture]) -> Picture:
    """Return pictures as one array, smaller ones in the top left corners of black ones."""
    shape = np.max([image.shape for image in images], axis=0)
    stack = np.zeros((len(images), *shape), np.uint8)
    for whole, image in zip(stack, images, strict=True):
        whole[: image.shape[0], : image.shape[1]] = image
    return stack


def folder_of(cache: Path, recipe: Recipe, seed: int) -> Path:
    """Return where a town lies: one folder per recipe and seed.

    town-v1 is fixed. Later editions' folders also carry a digest of their manifest, which holds
    digests of pictures: what was rendered before a change is not taken for what is made now.
    """
    named = asdict(recipe)
    edition, whole = named.pop("edition"), named.pop("whole")
    text = "-".join(str(value) for value in named.values())
    name = f"{edition}-{text}{'-whole' * whole}"
    listed = manifest.path_of(edition)
    if edition != "town-v1" and listed.is_file():
        name += f"-{hashlib.sha256(listed.read_bytes()).hexdigest()[:8]}"
    return cache / name / str(seed)


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
    town = Town(seed, recipe.edition)
    poses = given if given is not None else town.poses(recipe.frames, recipe.places)
    source = AerialSource(town.aerial, town.grid, recipe.gsd)
    frames = [_frame(town, pose, recipe, index) for index, pose in enumerate(poses)]
    target = folder_of(cache, recipe, seed)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{seed}-"))
    np.save(part / "aerial.npy", source.image)
    np.save(part / "grounds.npy", _stack([frame.image for frame in frames]))
    np.save(part / "poses.npy", np.array([(p.x, p.y, p.yaw) for p in poses]))
    numbers = _STATED if recipe.edition == "town-v1" else None
    np.save(part / "cameras.npy", np.array([_row(frame)[:numbers] for frame in frames]))
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


def _frame(town: Town, pose: CameraPose, recipe: Recipe, index: int) -> GroundFrame:
    """Render a frame as large as its camera gives it to the recipe's view."""
    rig = town.rig(recipe.ground, recipe.stream, index)
    size = rig.picture(recipe.width, recipe.height, recipe.whole)
    return town.render(
        pose, recipe.ground, *size, stream=recipe.stream, index=index, rig=rig, light=recipe.light
    )


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
