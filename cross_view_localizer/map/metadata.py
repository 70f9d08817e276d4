"""The side file of a map: what its raster can't say (after map_server's YAML beside a picture)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from cross_view_localizer.geo import Datum
from cross_view_localizer.map.raster import MapError, one_line

KEYS = ("datum", "crs", "offset", "gsd", "capture_date", "licence")


@dataclass(frozen=True)
class MapMetadata:
    """Content of a side file.

    Attributes:
        datum: origin of ``map``, or None for the map's middle.
        crs: the CRS that the raster's transform is in, or None for the raster's own.
        offset: (x, y) metres to move the imagery by.
        gsd: metres per pixel as the provider states it.
        capture_date, licence: for people.
    """

    datum: Datum | None = None
    crs: str | None = None
    offset: tuple[float, float] = (0.0, 0.0)
    gsd: float | None = None
    capture_date: str = ""
    licence: str = ""

    def with_offset(self, more: tuple[float, float]) -> MapMetadata:
        """The same with ``more`` added to the offset."""
        x, y = _offset(more, "argument")
        return replace(self, offset=(self.offset[0] + x, self.offset[1] + y))


def read_metadata(map_path: str | Path) -> MapMetadata:
    """Read ``map.tif.yaml``, else ``map.yaml``, beside ``map.tif``; without one, the defaults.

    Raises:
        MapError: not YAML, unknown keys, or values of another kind.
    """
    path = Path(map_path)
    for side in (path.with_name(path.name + ".yaml"), path.with_suffix(".yaml")):
        if side != path and side.is_file():
            return _parse(side)
    return MapMetadata()


def _parse(side: Path) -> MapMetadata:
    try:
        content = yaml.safe_load(side.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise MapError(f"map's side file {side} is no YAML ({one_line(error)})") from error
    if content is None:
        return MapMetadata()
    if not isinstance(content, dict):
        raise MapError(f"map's side file {side}: expected keys and values, keys {', '.join(KEYS)}")
    unknown = sorted(str(key) for key in content if key not in KEYS)
    if unknown:
        raise MapError(
            f"map's side file {side} has {', '.join(unknown)}: expected only {', '.join(KEYS)}"
        )
    return MapMetadata(
        datum=_datum(content["datum"], side) if "datum" in content else None,
        crs=str(content["crs"]) if content.get("crs") else None,
        offset=_offset(content.get("offset", (0.0, 0.0)), side),
        gsd=_positive(content["gsd"], "gsd", side) if "gsd" in content else None,
        capture_date=str(content.get("capture_date", "")),
        licence=str(content.get("licence", "")),
    )


def _datum(value: Any, side: Path) -> Datum:
    if not (isinstance(value, dict) and set(value) == {"latitude", "longitude"}):
        raise MapError(
            f"map's side file {side} has datum {value}: expected "
            "datum: {latitude: <degrees>, longitude: <degrees>}"
        )
    try:
        return Datum(
            _number(value["latitude"], "latitude", side),
            _number(value["longitude"], "longitude", side),
        )
    except ValueError as error:
        raise MapError(f"map's side file {side}: {error}") from error


def _offset(value: Any, side: Path | str) -> tuple[float, float]:
    if not (isinstance(value, (list, tuple)) and len(value) == 2):
        raise MapError(f"map offset {value} ({side}): expected [x, y] in metres")
    return _number(value[0], "offset", side), _number(value[1], "offset", side)


def _number(value: Any, key: str, side: Path | str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise MapError(f"map's {key} {value!r} ({side}): expected a finite number")
    return float(value)


def _positive(value: Any, key: str, side: Path | str) -> float:
    number = _number(value, key, side)
    if number <= 0:
        raise MapError(f"map's {key} {value!r} ({side}): expected a positive number")
    return number
