"""Raw Bayer pictures, the SDK's look-up table, and the prepared pictures' camera."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.datasets import bayer
from training.datasets.bayer import LookUpTable, demosaic, read_bayer, read_intrinsics
from training.datasets.pair import DatasetError
from training.datasets.robotcar_pictures import CROP, INTRINSICS, RAW_SIZE, Pictures

WIDTH, HEIGHT = RAW_SIZE
FOCAL, (CX, CY) = INTRINSICS[0, 0], INTRINSICS[:2, 2]
BEND = -0.09
Picture = NDArray[np.uint8]


def _mosaic(colors: Picture) -> Picture:
    """What a sensor keeps whose rows are green, blue, … and red, green, …"""
    raw = colors[..., 1].copy()
    raw[0::2, 1::2] = colors[0::2, 1::2, 2]
    raw[1::2, 0::2] = colors[1::2, 0::2, 0]
    return raw


def _scene(x: NDArray[np.float64], y: NDArray[np.float64]) -> Picture:
    """A smooth picture (…, 3) of the unit plane, of another pattern in each colour."""
    waves = (np.sin(9 * x + 3 * y), np.cos(7 * y - 2 * x), np.sin(6 * x) * np.cos(8 * y))
    return np.stack([np.round(127.5 + 110 * wave) for wave in waves], axis=-1).astype(np.uint8)


def _plane() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    return (u - CX) / FOCAL, (v - CY) / FOCAL


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDK's folder of a lens: raw = ideal (1 + BEND r²), on the unit plane."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "stereo_narrow_left.txt").write_text(
        f"{FOCAL:.6f} {FOCAL:.6f} {CX:.6f} {CY:.6f}\n" + "0 0 1 0\n1 0 0 0\n0 1 0 0\n0 0 0 1\n"
    )
    x, y = _plane()
    grown = 1 + BEND * (x**2 + y**2)
    table = np.concatenate([(FOCAL * x * grown + CX).ravel(), (FOCAL * y * grown + CY).ravel()])
    table.astype("<f8").tofile(folder / "stereo_narrow_left_distortion_lut.bin")
    return folder


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw picture through that lens: each of its pixels looks along the ideal ray of its own."""
    x, y = _plane()
    bent = np.hypot(x, y)
    straight = bent.copy()
    for _ in range(12):  # invert r (1 + BEND r²)
        straight = bent / (1 + BEND * straight**2)
    scale = straight / np.maximum(bent, 1e-12)
    path = tmp_path_factory.mktemp("raw") / "1435306185389534.png"
    cv2.imwrite(str(path), _mosaic(_scene(x * scale, y * scale)))
    return path


def _off(one: Picture, other: Picture) -> float:
    return float(np.abs(one.astype(float) - other)[2:-2, 2:-2].max())


def test_raw_rows_are_green_blue_and_red_green() -> None:
    colors = np.zeros((8, 10, 3), dtype=np.uint8)
    colors[...] = (200, 90, 10)
    assert (demosaic(_mosaic(colors)) == colors).all()
    u, v = np.meshgrid(np.arange(64.0), np.arange(48.0))
    smooth = np.stack([3 * u, 5 * v, 255 - 2 * u - v], axis=-1).astype(np.uint8)
    assert _off(demosaic(_mosaic(smooth)), smooth) <= 1  # bilinear is exact on ramps


def test_the_look_up_table_straightens_the_lens(models: Path, raw: Path) -> None:
    left, top, width, height = CROP
    crop = np.s_[top : top + height, left : left + width]
    expected = _scene(*_plane())[crop]
    seen = Pictures(raw=True, models=models).read(raw).image
    assert seen.shape == (800, 1200, 3)
    assert _off(seen, expected) <= 3  # two bilinear looks at a smooth picture
    bent = Pictures(raw=True, models=None).read(raw).image
    assert bent.shape == seen.shape
    assert _off(bent, demosaic(read_bayer(raw))[crop]) == 0
    assert _off(bent, expected) > 30


def test_a_pixel_looks_along_the_cameras_ray(models: Path, raw: Path) -> None:
    """Crop, intrinsics and table together: the scene at the ray of a pixel is in that pixel."""
    ground = Pictures(raw=True, models=models).read(raw)
    pixels = np.array([[5.0, 7.0], [603.0, 484.0], [1190.0, 20.0], [40.0, 790.0]])
    rays = ground.camera.ray(pixels)
    expected = _scene(rays[:, 0] / rays[:, 2], rays[:, 1] / rays[:, 2])
    u, v = pixels.astype(int).T
    assert np.abs(ground.image[v, u].astype(float) - expected).max() <= 3
    assert ground.camera.matrix is not None
    assert ground.camera.matrix[:2, 2] == pytest.approx((603.788025, 484.407990))
    assert (ground.camera.width, ground.camera.height) == (1200, 800)
    assert (ground.rotation @ [0, 0, 1]).tolist() == [1, 0, 0]  # looks ahead, level
    assert 1 < ground.height < 2.5


def test_published_resizing_scales_the_intrinsics() -> None:
    """231 x 154: times 0.1925, about the picture's corner."""
    camera = Pictures(raw=False, models=None).camera.resized(231, 154)
    assert camera.matrix is not None
    assert camera.matrix[0, 0] == pytest.approx(964.828979 * 0.1925)
    assert camera.matrix[0, 2] == pytest.approx((603.788025 + 0.5) * 0.1925 - 0.5)


def test_prepared_pictures_are_read_as_they_are(tmp_path: Path) -> None:
    colors = _scene(*np.meshgrid(np.linspace(-1, 1, 1200), np.linspace(-1, 1, 800)))
    cv2.imwrite(str(tmp_path / "a.png"), colors[..., ::-1])
    assert (Pictures(raw=False, models=None).read(tmp_path / "a.png").image == colors).all()


@pytest.mark.parametrize("raw_asked", [True, False])
def test_pictures_of_another_size_are_refused(tmp_path: Path, raw_asked: bool) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((70, 90), dtype=np.uint8))
    size = "1280 x 960" if raw_asked else "1200 x 800"
    with pytest.raises(DatasetError, match=f"a.png: 90 x 70 px: expected {size}"):
        Pictures(raw_asked, None).read(tmp_path / "a.png")


def test_a_prepared_picture_is_no_raw_one(tmp_path: Path) -> None:
    colors = np.zeros((960, 1280, 3), dtype=np.uint8)
    colors[..., 0] = 9
    cv2.imwrite(str(tmp_path / "a.png"), colors)
    with pytest.raises(DatasetError, match="a.png: a colour picture: expected a raw Bayer one"):
        Pictures(raw=True, models=None).read(tmp_path / "a.png")


def test_a_truncated_raw_picture_is_named(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(raw.read_bytes()[:-900])
    with pytest.raises(DatasetError, match="cut.png: truncated"):
        read_bayer(tmp_path / "cut.png")


def test_models_of_another_camera_are_refused(models: Path, tmp_path: Path) -> None:
    table = tmp_path / "stereo_narrow_left_distortion_lut.bin"
    text = tmp_path / "stereo_narrow_left.txt"
    with pytest.raises(DatasetError, match="stereo_narrow_left.txt: no such file"):
        Pictures(raw=True, models=tmp_path)
    for words in ("964 964 643", "964 964 643 here", "964 -964 643 484", "964 964 nan 484"):
        text.write_text(words + "\n")
        with pytest.raises(DatasetError, match="stereo_narrow_left.txt:1: .*expected"):
            read_intrinsics(text)
    text.write_text("964 964 643 484\n")
    with pytest.raises(DatasetError, match="no such file: expected the SDK's look-up table"):
        Pictures(raw=True, models=tmp_path)
    content = (models / table.name).read_bytes()
    for wrong in (content[:-8], content[:-3], content + b"12345678"):
        table.write_bytes(wrong)
        with pytest.raises(DatasetError, match="expected 19660800, two finite float64 for each"):
            LookUpTable.read(table, *RAW_SIZE)
    numbers = np.frombuffer(content).copy()
    numbers[7] = math.nan
    numbers.tofile(table)
    with pytest.raises(DatasetError, match="two finite float64"):
        LookUpTable.read(table, *RAW_SIZE)


def test_the_tables_and_the_sensors_order_matter(models: Path, raw: Path) -> None:
    """Rows and columns exchanged, a crop forgotten, red and blue exchanged: all of it shows."""
    from reader_proof import assert_mutants_fail

    left, top, width, height = CROP
    expected = _scene(*_plane())[top : top + height, left : left + width]
    path = models / "stereo_narrow_left_distortion_lut.bin"

    def check(module) -> None:  # type: ignore[no-untyped-def]
        table = module.LookUpTable.read(path, *RAW_SIZE).cropped(*CROP)
        assert _off(table.undistorted(module.demosaic(module.read_bayer(raw))), expected) <= 3

    changes = [
        ("columns, rows = numbers", "rows, columns = numbers"),
        ("top : top + height, left : left + width].copy()", ":height, :width].copy()"),
        ("COLOR_BayerGBRG2RGB", "COLOR_BayerGBRG2BGR"),
        ("COLOR_BayerGBRG2RGB", "COLOR_BayerRGGB2RGB"),
    ]
    assert_mutants_fail(bayer, changes, check)
