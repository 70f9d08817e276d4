"""Maps as users have them: containers, pixel types, holes, side files, and what is refused."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from map_fixtures import OXFORD, north_up, shift_of, transform_at, write_pattern, write_raster
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import Affine

from cross_view_localizer.geo import Datum
from cross_view_localizer.grid import Grid
from cross_view_localizer.map.satellite_map import MapError, SatelliteMap

WAVE = 12.0
CRS = "EPSG:32630"


def placed(size: int = 100, gsd: float = 0.5) -> dict[str, Any]:
    return {"crs": CRS, "transform": transform_at(OXFORD, CRS, gsd, size)}


def refusal(path: Path | str, **options: Any) -> str:
    """The one line that a map is refused with."""
    with pytest.raises(MapError) as caught:
        SatelliteMap.open(path, **options)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 400
    return line


# --- containers ---


def test_virtual_raster(tmp_path: Path) -> None:
    tif = write_pattern(tmp_path / "map.tif")
    rasterio.shutil.copy(tif, tmp_path / "map.vrt", driver="VRT")
    patch = SatelliteMap.open(tmp_path / "map.vrt", datum=OXFORD).patch(
        Grid(80, 80, 0.3, (5, 3), 1)
    )
    assert max(map(abs, shift_of(patch, WAVE))) < 0.1


def test_mbtiles(tmp_path: Path) -> None:
    # 0.2986 m per web-mercator metre is zoom 19; MBTiles have fixed scales, alpha around them.
    size, gsd = 700, 156543.03392804097 / 2**19
    tif = write_pattern(tmp_path / "map.tif", crs="EPSG:3857", size=size, gsd=gsd)
    path = tmp_path / "map.mbtiles"
    rasterio.shutil.copy(tif, path, driver="MBTILES", TILE_FORMAT="PNG")
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)
    opened = SatelliteMap.open(path, datum=OXFORD)
    assert opened.gsd == pytest.approx(0.1848, abs=0.001)
    for grid in (Grid(150, 150, 0.2, (5.0, 3.0), 1.0), Grid(50, 50, 0.9, (-3.0, 6.0), 2.0)):
        patch = opened.patch(grid)
        assert patch.coverage == 1.0
        assert max(map(abs, shift_of(patch, WAVE))) < 0.1
    # The tiles go on beyond the picture, transparent.
    assert opened.patch(north_up(8, 1.0, (90.0, 0.0))).coverage == 0.0


@pytest.mark.parametrize(
    ("driver", "suffix", "world"), [("PNG", "png", "pgw"), ("JPEG", "jpg", "jgw")]
)
def test_picture_with_world_file(tmp_path: Path, driver: str, suffix: str, world: str) -> None:
    tif = write_pattern(tmp_path / "source.tif", turn=1.37)
    path = tmp_path / f"map.{suffix}"
    rasterio.shutil.copy(tif, path, driver=driver, WORLDFILE="YES")
    (tmp_path / f"map.{suffix}.aux.xml").unlink(missing_ok=True)
    if not (tmp_path / f"map.{world}").exists():
        (tmp_path / "map.wld").rename(tmp_path / f"map.{world}")
    line = refusal(path, datum=OXFORD)
    assert "names no CRS" in line and "crs: EPSG" in line
    patch = SatelliteMap.open(path, datum=OXFORD, crs=CRS).patch(Grid(90, 90, 0.3, (5, 3), 1))
    assert max(map(abs, shift_of(patch, WAVE))) < 0.1
    (tmp_path / f"map.{world}").unlink()
    line = refusal(path, datum=OXFORD, crs=CRS)
    assert "no georeference" in line and "world file" in line


def warnings_of(path: Path, **options: Any) -> str:
    """What the map's opener is told, joined."""
    said: list[str] = []
    SatelliteMap.open(path, warn=said.append, **options)
    return "\n".join(said)


def test_a_large_png_is_opened_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tif = write_pattern(tmp_path / "source.tif", size=64)
    rasterio.shutil.copy(tif, tmp_path / "map.png", driver="PNG")
    monkeypatch.setattr("cross_view_localizer.map.raster.SEQUENTIAL_PIXELS", 1000)
    assert "gdal_translate -co TILED=YES" in warnings_of(tmp_path / "map.png")


# --- pixels ---


def middle_pixel(path: Path, **options: Any) -> list[int]:
    patch = SatelliteMap.open(path, datum=OXFORD, **options).patch(north_up(9, 0.5))
    assert patch.image.dtype == np.uint8 and patch.image.shape == (9, 9, 3) and patch.valid.all()
    return [int(value) for value in patch.image[4, 4]]


def test_grey_and_grey_with_alpha(tmp_path: Path) -> None:
    grey = np.full((1, 100, 100), 77, dtype=np.uint8)
    assert middle_pixel(write_raster(tmp_path / "grey.tif", grey, **placed())) == [77] * 3
    with_alpha = np.concatenate([grey, np.full_like(grey, 255)])
    path = write_raster(tmp_path / "ga.tif", with_alpha, alpha="yes", **placed())
    assert middle_pixel(path) == [77] * 3


def test_palette(tmp_path: Path) -> None:
    indexes = np.full((1, 100, 100), 3, dtype=np.uint8)
    colours = {3: (10, 200, 30, 255), 4: (1, 2, 3, 255)}
    path = write_raster(tmp_path / "map.tif", indexes, colormap=colours, **placed())
    assert middle_pixel(path) == [10, 200, 30]


def test_palette_is_mixed_as_colours(tmp_path: Path) -> None:
    indexes = np.indices((100, 100)).sum(axis=0)[None].astype(np.uint8) % 2 * 9
    path = write_raster(
        tmp_path / "map.tif",
        indexes,
        colormap={0: (0, 0, 0, 255), 9: (200, 100, 0, 255)},
        **placed(),
    )
    image = SatelliteMap.open(path, datum=OXFORD).patch(Grid(10, 10, 4.0, (0, 0))).image
    np.testing.assert_allclose(image.mean(axis=(0, 1)), (100, 50, 0), atol=5)


def test_bands_are_found_by_role(tmp_path: Path) -> None:
    bgr = np.stack([np.full((100, 100), value, dtype=np.uint8) for value in (30, 20, 10, 99)])
    path = write_raster(tmp_path / "map.tif", bgr, photometric="MINISBLACK", **placed())
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [
            ColorInterp.blue,
            ColorInterp.green,
            ColorInterp.red,
            ColorInterp.undefined,
        ]
    assert middle_pixel(path) == [10, 20, 30]


@pytest.mark.parametrize("kind", ["uint16", "int16"])
def test_sixteen_bits_are_stretched_alike_everywhere(tmp_path: Path, kind: str) -> None:
    values = np.linspace(1000, 3000, 200)[None, None, :] * np.ones((3, 200, 1))
    path = write_raster(tmp_path / "map.tif", values.astype(kind), **placed(200, 0.25))
    opened = SatelliteMap.open(path, datum=OXFORD)
    west, middle, east = (
        opened.patch(north_up(9, 0.25, (x, 0.0))).image[4, 4, 0] for x in (-20.0, 0.0, 20.0)
    )
    assert west < 35 and abs(int(middle) - 128) < 8 and east > 220


@pytest.mark.parametrize("kind", ["float32", "uint32"])
def test_other_pixel_types_are_refused(tmp_path: Path, kind: str) -> None:
    path = write_raster(tmp_path / "map.tif", np.zeros((3, 20, 20), dtype=kind), **placed(20))
    line = refusal(path)
    assert kind in line and "gdal_translate -ot Byte -scale" in line


# --- holes ---


def holed(tmp_path: Path, how: str) -> Path:
    """A white map whose western half is no imagery."""
    bands = np.full((3, 100, 100), 200, dtype=np.uint8)
    west = np.zeros((100, 100), dtype=bool)
    west[:, :50] = True
    if how == "nodata":
        bands[:, west] = 0
        return write_raster(tmp_path / "map.tif", bands, nodata=0, **placed())
    if how == "mask":
        mask = np.where(west, 0, 255).astype(np.uint8)
        return write_raster(tmp_path / "map.tif", bands, mask=mask, **placed())
    if how == "16-bit nodata":
        wide = bands.astype(np.uint16) * 10
        wide[0, 99, 99] = 2500
        wide[:, west] = 65535
        return write_raster(tmp_path / "map.tif", wide, nodata=65535, **placed())
    alpha = np.where(west, 0, 255).astype(np.uint8)[None]
    return write_raster(tmp_path / "map.tif", np.concatenate([bands, alpha]), **placed())


@pytest.mark.parametrize("how", ["nodata", "mask", "alpha", "16-bit nodata"])
@pytest.mark.parametrize("gsd", [0.5, 0.2, 1.7])
def test_holes_are_not_valid_and_black(tmp_path: Path, how: str, gsd: float) -> None:
    opened = SatelliteMap.open(holed(tmp_path, how), datum=OXFORD)
    size = round(40 / gsd)
    patch = opened.patch(north_up(size, gsd))
    # The raster's axes are turned by the grid convergence about the middle: half is half.
    assert patch.coverage == pytest.approx(0.5, abs=0.03)
    assert not patch.image[~patch.valid].any()
    assert not patch.valid[:, : round(0.45 * size)].any()
    assert patch.valid[:, round(0.55 * size) :].all()
    # Raster still "contains" the hole: the position is on it.
    assert bool(opened.contains((-10.0, 0.0)))


def test_one_black_channel_is_a_colour_not_a_hole(tmp_path: Path) -> None:
    bands = np.full((3, 100, 100), 90, dtype=np.uint8)
    bands[0] = 0
    path = write_raster(tmp_path / "map.tif", bands, nodata=0, **placed())
    assert middle_pixel(path) == [0, 90, 90]


# --- side files ---


@pytest.mark.parametrize("name", ["map.yaml", "map.tif.yaml"])
def test_side_file(tmp_path: Path, name: str) -> None:
    path = write_pattern(tmp_path / "map.tif")
    (tmp_path / name).write_text(
        "datum: {latitude: 51.7525, longitude: -1.2575}\noffset: [1.5, 0]\ngsd: 0.2\n"
        "capture_date: 2024-05-01\nlicence: made up\ncrs: EPSG:32630\n"
    )
    opened = SatelliteMap.open(path, offset=(0.5, 1.0))
    assert opened.datum == Datum(51.7525, -1.2575) == opened.frame.datum
    assert opened.offset == (2.0, 1.0)
    assert (opened.metadata.capture_date, opened.metadata.licence) == ("2024-05-01", "made up")
    # The argument comes first.
    assert SatelliteMap.open(path, datum=OXFORD).datum == OXFORD


def test_an_empty_side_file_says_nothing(tmp_path: Path) -> None:
    path = write_pattern(tmp_path / "map.tif", size=50)
    (tmp_path / "map.yaml").write_text("# nothing yet\n")
    assert SatelliteMap.open(path).offset == (0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("datun: {latitude: 51, longitude: -1}", "has datun: expected only datum"),
        ("datum: [51.0, -1.0]", "expected datum: {latitude"),
        ("datum: {latitude: 151, longitude: -1}", "latitude within"),
        ("datum: {latitude: north, longitude: -1}", "expected a finite number"),
        ("offset: 3", "expected [x, y] in metres"),
        ("offset: [0, .nan]", "expected a finite number"),
        ("crs: EPSG:99999999", "is no CRS"),
        ("gsd: -1", "expected a positive number"),
        ("- 1\n- 2", "expected keys and values"),
        ("datum: {latitude: 51", "is no YAML"),
    ],
)
def test_a_wrong_side_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = write_pattern(tmp_path / "map.tif", size=50)
    (tmp_path / "map.yaml").write_text(text)
    assert words in refusal(path)


def test_a_side_file_of_another_scale_is_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_pattern(tmp_path / "map.tif", size=50)
    (tmp_path / "map.yaml").write_text("gsd: 0.32\n")
    with caplog.at_level(logging.WARNING):
        SatelliteMap.open(path)  # who gives no sink finds it in Python's logging
    assert "0.2000 m per pixel by its georeference, but 0.3200" in caplog.text
    assert warnings_of(path) in caplog.text


def test_a_datum_or_an_offset_that_looks_wrong_is_warned_about(tmp_path: Path) -> None:
    path = write_pattern(tmp_path / "map.tif", size=50)
    assert warnings_of(path, datum=OXFORD, offset=(3.0, -5.0)) == ""
    far = Datum(OXFORD.latitude + 0.5, OXFORD.longitude)
    assert "is 56 km from the datum (52.252" in warnings_of(path, datum=far)
    assert "is moved by (120.0, 0.0) m: expected a few" in warnings_of(path, offset=(120.0, 0.0))


@pytest.mark.parametrize("offset", [(1.0,), (1.0, float("nan")), "ab"])
def test_a_wrong_offset_is_refused(tmp_path: Path, offset: Any) -> None:
    path = write_pattern(tmp_path / "map.tif", size=50)
    assert "offset" in refusal(path, offset=offset)


# --- refusals ---


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "map.tif")
    (tmp_path / "empty.tif").touch()
    assert "can't be read" in refusal(tmp_path / "empty.tif")
    (tmp_path / "text.tif").write_text("not a picture")
    assert "expected a raster that GDAL opens" in refusal(tmp_path / "text.tif")
    assert "can't be read" in refusal(tmp_path)


def test_a_truncated_file_is_refused_or_fails_where_it_is_damaged(tmp_path: Path) -> None:
    whole = write_pattern(tmp_path / "whole.tif", size=600, tiled=True)
    content = whole.read_bytes()
    cut = tmp_path / "cut.tif"
    cut.write_bytes(content[: len(content) // 2])
    opened = SatelliteMap.open(cut, datum=OXFORD)
    with pytest.raises(MapError, match="make it again") as caught:
        opened.patch(north_up(590, 0.2))
    assert "\n" not in str(caught.value)
    cut.write_bytes(content[:100])
    assert "can't be read" in refusal(cut)


def test_a_closed_map_says_so(tmp_path: Path) -> None:
    opened = SatelliteMap.open(write_pattern(tmp_path / "map.tif", size=50))
    opened.close()
    opened.close()
    with pytest.raises(MapError, match="can't be read"):
        opened.patch(north_up(5, 0.2))


def test_ground_control_points_alone_are_refused(tmp_path: Path) -> None:
    points = [
        rasterio.control.GroundControlPoint(row, column, 620000.0 + column, 5734000.0 - row)
        for row, column in [(0, 0), (0, 50), (50, 0), (50, 50)]
    ]
    path = write_raster(
        tmp_path / "map.tif", np.zeros((3, 50, 50), dtype=np.uint8), gcps=points, crs=CRS
    )
    assert "gdalwarp" in refusal(path)


def test_a_crs_that_is_not_the_transforms_is_refused(tmp_path: Path) -> None:
    # UTM metres read as degrees, and degrees read as metres.
    metres = write_pattern(tmp_path / "metres.tif", size=50)
    line = refusal(metres, crs="EPSG:4326")
    assert "nowhere in WGS 84" in line and "crs: EPSG" in line
    degrees = write_pattern(tmp_path / "degrees.tif", crs="EPSG:4326", size=50)
    line = refusal(degrees, crs=CRS)
    assert "crs: EPSG" in line
    assert "is no CRS" in refusal(metres, crs="utm, I think")


def test_a_singular_transform_is_refused(tmp_path: Path) -> None:
    flat = Affine(0.5, 0.5, 620000, 0.5, 0.5, 5734000)
    path = write_raster(
        tmp_path / "map.tif", np.zeros((3, 50, 50), dtype=np.uint8), crs=CRS, transform=flat
    )
    assert "invertible" in refusal(path)


def test_a_datum_far_from_the_map_is_refused(tmp_path: Path) -> None:
    path = write_pattern(tmp_path / "map.tif", size=50)
    line = refusal(path, datum=Datum(49.0, 8.4))
    assert "km from the datum (49.0, 8.4)" in line
    # Latitude and longitude exchanged.
    assert "from the datum" in refusal(path, datum=Datum(-1.258, 51.752))


def test_an_inexact_national_grid_is_warned_about(tmp_path: Path) -> None:
    path = write_pattern(tmp_path / "map.tif", crs="EPSG:27700", size=50)
    said = warnings_of(path)
    if "pyproj sync --file uk_os_OSTN15" not in said:
        pytest.skip("the British shift grid is installed here")
    assert "about 2 m only" in said


def test_a_moved_folder_keeps_its_map(tmp_path: Path) -> None:
    write_pattern(tmp_path / "a b.tif", size=50)
    moved = tmp_path / "ünïcode folder"
    moved.mkdir()
    shutil.move(tmp_path / "a b.tif", moved)
    assert SatelliteMap.open(moved / "a b.tif").gsd == pytest.approx(0.2, rel=0.001)
