"""A contact sheet: samples with their truth marked, to see whether labels and pictures agree."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from training.datasets.pair import RGB, Label, Reader

SIDE = 288
LINE = 20
RED, YELLOW, CYAN, WHITE = (255, 40, 40), (255, 230, 0), (0, 230, 255), (255, 255, 255)


def contact_sheet(reader: Reader, rows: Sequence[int], columns: int = 2) -> RGB:
    """Return a picture of rows: ground picture on the left, aerial patch on the right.

    On the patch a red dot marks the truth, a yellow arrow where the camera (a panorama's middle
    column, yellow too) looks, and a cyan cross the patch's middle. N is north. A picture that
    can't be read is left black, with the reason.
    """
    cells = [_cell(reader, reader.label(row)) for row in rows]
    width = max((cell.shape[1] for cell in cells), default=1)
    cells = [_padded(cell, width) for cell in cells]
    while len(cells) % columns:
        cells.append(np.zeros_like(cells[0]))
    lines = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    return np.vstack(lines) if lines else np.zeros((1, 1, 3), np.uint8)


def spread_over_groups(groups: Sequence[int], count: int, seed: int = 0) -> list[int]:
    """Return up to ``count`` rows, as many of each group as can be."""
    rng = np.random.default_rng(seed)
    queues: dict[int, list[int]] = {}
    for row in rng.permutation(len(groups)).tolist():
        queues.setdefault(groups[row], []).append(row)
    chosen: list[int] = []
    while len(chosen) < count and any(queues.values()):
        for group in sorted(queues):
            if queues[group] and len(chosen) < count:
                chosen.append(queues[group].pop())
    return chosen


def _cell(reader: Reader, label: Label) -> RGB:
    error = ""
    ground, aerial = np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((SIDE, SIDE, 3), np.uint8)
    try:
        ground = _ground(reader, label)
        aerial = _aerial(reader, label)
    except (ValueError, OSError, cv2.error) as fault:
        error = str(fault)
    cell = _padded(np.hstack([ground, aerial]), ground.shape[1] + SIDE + 6, SIDE + LINE)
    x, y = np.subtract(label.position, label.grid.center)
    compass = round(math.degrees(math.pi / 2 - label.yaw)) % 360
    text = f"{label.name}: {label.group}, {x:+.1f} m east {y:+.1f} m north, looks {compass} deg"
    _write(cell, error or text, (4, SIDE + LINE - 6))
    return cell


def _ground(reader: Reader, label: Label) -> RGB:
    picture = reader.ground(label)
    height, width = picture.image.shape[:2]
    wide = min(round(SIDE * width / height), 2 * SIDE)
    high = round(wide * height / width)
    seen = cv2.resize(picture.image, (wide, high), interpolation=cv2.INTER_AREA)
    if picture.camera.kind == "equirectangular":
        cv2.line(seen, (wide // 2, 0), (wide // 2, 10), YELLOW, 2)
    return _padded(np.asarray(seen, dtype=np.uint8), wide, SIDE)


def _aerial(reader: Reader, label: Label) -> RGB:
    grid = label.grid.resampled(SIDE, SIDE)
    seen = reader.aerial(label, grid).copy()
    here = grid.map_to_pixel(label.position)
    reach = 0.12 * grid.extent[0]
    ahead = np.array([math.cos(label.yaw), math.sin(label.yaw)])
    tip = grid.map_to_pixel(np.add(label.position, reach * ahead))
    cv2.drawMarker(seen, (SIDE // 2, SIDE // 2), CYAN, cv2.MARKER_CROSS, 10, 1)
    cv2.arrowedLine(seen, _pixel(here), _pixel(tip), YELLOW, 2, cv2.LINE_AA, tipLength=0.3)
    cv2.circle(seen, _pixel(here), 3, RED, -1, cv2.LINE_AA)
    north = grid.map_to_pixel(np.add(grid.center, (0.0, 14 * grid.gsd))) - (SIDE - 1) / 2
    corner = np.array([SIDE - 24.0, 24.0])
    cv2.arrowedLine(seen, _pixel(corner - north), _pixel(corner + north), WHITE, 1, cv2.LINE_AA)
    _write(seen, "N", _pixel(corner + north + (3, 3)))
    return seen


def _pixel(uv: np.ndarray) -> tuple[int, int]:
    return round(float(uv[0])), round(float(uv[1]))


def _write(picture: RGB, text: str, at: tuple[int, int]) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.38, WHITE, 1, cv2.LINE_AA)


def _padded(picture: RGB, width: int, height: int | None = None) -> RGB:
    rows, columns = picture.shape[:2]
    padded = np.zeros((max(height or rows, rows), max(width, columns), 3), np.uint8)
    padded[:rows, :columns] = picture
    return padded
