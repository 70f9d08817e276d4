"""The prior on a minute of real GNSS, wheel speed and gyro against reference poses (comma2k19)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cross_view_localizer.geo import Datum, MapFrame
from cross_view_localizer.prior.prior import Prior, PriorConfig, PriorEstimator

FOLDER = Path(__file__).resolve().parents[3] / "shared/real_samples/comma2k19"
SECOND = 1_000_000_000
# The receiver states no covariance in this log; its maker's figure for standalone positioning.
FIX_STD = 2.5

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="../shared/real_samples is not here")
Array = NDArray[np.float64]


def log(name: str) -> Array:
    """Return one log file."""
    return np.load(FOLDER / name)


@dataclass(frozen=True)
class Recording:
    """Reference (camera) and raw sensors on one clock, seconds; positions in `map`, x + iy."""

    time: Array
    position: NDArray[np.complex128]
    course: Array
    speed: Array
    fix_time: Array
    fix: NDArray[np.complex128]
    odometry_time: Array
    odometry: NDArray[np.complex128]
    odometry_yaw: Array

    def true_position(self, seconds: float) -> complex:
        return complex(
            np.interp(seconds, self.time, self.position.real),
            np.interp(seconds, self.time, self.position.imag),
        )


@pytest.fixture(scope="module")
def drive() -> Recording:
    pyproj = pytest.importorskip("pyproj")
    time, ecef = log("global_pose/frame_times"), log("global_pose/frame_positions")
    to_geodetic = pyproj.Transformer.from_crs(4978, 4979, always_xy=True)
    longitude, latitude, _ = to_geodetic.transform(*ecef.T)
    frame = MapFrame(Datum(float(latitude[0]), float(longitude[0])))
    position = frame.to_map(latitude, longitude) @ np.array([1, 1j])
    velocity = np.gradient(position, time)
    gnss = log("processed_log/GNSS/live_gnss_ublox/value")
    wheel_time = log("processed_log/CAN/speed/t")
    gyro_time, gyro = log("processed_log/IMU/gyro/t"), log("processed_log/IMU/gyro/value")
    # Forward-right-down: a turn to the left is negative about the third axis.
    turned = -np.concatenate([[0], np.cumsum(np.diff(gyro_time) * gyro[1:, 2])])
    yaw = np.interp(wheel_time, gyro_time, turned)
    step = np.diff(wheel_time) * log("processed_log/CAN/speed/value")[1:, 0]
    track = np.concatenate([[0], np.cumsum(step * np.exp(1j * (yaw[1:] + yaw[:-1]) / 2))])
    return Recording(
        time,
        position,
        np.unwrap(np.angle(velocity)),
        np.abs(velocity),
        log("processed_log/GNSS/live_gnss_ublox/t"),
        frame.to_map(gnss[:, 0], gnss[:, 1]) @ np.array([1, 1j]),
        wheel_time,
        track,
        yaw,
    )


def play(
    drive: Recording,
    source: str,
    *,
    every: int = 1,
    odometry: bool = True,
    outage: tuple[float, float] = (0.0, 0.0),
    lookahead: float = 0.0,
    turned: float = 0.0,
) -> tuple[list[tuple[float, Any]], PriorEstimator]:
    """Feed the log in the order of time; ask at every reference frame, `lookahead` s later."""
    estimator = PriorEstimator(PriorConfig(heading_source=source, default_fix_std=FIX_STD))
    events: list[tuple[float, int, int]] = [
        (time, 0, index)
        for index, time in enumerate(drive.fix_time)
        if index % every == 0 and not outage[0] < time - drive.time[0] < outage[1]
    ]
    if odometry:
        events += [(t, 1, index) for index, t in enumerate(drive.odometry_time)]
    events += [(time + lookahead, 2, index) for index, time in enumerate(drive.time)]
    covariance, answers = np.eye(2) * FIX_STD**2, []
    for time, kind, index in sorted(events):
        stamp = round(time * SECOND)
        if kind == 0:
            place = drive.fix[index]
            estimator.add_fix(stamp, (place.real, place.imag), covariance)
        elif kind == 1:
            place = drive.odometry[index] * np.exp(1j * turned)
            yaw = drive.odometry_yaw[index] + turned
            estimator.add_odometry(stamp, place.real, place.imag, yaw)
        else:
            answers.append((drive.time[index], estimator.at(round(drive.time[index] * SECOND))))
    return answers, estimator


def errors(drive: Recording, answers: list[tuple[float, Any]]) -> Array:
    """Return |position error|, m, of the answers that are priors."""
    return np.array(
        [
            abs(complex(prior.x, prior.y) - drive.true_position(time))
            for time, prior in answers
            if isinstance(prior, Prior)
        ]
    )


def test_the_position_error_is_what_the_covariance_says(drive: Recording) -> None:
    answers, _ = play(drive, "odom_aligned")
    ratios = []
    for time, prior in answers:
        if isinstance(prior, Prior):
            gap = complex(prior.x, prior.y) - drive.true_position(time)
            offset = np.array([gap.real, gap.imag])
            ratios.append(offset @ np.linalg.solve(prior.covariance[:2, :2], offset) / 2)
    found = errors(drive, answers)
    print(f"prior: median {np.median(found):.2f} m, NEES/2 {np.mean(ratios):.2f}, n {len(found)}")
    assert len(found) > 0.99 * len(drive.time)
    assert np.median(found) < 2.5
    # One minute of one receiver is one draw of its slow error: only gross untruth can show.
    assert 0.05 < np.mean(ratios) < 2.0


def test_one_fix_a_second_is_enough_with_odometry_between(drive: Recording) -> None:
    """Against the fixes of ten a second, so that the receiver's own slow error doesn't count."""
    hold: list[float] = []
    straight: list[float] = []
    shaped: list[float] = []
    carried: list[float] = []
    dense = play(drive, "odom_aligned", lookahead=0.3)[0]
    runs = {
        "straight": play(drive, "unknown", every=10, odometry=False, lookahead=1.5)[0],
        "shaped": play(drive, "odom_aligned", every=10, lookahead=1.5)[0],
        "carried": play(drive, "odom_aligned", every=10)[0],
    }
    sparse_time, sparse = drive.fix_time[::10], drive.fix[::10]
    for index, (time, best) in enumerate(dense):
        if time < drive.time[0] + 10 or time > drive.time[-1] - 2:
            continue
        target = complex(best.x, best.y)
        last = sparse[np.searchsorted(sparse_time, time) - 1]
        hold.append(abs(last - target))
        for name, out in (("straight", straight), ("shaped", shaped), ("carried", carried)):
            prior = runs[name][index][1]
            out.append(abs(complex(prior.x, prior.y) - target))
    rms = [float(np.sqrt(np.mean(np.square(one)))) for one in (hold, straight, shaped, carried)]
    print("rms m: held {:.2f}, straight {:.2f}, shaped {:.2f}, carried {:.2f}".format(*rms))
    assert rms[2] <= rms[1] < 0.05 * rms[0]
    assert rms[2] < rms[3] < 0.1 * rms[0]


@pytest.mark.parametrize("source", ["odom_aligned", "course"])
def test_heading(drive: Recording, source: str) -> None:
    answers, _ = play(drive, source)
    off, scaled = [], []
    for index, (time, prior) in enumerate(answers):
        if isinstance(prior, Prior) and prior.yaw is not None and time > drive.time[0] + 5:
            gap = math.remainder(prior.yaw - drive.course[index], math.tau)
            off.append(abs(gap))
            scaled.append(gap**2 / prior.covariance[2, 2])
    middle, most = np.degrees(np.median(off)), np.degrees(np.percentile(off, 95))
    print(
        f"{source}: known {len(off) / len(answers):.2f}, median {middle:.2f} deg, "
        f"95 % {most:.2f} deg, NEES {np.mean(scaled):.2f}"
    )
    assert len(off) > 0.85 * len(answers)
    assert middle < 1.0 and most < 2.0
    assert np.mean(scaled) < 2.0


def test_an_outage_is_bridged_by_odometry(drive: Recording) -> None:
    outage = (30.0, 34.5)
    with_wheels, _ = play(drive, "odom_aligned", outage=outage)
    without, _ = play(drive, "unknown", outage=outage, odometry=False)
    at_end = [
        i for i, t in enumerate(drive.time) if outage[1] - 0.2 < t - drive.time[0] < outage[1]
    ]
    before = [i for i, t in enumerate(drive.time) if 29.5 < t - drive.time[0] < 30.0]

    def offset(answers: list[tuple[float, Any]], index: int) -> complex:
        time, prior = answers[index]
        assert isinstance(prior, Prior), prior
        return complex(prior.x, prior.y) - drive.true_position(time)

    grown = []
    for answers in (with_wheels, without):
        start = np.mean([offset(answers, index) for index in before])
        grown.append(float(np.mean([abs(offset(answers, index) - start) for index in at_end])))
    wide = [float(np.trace(a[at_end[-1]][1].covariance[:2, :2])) for a in (with_wheels, without)]
    print(f"after 4.5 s: by odometry {grown[0]:.2f} m, at constant velocity {grown[1]:.2f} m")
    assert grown[0] < 2.5 and wide[0] < wide[1]
    assert wide[0] > 2 * FIX_STD**2


def test_turning_the_odometry_changes_nothing(drive: Recording) -> None:
    straight, _ = play(drive, "odom_aligned", every=5)
    turned, _ = play(drive, "odom_aligned", every=5, turned=2.0)
    for (_, one), (_, other) in zip(straight, turned, strict=True):
        assert type(one) is type(other)
        if isinstance(one, Prior):
            assert (other.x, other.y) == pytest.approx((one.x, one.y), abs=1e-6)
