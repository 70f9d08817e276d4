"""Decides who turns a raw image message into RGB: cv_bridge where it works, else rosbags-image.

The distribution's cv_bridge is compiled against one numpy and crashes the process under another
(vision_opencv #535), so it is tried in a child process first. The only module that knows of either.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

ToRgb = Callable[[Any], NDArray[np.uint8]]

_SELF_CHECK = """
import numpy as np
from cv_bridge import CvBridge
from sensor_msgs.msg import Image
message = Image(height=1, width=2, encoding="bgr8", step=6, data=[1, 2, 3, 4, 5, 6])
assert CvBridge().imgmsg_to_cv2(message, "rgb8").tolist() == [[[3, 2, 1], [6, 5, 4]]]
"""


def cv_bridge_works(timeout: float = 30.0) -> bool:
    """Return whether cv_bridge is installed and converts two pixels rightly in a child process."""
    if find_spec("cv_bridge") is None:
        return False
    command = [sys.executable, "-c", _SELF_CHECK]
    try:
        check = subprocess.run(command, capture_output=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return check.returncode == 0


@lru_cache(maxsize=1)
def chosen() -> tuple[str, ToRgb]:
    """Return the converter's name and the function: validated Image -> (H, W, 3) uint8 RGB.

    The function's result may share memory with the message.

    Raises:
        ImportError: where neither is installed.
    """
    if cv_bridge_works():
        from cv_bridge import CvBridge

        bridge = CvBridge()
        return "cv_bridge", lambda message: np.asarray(bridge.imgmsg_to_cv2(message, "rgb8"))
    try:
        from rosbags.image import image_to_cvimage
    except ImportError as error:
        raise ImportError(
            "no image conversion: install cv_bridge (apt) or rosbags-image (pip)"
        ) from error
    return "rosbags-image", lambda message: np.asarray(image_to_cvimage(message, "rgb8"))
