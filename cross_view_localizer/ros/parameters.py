"""The node's parameters: one typed table for declaring, checking YAML files and the README.

Imports no ROS, so that tools can read the table anywhere.
``python -m cross_view_localizer.ros.parameters`` prints it as Markdown.
"""

from __future__ import annotations

import difflib
import functools
import math
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Literal

# Names that rclpy itself declares, which a parameter file may hold as well.
BUILT_IN = ("use_sim_time", "start_type_description_service", "qos_overrides")
BUILT_IN_PREFIXES = ("qos_overrides.",)

Kind = Literal["bool", "int", "float", "str", "floats"]
_KINDS: dict[object, Kind] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    tuple[float, ...]: "floats",
}


class ParameterError(ValueError):
    """A parameter that does not fit the table; the message is one line with the fix."""


def _entry(
    default: Any,
    description: str,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    lengths: tuple[int, ...] = (),
    unit: str = "",
    live: bool = False,
) -> Any:
    return field(
        default=default,
        metadata={
            "description": description,
            "minimum": minimum,
            "maximum": maximum,
            "choices": choices,
            "lengths": lengths,
            "unit": unit,
            "live": live,
        },
    )


_live = functools.partial(_entry, live=True)


@dataclass(frozen=True)
class Parameters:
    """Values of all parameters; every field is a row of the table.

    Live ones (gates, rates, offsets) take effect at once, before the next frame; the others at
    configure, so that while configured a change of them is refused.
    """

    # Life
    autostart: bool = _entry(
        True, "configure and activate at start; false: wait for a lifecycle manager"
    )
    device: str = _entry(
        "auto", "auto, cpu or cuda:N; a CUDA device that is absent fails configure"
    )
    diagnostics_period: float = _live(1.0, "time between two /diagnostics", 0.1, 60.0, unit="s")

    # Model and map
    weights: str = _entry(
        "front",
        "front, panorama (both shipped) or a .safetensors file; none: `model` without weights",
    )
    model: str = _entry(
        "", "method, where `weights` is none (correlation); else the one the weights must be of"
    )
    map: str = _entry("", "path of the georeferenced aerial map: anything rasterio opens")
    map_crs: str = _entry("", "CRS of a map that names none, e.g. EPSG:32630")
    map_offset: tuple[float, ...] = _live(
        (0.0, 0.0), "east and north shift of the imagery that corrects it", lengths=(2,), unit="m"
    )
    datum: tuple[float, ...] = _entry(
        (),
        "latitude, longitude of the map's origin; empty: the map's side file, else its centre",
        lengths=(0, 2),
        unit="deg",
    )

    precision: str = _entry(
        "auto",
        "auto: bfloat16 on CUDA, float32 on a CPU",
        choices=("auto", "float32", "bfloat16", "float16"),
    )

    # Frames and extrinsics
    map_frame: str = _entry("map", "frame of all results: x east, y north, origin at the datum")
    base_frame: str = _entry("base_link", "frame whose pose is published")
    camera_frame: str = _entry(
        "", "optical frame (x right, y down, z forward); empty: the image's frame_id"
    )
    gnss_frame: str = _entry("", "frame of the GNSS antenna; empty: the fix's frame_id")
    camera_in_base: tuple[float, ...] = _entry(
        (),
        "x, y, z, roll, pitch, yaw of the optical frame in the base frame; empty: from /tf_static",
        lengths=(0, 6),
        unit="m, rad",
    )
    gnss_in_base: tuple[float, ...] = _entry(
        (),
        "x, y, z of the antenna in the base frame; empty: from /tf_static",
        lengths=(0, 3),
        unit="m",
    )
    base_height: float = _entry(
        0.0, "height of the base frame above the road", -5.0, 50.0, unit="m"
    )

    # Camera
    camera_model: str = _entry(
        "pinhole",
        "what camera_info describes; equirectangular needs none",
        choices=("pinhole", "fisheye", "equirectangular"),
    )
    image_transport: str = _entry(
        "raw",
        "raw: topic image; compressed: image/compressed, which follows a remapping of image",
        choices=("raw", "compressed"),
    )
    image_kind: str = _entry(
        "auto",
        "raw: camera_info's K and D describe the images; rectified: its P does; auto: rectified "
        "where topic or frame_id say so (image_rect, image_rect_color, rect/image, …)",
        choices=("auto", "raw", "rectified"),
    )
    image_reliability: str = _entry(
        "auto",
        "auto: as the publisher offers; best effort loses big images without the Fast DDS profile",
        choices=("auto", "reliable", "best_effort"),
    )
    max_rate: float = _live(
        0.0, "frames beyond it are skipped, by their stamps; 0: none are", 0.0, 1000.0, unit="Hz"
    )
    image_timeout: float = _live(
        3.0, "silence of the camera that diagnostics report", 0.1, 600.0, unit="s"
    )

    # Prior; the names are PriorConfig's
    heading_source: str = _entry(
        "odom_aligned",
        "odom_aligned finds the odometry's zero from course over ground; the others: see Headings",
        choices=("imu_enu", "odom_enu", "odom_aligned", "course", "fixed", "unknown"),
    )
    fixed_yaw: float = _entry(
        0.0, "heading of `fixed` (0 = east, counter-clockwise)", -7.0, 7.0, unit="rad"
    )
    fixed_yaw_std: float = _entry(0.05, "its standard deviation", 0.001, 3.2, unit="rad")
    default_fix_std: float = _entry(
        5.0, "standard deviation of a fix that states none", 0.01, 1000.0, unit="m"
    )
    default_yaw_std: float = _entry(
        0.05,
        "standard deviation of an IMU or odometry yaw that states none",
        0.001,
        3.2,
        unit="rad",
    )
    align_max_std: float = _live(
        0.1,
        "`odom_aligned` is unknown while its fit is less sure than this standard deviation",
        0.001,
        3.2,
        unit="rad",
    )
    max_yaw_std: float = _live(
        0.3,
        "a heading of larger standard deviation, from any source, counts as unknown",
        0.001,
        3.2,
        unit="rad",
    )
    max_prior_wait: float = _live(
        0.05, "how long a frame waits for samples after its stamp", 0.0, 10.0, unit="s"
    )
    max_prior_age: float = _live(
        5.0,
        "how long a fix is carried on by odometry before frames are refused",
        0.1,
        600.0,
        unit="s",
    )
    max_initial_pose_age: float = _live(60.0, "the same for an initialpose", 0.1, 3600.0, unit="s")
    buffer_seconds: float = _entry(
        10.0, "how far back samples are kept; at least max_prior_age", 0.2, 3600.0, unit="s"
    )
    min_speed: float = _live(
        2.0, "speed above which course over ground is a heading", 0.1, 50.0, unit="m/s"
    )
    odometry_distance_std: float = _entry(
        0.02, "odometry's position error per metre travelled", 0.0, 1.0
    )
    odometry_yaw_drift: float = _entry(
        0.003, "odometry's yaw error, grows with the root of time", 0.0, 1.0, unit="rad/√s"
    )
    max_future: float = _live(
        0.5,
        "samples and images stamped further ahead of the clock are dropped",
        0.001,
        3600.0,
        unit="s",
    )
    fuse_prior: bool = _entry(
        False, "multiply the prior into the result; false: ~/pose carries what the image adds"
    )

    # Gates
    max_no_match: float = _live(
        0.5,
        "larger probability that image and map do not show the same place refuses the pose; "
        "1: no limit",
        0.0,
        1.0,
    )
    max_std: float = _live(
        10.0, "larger standard deviation (major axis) refuses the pose", 0.1, 1000.0, unit="m"
    )
    max_second_mode: float = _live(
        1.0,
        "larger mass of the second mode, as a share of the chosen one's, refuses the pose",
        0.0,
        1000.0,
    )
    max_prior_distance: float = _live(
        3.4,
        "larger distance of the answer from the prior, in standard deviations of both together, "
        "refuses the pose; 0: no limit",
        0.0,
        1000.0,
    )
    searchable_half: float = _live(
        0.0,
        "how far from the prior is searched, per axis; a prior whose 3 sigma leave it is refused; "
        "0: as the weights say",
        0.0,
        1000.0,
        unit="m",
    )
    confidence_radius: float = _live(
        3.0,
        "~/estimate's confidence is the probability of being within this of the pose",
        0.0,
        100.0,
        unit="m",
    )
    min_coverage: float = _live(
        0.5, "smaller share of imagery under the patch refuses the frame", 0.0, 1.0
    )

    # Output
    min_std: float = _live(
        0.05,
        "no published position is surer than this: errors of map and extrinsics, which no picture "
        "tells",
        0.001,
        10.0,
        unit="m",
    )
    covariance_scale: float = _live(
        1.0,
        "factor on the published covariance, for a filter that takes consecutive errors for "
        "independent",
        0.01,
        1000.0,
    )
    heatmap_rate: float = _live(
        2.0, "upper limit of ~/heatmap, ~/aerial and ~/overlay", 0.0, 100.0, unit="Hz"
    )
    heatmap_resolution: float = _live(
        0.0, "cell size of ~/heatmap; 0: the model's, but at least 0.25", 0.0, 10.0, unit="m"
    )
    unobserved_variance: float = _live(
        0.0, "variance of z, roll and pitch in ~/pose; 0 is what RViz draws flat", 0.0, 1000.0
    )
    view_frame: str = _entry(
        "", "frame under map_frame, sent on /tf, that RViz follows; empty: no transform is sent"
    )


def table() -> tuple[Field[Any], ...]:
    """Return the rows: name, default, metadata (description, minimum, maximum, choices, …)."""
    return fields(Parameters)


def kind(name: str) -> Kind:
    """Return the type of the parameter ``name``."""
    return _KINDS[typing.get_type_hints(Parameters)[name]]


def checked(name: str, value: Any) -> Any:
    """Return ``value`` in the table's type; whole numbers become floats where floats are asked for.

    Raises:
        ParameterError: for an unknown name, a wrong type or a value out of range.
    """
    rows = {row.name: row for row in table()}
    if name not in rows:
        near = difflib.get_close_matches(name, rows, n=1)
        hint = f"did you mean {near[0]}?" if near else "see README, Parameters"
        raise ParameterError(f"unknown parameter {name}: {hint}")
    meta = rows[name].metadata
    value = _typed(name, value)
    if meta["choices"] and value not in meta["choices"]:
        raise ParameterError(
            f"parameter {name} is {value!r}: expected one of {', '.join(meta['choices'])}"
        )
    if meta["lengths"] and len(value) not in meta["lengths"]:
        lengths = " or ".join(map(str, meta["lengths"]))
        raise ParameterError(f"parameter {name} has {len(value)} numbers: expected {lengths}")
    low, high = meta["minimum"], meta["maximum"]
    if low is not None and not low <= value <= high:
        raise ParameterError(
            f"parameter {name} is {value}: expected {low} to {high} {meta['unit']}".rstrip()
        )
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _typed(name: str, value: Any) -> Any:
    wanted = kind(name)
    if wanted == "float" and _is_number(value):
        return float(value)
    if wanted == "floats" and not isinstance(value, str | bytes | int | float | None):
        items = list(value)
        if all(_is_number(item) for item in items):
            return tuple(float(item) for item in items)
    if wanted == "int" and _is_number(value) and isinstance(value, int):
        return value
    if wanted == "bool" and isinstance(value, bool):
        return value
    if wanted == "str" and isinstance(value, str):
        return value
    expected = {"floats": "a list of numbers", "float": "a number", "str": "a text"}
    raise ParameterError(f"parameter {name} is {value!r}: expected {expected.get(wanted, wanted)}")


def from_mapping(values: Mapping[str, Any]) -> Parameters:
    """Return the parameters with defaults where ``values`` has no entry.

    Raises:
        ParameterError: as in ``checked``.
    """
    return Parameters(**{name: checked(name, value) for name, value in values.items()})


def is_built_in(name: str) -> bool:
    """Return whether rclpy declares the parameter ``name`` itself."""
    return name in BUILT_IN or name.startswith(BUILT_IN_PREFIXES)


def markdown() -> str:
    """Return the table for the README."""
    lines = ["| parameter | default | range | live | meaning |", "|---|---|---|---|---|"]
    for row in table():
        meta = row.metadata
        default = list(row.default) if isinstance(row.default, tuple) else row.default
        if row.default is MISSING or row.default == "":
            default = '""'
        limits = " ".join(f"`{choice}`" for choice in meta["choices"])
        if meta["minimum"] is not None:
            limits = f"{meta['minimum']:g} … {meta['maximum']:g}"
        unit = f" ({meta['unit']})" if meta["unit"] else ""
        shown = str(default).lower() if isinstance(default, bool) else default
        live = "yes" if meta["live"] else ""
        lines.append(
            f"| `{row.name}` | {shown} | {limits} | {live} | {meta['description']}{unit} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
