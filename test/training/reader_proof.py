"""What proves a reader: truths by latitude and longitude, picture content, and flipped signs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cross_view_localizer.geo import MapFrame, wrap_angle
from cross_view_localizer.grid import Grid
from training.datasets.pair import DatasetError, Label, Reader
from training.town.layouts.truth import Truth
from training.town.town import Town

map_frame = lru_cache(maxsize=64)(MapFrame)  # a projection takes milliseconds to build


def truth_of(label: Label, truths: Iterable[Truth]) -> Truth:
    """Return the truth whose key is the ground file's name or the end of its path."""
    path = "/" + label.ground_file.as_posix()
    found = [t for t in truths if path.endswith("/" + t.key)]
    assert len(found) == 1, f"{label.name}: {len(found)} truths for {label.ground_file}"
    return found[0]


def assert_truth(
    reader: Reader,
    truths: Sequence[Truth],
    tolerance_px: float = 0.1,
    tolerance_deg: float = 0.05,
    expected: int | None = None,
) -> None:
    """Every label's position and yaw are the town's, through latitude and longitude.

    Args:
        tolerance_px: in pixels of the label's patch. Where the official file rounds (VIGOR's
            integers), write frames that fall on whole pixels rather than loosening this.
        expected: number of rows that the reader must have; None for any but zero.
    """
    wanted = f"{len(reader)} rows, expected {expected or 'some'}"
    assert len(reader) > 0 and expected in (None, len(reader)), wanted
    groups: dict[str, str] = {}
    for index in range(len(reader)):
        label = reader.label(index)
        truth = truth_of(label, truths)
        assert label.datum is not None, f"{label.name}: no datum"
        frame = map_frame(label.datum)
        error = np.array(label.position) - frame.to_map(truth.latitude, truth.longitude)
        px = float(np.hypot(*error)) / label.grid.gsd
        assert px <= tolerance_px, (
            f"{label.name}: off by {px:.3f} px, {error[0]:.3f} m east, {error[1]:.3f} m north"
        )
        turn = math.degrees(float(wrap_angle(_true_yaw(label, frame) - truth.yaw)))
        assert abs(turn) <= tolerance_deg, f"{label.name}: yaw off by {turn:.3f} degrees"
        assert label.grid.contains(label.position), f"{label.name}: outside its patch"
        assert groups.setdefault(label.group, truth.group) == truth.group, "groups mixed"
    assert len(set(groups.values())) == len(groups), "one group under two names"


def _true_yaw(label: Label, frame: MapFrame) -> float:
    """Return the label's yaw from true east where it stands, which far from its datum is another
    direction than its frame's.
    """
    latitude, longitude = frame.to_wgs84(label.position).tolist()
    east, north = (frame.to_map(latitude + 1e-4, longitude) - label.position).tolist()
    return label.yaw - (math.atan2(north, east) - math.pi / 2)


def content_error(
    reader: Reader, town: Town, label: Label, truth: Truth, size: int = 240
) -> tuple[float, float, float]:
    """Return (pixels of the label's patch, degrees, correlation) by which the reader's aerial
    picture at the label's pose differs from the town's at the true pose.

    Args:
        size: of the square compared, pixels of the patch, as far as patch and town cover it.
    """
    gsd = label.grid.gsd
    seen_grid = Grid(size, size, gsd, label.position, label.yaw)
    true_xy = map_frame(town.datum).to_map(truth.latitude, truth.longitude)
    true_grid = Grid(size, size, gsd, (float(true_xy[0]), float(true_xy[1])), truth.yaw)
    uv = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1)
    covered = label.grid.contains(seen_grid.pixel_to_map(uv))
    covered &= town.grid.contains(true_grid.pixel_to_map(uv))
    mask = np.asarray(
        cv2.erode(covered.astype(np.uint8), np.ones((9, 9)), borderValue=1), dtype=np.uint8
    )
    assert mask.mean() > 0.1, f"{label.name}: too little of its patch around the truth"
    source = town.grid.map_to_pixel(true_grid.pixel_to_map(uv)).astype(np.float32)
    true = np.asarray(
        cv2.remap(town.aerial, source[..., 0], source[..., 1], cv2.INTER_CUBIC), dtype=np.uint8
    )
    seen = reader.aerial(label, seen_grid)
    return _shift(_gray(true), _gray(seen), mask)


def assert_content(
    reader: Reader,
    town: Town,
    label: Label,
    truth: Truth,
    tolerance_px: float = 0.1,
    tolerance_deg: float = 0.1,
    size: int = 240,
) -> None:
    """The reader's aerial picture around its label shows what the town's shows around the truth.

    Only picture content is compared; the town's picture is taken at the true pose, heading-up.
    """
    px, degrees, correlation = content_error(reader, town, label, truth, size)
    said = (
        f"{label.name}: content {px:.3f} px, {degrees:.3f} deg off, correlation {correlation:.2f}"
    )
    assert correlation > 0.85 and px <= tolerance_px and abs(degrees) <= tolerance_deg, said


def _gray(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(gray, (0, 0), 1.5))


def _shift(
    true: NDArray[np.float32], seen: NDArray[np.float32], mask: NDArray[np.uint8]
) -> tuple[float, float, float]:
    """Return (pixels at the middle, degrees, correlation) of the best rigid fit near none."""
    start = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-7)
    try:
        correlation, found = cv2.findTransformECC(
            true, seen, start, cv2.MOTION_EUCLIDEAN, stop, mask, 1
        )
    except cv2.error:  # it does not converge: nothing alike there
        return math.inf, math.inf, 0.0
    warp = np.asarray(found, dtype=np.float64)
    middle = np.array([(true.shape[1] - 1) / 2, (true.shape[0] - 1) / 2])
    moved = warp[:, :2] @ middle + warp[:, 2] - middle
    turn = math.degrees(math.atan2(float(warp[1, 0]), float(warp[0, 0])))
    return float(np.hypot(*moved)), turn, float(correlation)


def mutants(module: ModuleType, changes: Iterable[tuple[str, str]]) -> Iterator[ModuleType]:
    """Yield the module recompiled with one piece of its source changed at a time.

    Each ``old`` must occur exactly once, so that a test notices when the code has moved on.
    """
    path = str(module.__file__)
    source = Path(path).read_text()
    for old, new in changes:
        assert source.count(old) == 1, f"{path}: {source.count(old)} times {old!r}, not once"
        changed = ModuleType(module.__name__)
        changed.__dict__.update(__file__=path, __package__=module.__package__)
        exec(compile(source.replace(old, new), path, "exec"), changed.__dict__)
        yield changed


def assert_mutants_fail(
    module: ModuleType,
    changes: Sequence[tuple[str, str]],
    prove: Callable[[ModuleType], None],
) -> None:
    """``prove`` holds for the module and fails for each of its mutants.

    Args:
        prove: builds a reader from the module it is given and asserts its truths.
    """
    prove(module)
    for (old, new), changed in zip(changes, mutants(module, changes), strict=True):
        try:
            prove(changed)
        except (AssertionError, DatasetError, ValueError):
            continue
        pytest.fail(f"nothing noticed {old!r} -> {new!r}")
