"""The stitched map turned into a GeoTIFF, and patches read from one of full size."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.windows import Window

from cross_view_localizer.geo import Datum, MapFrame
from cross_view_localizer.grid import Grid
from training.datasets.pair import DatasetError
from training.datasets.robotcar import DATUM
from training.datasets.robotcar_map import PUBLISHED, UTM, MapFile, StitchedAffine
from training.maps import stitched

SIZE = (17000, 20000)
# Prints by how many MiB the largest memory grew over the work, in a process of its own.
MEASURED = """
import resource, sys
from pathlib import Path
{before}
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
started = peak()
{work}
print(peak() - started)
"""


def _grown(before: str, work: str) -> int:
    code = MEASURED.format(before=before, work=work)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def _write_png(path: Path, width: int, height: int) -> None:
    """A grey picture of any size, a row at a time: each row of one value."""

    def chunk(file, kind: bytes, data: bytes) -> None:  # type: ignore[no-untyped-def]
        file.write(struct.pack(">I", len(data)) + kind + data)
        file.write(struct.pack(">I", zlib.crc32(kind + data)))

    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        pack = zlib.compressobj(1)
        for row in range(height):
            data = pack.compress(b"\0" + bytes([row // 64 % 256]) * (3 * width))
            if data:
                chunk(file, b"IDAT", data)
        chunk(file, b"IDAT", pack.flush())
        chunk(file, b"IEND", b"")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of full size, empty but for one block in a quarter of its cells."""
    path = tmp_path_factory.mktemp("large") / "map.tif"
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "crs": UTM, "tiled": True}
    block = {"blockxsize": 256, "blockysize": 256, "sparse_ok": True, "compress": "deflate"}
    width, height = SIZE
    with rasterio.open(
        path, "w", width=width, height=height, transform=PUBLISHED.transform, **profile, **block
    ) as raster:
        for column, row in ((8, 8), (30, 40), (60, 70)):
            data = np.full((3, 256, 256), 40 + column, dtype=np.uint8)
            raster.write(data, window=Window(column * 256, row * 256, 256, 256))
    return path


def _grid(uv: tuple[float, float], size: int) -> Grid:
    """A north-up grid of the map's own resolution about a corner-based pixel of it."""
    to_wgs84 = pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    longitude, latitude = to_wgs84.transform(*PUBLISHED.to_utm(uv))
    x, y = MapFrame(DATUM).to_map(latitude, longitude).tolist()
    return Grid(size, size, 0.0925, (x, y))


def test_a_map_of_full_size_is_read_where_it_is_asked_for(large: Path) -> None:
    file = MapFile(large, DATUM)
    for column, row in ((8, 8), (30, 40), (60, 70)):
        middle = (column * 256 + 128.0, row * 256 + 128.0)
        assert (file.picture(_grid(middle, 200)) == 40 + column).all()
        beside = (column * 256 + 128.0, row * 256 - 150.0)
        assert not file.picture(_grid(beside, 200)).any()


def test_reading_patches_never_loads_the_map(large: Path) -> None:
    """60 patches all over the gigabyte that the map would take."""
    before = f"""
import numpy as np
from cross_view_localizer.grid import Grid
from training.datasets.robotcar import DATUM
from training.datasets.robotcar_map import MapFile
file = MapFile(Path({str(large)!r}), DATUM)
file.picture(Grid(512, 512, 0.1444, (0.0, 0.0)))
rng = np.random.default_rng(0)
"""
    work = """
for x, y in rng.uniform(-600, 600, (60, 2)):
    file.picture(Grid(512, 512, 0.1444, (x, y), rng.uniform(0, 6)))
"""
    assert _grown(before, work) < 250


def test_the_picture_is_streamed_into_the_map(tmp_path: Path) -> None:
    """144 MB of pixels pass through a third of that; read at once they would take 280."""
    _write_png(tmp_path / "map.png", 4000, 12000)
    before = "from training.maps.stitched import convert"
    work = f"convert({str(tmp_path / 'map.png')!r}, {str(tmp_path / 'map.tif')!r})"
    assert _grown(before, work) < 70
    with rasterio.open(tmp_path / "map.tif") as raster:
        assert raster.read(1, window=Window(3999, 0, 1, 12000))[::64, 0].tolist() == [
            row % 256 for row in range(188)
        ]


def test_every_process_opens_the_map_for_itself(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forked worker that read through its parent's open file would move it under the parent."""
    file = MapFile(large, DATUM)
    parents = file.map
    assert file.map is parents
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert file.map is not parents


@pytest.mark.slow
def test_a_picture_of_full_size_is_streamed_into_the_map(tmp_path: Path) -> None:
    _write_png(tmp_path / "map.png", *SIZE)
    before = "from training.maps.stitched import convert"
    work = f"convert({str(tmp_path / 'map.png')!r}, {str(tmp_path / 'map.tif')!r})"
    assert _grown(before, work) < 150  # of 1020 MB


def test_the_geotiff_has_pixels_place_tiles_and_overviews(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (700, 600, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "map.png"), picture[..., ::-1])
    stitched.convert(tmp_path / "map.png", tmp_path / "map.tif")
    with rasterio.open(tmp_path / "map.tif") as raster:
        assert (np.moveaxis(raster.read(), 0, -1) == picture).all()
        assert raster.crs == rasterio.crs.CRS.from_epsg(32630)
        assert raster.profile["tiled"] and raster.overviews(1) == [2, 4, 8]
        assert raster.xy(450, 320, offset="ul") == pytest.approx(PUBLISHED.to_utm((320.0, 450.0)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.png", "map.tif"]


def test_a_newly_stitched_map_has_its_own_anchors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "map.png"), np.zeros((50, 60, 3), dtype=np.uint8))
    anchors = tmp_path / "anchors.csv"
    anchors.write_text("600000,5700000,10,20\n600010,5700000,110,20\n600000,5700010,10,-80\n")
    command = [str(tmp_path / "map.png"), str(tmp_path / "map.tif")]
    assert stitched.main([*command, "--anchors", str(anchors)]) == 0
    with rasterio.open(tmp_path / "map.tif") as raster:
        assert raster.transform[:6] == pytest.approx((0.1, 0, 599999, 0, -0.1, 5700002))
    for wrong in ("600000,5700000,10\n", "1,2,3,4\n", "east,north,column,row\n"):
        anchors.write_text(wrong)
        assert stitched.main([*command, "--anchors", str(anchors)]) == 1
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_pictures_that_are_no_map_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "map.tif"
    with pytest.raises(DatasetError, match="nowhere.png: no such file"):
        stitched.convert(tmp_path / "nowhere.png", target)
    cv2.imwrite(str(tmp_path / "grey.png"), np.zeros((50, 60), dtype=np.uint8))
    with pytest.raises(DatasetError, match="grey.png: 1 bands of uint8: expected RGB bytes"):
        stitched.convert(tmp_path / "grey.png", target)
    picture = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "whole.png"), picture)
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    assert stitched.main([str(tmp_path / "cut.png"), str(target)]) == 1
    said = capsys.readouterr().err.strip()
    assert "cut.png: truncated" in said and "\n" not in said
    middle = len(content) // 2
    (tmp_path / "bad.png").write_bytes(content[:middle] + b"damaged" + content[middle + 7 :])
    assert stitched.main([str(tmp_path / "bad.png"), str(target)]) == 1
    said = capsys.readouterr().err.strip()
    assert "bad.png" in said and "is the picture whole" in said and "\n" not in said
    assert not target.exists() and not list(tmp_path.glob(".*"))


def test_a_map_without_georeference_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.tif"
    cv2.imwrite(str(path), np.zeros((50, 60, 3), dtype=np.uint8))
    with pytest.raises(DatasetError, match="map.tif has no georeference") as error:
        MapFile(path, DATUM)
    assert "\n" not in str(error.value)


def test_any_georeferenced_raster_serves_as_the_map(tmp_path: Path) -> None:
    """Another provider's, at another resolution: patches are asked for in metres."""
    affine = StitchedAffine((620000.0, 5735000.0), (100.0, 100.0), np.diag([5.0, -5.0]))
    picture = np.zeros((200, 200, 3), dtype=np.uint8)
    picture[100:, :100] = (250, 0, 0)  # south-west of the middle
    cv2.imwrite(str(tmp_path / "map.png"), picture[..., ::-1])
    stitched.convert(tmp_path / "map.png", tmp_path / "map.tif", affine)
    file = MapFile(tmp_path / "map.tif", Datum(51.7530, -1.2614))
    to_wgs84 = pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    longitude, latitude = to_wgs84.transform(620000.0, 5735000.0)
    x, y = MapFrame(file.datum).to_map(latitude, longitude).tolist()
    seen = file.picture(Grid(60, 60, 0.1, (x, y)))
    assert (seen[33:, :27] == (250, 0, 0)).all() and not seen[:27].any() and not seen[:, 33:].any()
