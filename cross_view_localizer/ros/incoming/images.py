"""Image and CompressedImage messages to RGB arrays, and back; refuses what it cannot read."""

from __future__ import annotations

import array
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cross_view_localizer.ros.incoming import image_bridge

# Bytes per pixel of what is accepted. 16-bit pictures are refused: how their range maps to 8 bits
# depends on the camera, and a guess would give the network black pictures.
CHANNELS = {
    "rgb8": 3,
    "bgr8": 3,
    "rgba8": 4,
    "bgra8": 4,
    "mono8": 1,
    "bayer_rggb8": 1,
    "bayer_bggr8": 1,
    "bayer_gbrg8": 1,
    "bayer_grbg8": 1,
}
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND"


class ConversionError(ValueError):
    """A message that can't be used; the message is one line for people."""


def image_to_rgb(message: Any) -> NDArray[np.uint8]:
    """Return a sensor_msgs/Image as (H, W, 3) uint8 RGB; may share memory with the message.

    Raises:
        ConversionError: unknown or 16-bit encoding, zero size, data that do not fit the size.
    """
    height, width, step = int(message.height), int(message.width), int(message.step)
    channels = CHANNELS.get(message.encoding)
    if channels is None:
        raise ConversionError(
            f"image encoding {message.encoding!r}: expected one of {', '.join(CHANNELS)}"
        )
    if height == 0 or width == 0:
        raise ConversionError(f"image of {width} x {height} pixels is empty")
    row = width * channels
    if step < row:
        raise ConversionError(
            f"image step {step}: {width} {message.encoding} pixels need {row} bytes in a row"
        )
    data = np.frombuffer(message.data, dtype=np.uint8)
    # The last row's padding may be missing.
    if data.size < step * (height - 1) + row:
        raise ConversionError(
            f"image data ends after {data.size} bytes: {height} rows of {step} bytes were announced"
        )
    if data.size > step * height:
        raise ConversionError(
            f"image has {data.size} bytes: {height} rows of {step} bytes were announced"
        )
    if step > row:  # rosbags-image knows no padding
        message = _without_padding(message, data, row)
    return image_bridge.chosen()[1](message)


def _without_padding(message: Any, data: NDArray[np.uint8], row: int) -> Any:
    height, step = int(message.height), int(message.step)
    padded = np.zeros(step * height, np.uint8)
    padded[: data.size] = data
    tight = np.ascontiguousarray(padded.reshape(height, step)[:, :row])
    if image_bridge.chosen()[0] == "cv_bridge":  # compiled code: wants the real message type
        message.step, message.data = row, array.array("B", tight.tobytes())
        return message
    return SimpleNamespace(
        height=message.height,
        width=message.width,
        encoding=message.encoding,
        is_bigendian=message.is_bigendian,
        data=tight.reshape(-1),
    )


def compressed_to_rgb(message: Any) -> NDArray[np.uint8]:
    """Return a sensor_msgs/CompressedImage (JPEG or PNG, 8 bit) as (H, W, 3) uint8 RGB.

    OpenCV decodes directly: both bridges keep grey pictures grey, and fill a cut JPEG with grey
    without a word.

    Raises:
        ConversionError: neither JPEG nor PNG, 16 bit, truncated or undecodable.
    """
    data = np.frombuffer(message.data, dtype=np.uint8)
    head, tail = data[:32].tobytes(), data[-1024:].tobytes().rstrip(b"\0")
    if head.startswith(_JPEG):
        kind, complete = "JPEG", tail.endswith(_JPEG_END)
    elif head.startswith(_PNG):
        kind, complete = "PNG", tail[-8:].startswith(_PNG_END)
        if len(head) > 24 and head[24] == 16:
            raise ConversionError("16-bit PNG: expected 8 bits per channel")
    else:
        raise ConversionError(
            f"compressed image ({data.size} bytes, {message.format!r}): expected JPEG or PNG"
        )
    if not complete:
        raise ConversionError(f"{kind} ends after {data.size} bytes: the data is cut off")
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        bgr = None
    if bgr is None:
        raise ConversionError(f"{kind} of {data.size} bytes can't be decoded")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def rgb_bytes(image: NDArray[np.uint8]) -> array.array[int]:
    """Return the pixels as what rclpy copies fastest into a uint8[] field (20x a bytes object)."""
    return array.array("B", np.ascontiguousarray(image).tobytes())
