"""Writes CVACT's layout from a town: ``ACT_data.mat``, street views and polished satellite views.

Every tile is centred on its camera, whose place the file gives in UTM metres, zone 55 south.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pyproj
from scipy.io import savemat

from cross_view_localizer.geo import Datum, MapFrame
from training.datasets.picture_files import save
from training.town.layouts.mercator import anchored, tile
from training.town.layouts.truth import Truth, truth_at
from training.town.town import CameraPose, Town

CANBERRA = Datum(-35.28, 149.13)
UTM = "EPSG:32755"
# Google's zoom 20 at scale 2.
ZOOM = 21
SIZE = 1200


def write(
    root: str | Path,
    count: int = 8,
    seed: int = 12,
    training: float = 0.6,
    rendered: tuple[int, int] = (512, 256),
    size: tuple[int, int] = (1664, 832),
) -> list[Truth]:
    """Write a small CVACT and return the truth of every panorama.

    Args:
        count: panoramas; seed: of their town; training: share of them in the training list, the
            others are in the validation list.
        rendered: (width, height) at which panoramas are drawn, before they are enlarged to
            ``size``.
    """
    root = Path(root)
    for folder in ("streetview", "satview_polish"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    town = town_of(seed)
    frame = MapFrame(town.datum)
    to_utm = pyproj.Transformer.from_crs("EPSG:4326", UTM, always_xy=True)
    names, utm, truths = [], [], []
    for number, drawn in enumerate(town.poses(count, stream="cvact")):
        pose = CameraPose(drawn.x, drawn.y, math.pi / 2, drawn.kind)
        name = f"Canberra{number:014d}"  # 22 letters, as Street View's
        latitude, longitude = frame.to_wgs84((pose.x, pose.y)).tolist()
        names.append(name)
        utm.append(to_utm.transform(longitude, latitude))
        truths.append(truth_at(town, f"{name}_grdView.png", pose, "Canberra"))
        picture = town.render(pose, "panorama", *rendered, "layout", number).image
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR))
        save(root / "streetview" / f"{name}_grdView.png", picture)
        polished = tile(town, latitude, longitude, ZOOM, SIZE)
        save(root / "satview_polish" / f"{name}_satView_polish.png", polished)
    _write_mat(root / "ACT_data.mat", names, utm, round(training * count))
    return truths


def town_of(seed: int) -> Town:
    """Return the town that stands for Canberra, put down there."""
    return anchored(Town(seed), CANBERRA)


def _write_mat(path: Path, names: list[str], utm: list[tuple[float, float]], train: int) -> None:
    """Write MATLAB's file; its indices start at one, and the lists are not in the file's order."""
    order = np.random.default_rng(0).permutation(len(names)) + 1
    content = {
        "panoIds": np.array(names),
        "utm": np.array(utm, dtype=np.float64).reshape(-1, 2),
        "trainSet": {"trainInd": order[:train, None]},
        "valSet": {"valInd": order[train:, None]},
    }
    savemat(path, content)
