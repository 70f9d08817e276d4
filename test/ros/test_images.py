from __future__ import annotations

import array

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sensor_msgs.msg")

from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

from cross_view_localizer.ros.incoming.images import (  # noqa: E402
    CHANNELS,
    ConversionError,
    compressed_to_rgb,
    image_to_rgb,
    rgb_bytes,
)

HEIGHT, WIDTH = 12, 16
PICTURE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
PICTURE[...] = (200, 100, 50)


def mosaic(encoding: str) -> NDArray[np.uint8]:
    """Sample PICTURE as a sensor with this Bayer pattern does."""
    pattern = ["rgb".index(letter) for letter in encoding[6:10]]
    raw = np.empty((HEIGHT, WIDTH), np.uint8)
    for k, channel in enumerate(pattern):
        raw[k // 2 :: 2, k % 2 :: 2] = PICTURE[k // 2 :: 2, k % 2 :: 2, channel]
    return raw


def encode(encoding: str) -> NDArray[np.uint8]:
    if encoding.startswith("bayer"):
        return mosaic(encoding)
    if encoding == "mono8":
        return PICTURE[..., 1].copy()
    order = {"r": 0, "g": 1, "b": 2}
    planes = [PICTURE[..., order[c]] for c in encoding[:3]]
    if encoding.endswith("a8"):
        planes.append(np.full((HEIGHT, WIDTH), 255, np.uint8))
    return np.stack(planes, axis=-1)


def message(encoding: str = "rgb8", padding: int = 0) -> Image:
    pixels = encode(encoding).reshape(HEIGHT, -1)
    padded = np.pad(pixels, ((0, 0), (0, padding)), constant_values=7)
    return Image(
        height=HEIGHT,
        width=WIDTH,
        encoding=encoding,
        step=padded.shape[1],
        data=array.array("B", padded.tobytes()),
    )


@pytest.mark.parametrize("encoding", CHANNELS)
@pytest.mark.parametrize("padding", [0, 5])
def test_every_encoding_gives_the_same_rgb(encoding: str, padding: int) -> None:
    rgb = image_to_rgb(message(encoding, padding))
    expected = np.full_like(PICTURE, 100) if encoding == "mono8" else PICTURE
    assert rgb.dtype == np.uint8 and rgb.shape == PICTURE.shape
    np.testing.assert_array_equal(rgb, expected)


@pytest.mark.parametrize("encoding", ["mono16", "rgb16", "16UC1", "32FC1", "yuv422", "8UC3", ""])
def test_other_encodings_are_refused(encoding: str) -> None:
    broken = message()
    broken.encoding = encoding
    with pytest.raises(ConversionError, match="expected one of rgb8"):
        image_to_rgb(broken)


def test_wrong_sizes_are_refused() -> None:
    cut = message()
    cut.data = cut.data[:-1]
    with pytest.raises(ConversionError, match="ends after 575 bytes"):
        image_to_rgb(cut)
    narrow = message()
    narrow.step = 3
    with pytest.raises(ConversionError, match="step 3"):
        image_to_rgb(narrow)
    taller = message()
    taller.height = HEIGHT - 1
    with pytest.raises(ConversionError, match="has 576 bytes"):
        image_to_rgb(taller)
    with pytest.raises(ConversionError, match="empty"):
        image_to_rgb(Image(encoding="rgb8"))


def compressed(data: bytes) -> CompressedImage:
    return CompressedImage(format="jpeg", data=array.array("B", data))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_compressed_pictures_are_decoded(suffix: str) -> None:
    data = cv2.imencode(suffix, PICTURE[..., ::-1])[1].tobytes()
    np.testing.assert_allclose(compressed_to_rgb(compressed(data)), PICTURE, atol=3)
    # Camera drivers pad JPEGs to whole words.
    np.testing.assert_allclose(compressed_to_rgb(compressed(data + b"\0\0\0")), PICTURE, atol=3)


def test_grey_jpeg_becomes_rgb() -> None:
    data = cv2.imencode(".jpg", PICTURE[..., 1])[1].tobytes()
    assert compressed_to_rgb(compressed(data)).shape == PICTURE.shape


def test_broken_compressed_data_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", noise)[1].tobytes()
    with pytest.raises(ConversionError, match="cut off"):
        compressed_to_rgb(compressed(jpeg[: len(jpeg) // 2]))
    with pytest.raises(ConversionError, match="can't be decoded"):
        compressed_to_rgb(compressed(jpeg[:4] + b"\xff\xd9"))
    with pytest.raises(ConversionError, match="expected JPEG or PNG"):
        compressed_to_rgb(compressed(b""))
    deep = cv2.imencode(".png", noise.astype(np.uint16))[1].tobytes()
    with pytest.raises(ConversionError, match="16-bit"):
        compressed_to_rgb(compressed(deep))


def test_rgb_bytes_is_row_major() -> None:
    assert rgb_bytes(PICTURE[:1, :2]).tolist() == [200, 100, 50] * 2
