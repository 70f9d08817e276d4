"""The benchmark of each edition: which frames count, and what the prior says of each.

``python -m training.town.manifest --edition town-v1`` checks the committed file against the towns
that this machine makes; ``--write`` draws it anew. Geometry is compared to 1 mm, pictures byte by
byte: those may differ between versions of the libraries, which is said but is no failure.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from training.town.editions import EDITIONS, Edition
from training.town.poses import KINDS, CameraPose
from training.town.seeds import RANGES, Split, split_of, stream
from training.town.shapes import Array
from training.town.town import Town

FOLDER = Path(__file__).parent
SPLITS: tuple[Split, ...] = ("test", "validation", "calibration")
SETTINGS = {"frames": 40, "min_distance": 10.0, "half_prior": 18.0, "heading_degrees": 5.0}
TOLERANCE = 1e-3


class ManifestError(ValueError):
    """The file is not the benchmark that the code makes."""


@dataclass(frozen=True)
class BenchmarkFrame:
    """One frame that counts.

    Attributes:
        seed: the town.
        index: number of the frame; with the split's name it names the frame's own randomness:
            ``Town(seed, edition).render(pose, view, width, height, split, index)``.
        pose: the camera's true pose.
        prior: (x, y) of the prior, uniform over +-18 m in east and north around the truth.
        heading_error: prior heading minus true azimuth, radians, uniform over +-5 degrees.
    """

    seed: int
    index: int
    pose: CameraPose
    prior: tuple[float, float]
    heading_error: float


def path_of(edition: Edition) -> Path:
    """Return where an edition's manifest lies."""
    return FOLDER / f"{edition.replace('-', '_')}.json"


def _read(edition: Edition, path: Path | None = None) -> dict[str, Any]:
    path = path or path_of(edition)
    if not path.is_file():
        raise ManifestError(
            f"{path}: missing; `python -m training.town.manifest --edition {edition} --write` "
            "makes it"
        )
    try:
        data = cast("dict[str, Any]", json.loads(path.read_text()))
    except json.JSONDecodeError as error:
        raise ManifestError(f"{path}: not JSON ({error}); check the file out again") from None
    if data.get("version") != edition:
        raise ManifestError(f"{path}: version {data.get('version')!r}, expected {edition!r}")
    return data


def load(
    split: Split, edition: Edition = "town-v1", path: Path | None = None
) -> list[BenchmarkFrame]:
    """Return the frames of "test", "validation" or "calibration", towns one after the other.

    Args:
        path: of the manifest, else the committed one.

    Raises:
        ManifestError: where the file is missing, broken or of another version.
    """
    if split not in SPLITS:
        raise ManifestError(f"split {split!r}: the manifest has {', '.join(SPLITS)}")
    frames = []
    for town in _read(edition, path)["towns"]:
        if split_of(town["seed"]) != split:
            continue
        for index, (x, y, yaw, kind, east, north, turn) in enumerate(town["frames"]):
            pose = CameraPose(x, y, yaw, KINDS[kind])
            prior = (x + east, y + north)
            frames.append(BenchmarkFrame(town["seed"], index, pose, prior, turn))
    return frames


def fingerprint(town: Town) -> Array:
    """Return numbers that the whole geometry moves: counts, and coordinates in metres, (26,)."""
    world = town.world
    outlines = np.concatenate(world.soup.shapes)
    pick = np.linspace(0, len(outlines) - 1, 8).astype(int)
    blocks = np.array(world.built.blocks)[:, :2]
    spots = np.concatenate([outlines[pick], blocks[:: max(1, len(blocks) // 3)][:3]]).ravel()
    trees = world.furniture.trees
    counts = [len(world.streets), len(world.soup.shapes), len(blocks), len(trees)]
    return np.round(np.concatenate([counts, spots]), 5)


def _digest(town: Town, pose: CameraPose) -> dict[str, str]:
    """Hashes of the aerial picture and of the first frame in both views."""
    split = split_of(town.seed)
    pictures = {
        "aerial": town.aerial,
        "pinhole": town.render(pose, "pinhole", 240, 160, split, 0).image,
        "panorama": town.render(pose, "panorama", 320, 160, split, 0).image,
    }
    return {n: hashlib.sha256(p.tobytes()).hexdigest()[:16] for n, p in pictures.items()}


def _apart(town: Town) -> list[CameraPose]:
    """Draw poses as far apart as is asked for, or as a town of few streets has room for."""
    count, split = int(SETTINGS["frames"]), split_of(town.seed)
    for share in (1.0, 0.8, 0.6):
        with contextlib.suppress(ValueError):
            return town.poses(count, split, share * SETTINGS["min_distance"])
    return town.poses(count, split, 0.4 * SETTINGS["min_distance"])


def _frames(town: Town) -> list[list[float]]:
    """Draw poses and priors, rounded as they are stored: 0.1 mm and 1e-6 rad."""
    rng = stream(town.seed, "prior")
    rows = []
    for pose in _apart(town):
        east, north = rng.uniform(-SETTINGS["half_prior"], SETTINGS["half_prior"], 2)
        turn = math.radians(rng.uniform(-1, 1) * SETTINGS["heading_degrees"])
        row = [round(v, 4) for v in (pose.x, pose.y)] + [round(pose.yaw, 6), KINDS.index(pose.kind)]
        rows.append([*row, round(float(east), 4), round(float(north), 4), round(turn, 6)])
    return rows


def describe(seed: int, edition: Edition = "town-v1") -> dict[str, Any]:
    """Return one town's entry of the manifest."""
    town = Town(seed, edition)
    rows = _frames(town)
    x, y, yaw, kind = rows[0][:4]
    digest = _digest(town, CameraPose(x, y, yaw, KINDS[int(kind)]))
    return {
        "seed": seed,
        "geometry": fingerprint(town).tolist(),
        "sha256": digest,
        "frames": rows,
    }


def check(entry: dict[str, Any], edition: Edition = "town-v1") -> list[str]:
    """Compare a manifest's entry with this machine's town.

    Returns the names of pictures whose bytes differ.

    Raises:
        ManifestError: where geometry, poses or priors differ by more than 1 mm.
    """
    own = describe(entry["seed"], edition)
    for name in ("geometry", "frames"):
        a, b = np.array(own[name]), np.array(entry[name])
        if a.shape != b.shape or np.abs(a - b).max() > TOLERANCE:
            raise ManifestError(
                f"town {entry['seed']}: {name} differs from {edition} by more than 1 mm; "
                f"a changed generator needs a new version"
            )
    return [n for n, value in own["sha256"].items() if value != entry["sha256"][n]]


def write(edition: Edition) -> None:
    """Draw all towns and write the manifest; whole or not at all."""
    path = path_of(edition)
    towns = [describe(seed, edition) for split in SPLITS for seed in RANGES[split]]
    rows = ",\n".join(json.dumps(t, separators=(",", ":")) for t in towns)
    head = json.dumps({"version": edition, "settings": SETTINGS, "kinds": KINDS})[:-1]
    partial = path.with_suffix(".partial")
    partial.write_text(f'{head}, "towns": [\n{rows}\n]}}\n')
    os.replace(partial, path)


def main(arguments: list[str] | None = None) -> int:
    """Check or write the manifest; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.town.manifest", description=__doc__)
    parser.add_argument("--edition", choices=EDITIONS, default="town-v1")
    parser.add_argument("--write", action="store_true", help="draw the manifest anew")
    parser.add_argument(
        "--towns", type=int, default=150, help="check only the first N of all towns"
    )
    options = parser.parse_args(arguments)
    edition: Edition = options.edition
    try:
        if options.write:
            write(edition)
            print(f"{path_of(edition).name}: written")
            return 0
        entries = _read(edition)["towns"][: options.towns]
        differing = [n for entry in entries for n in check(entry, edition)]
    except ManifestError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{edition}: geometry, poses and priors of {len(entries)} towns agree to 1 mm; ", end="")
    print(f"{len(differing)} of {3 * len(entries)} pictures differ in their bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
