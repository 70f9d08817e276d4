"""The aerial picture as markers that stock RViz draws where they belong, however long it runs."""

from __future__ import annotations

import array

import cv2
import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray, UVCoordinate

from cross_view_localizer.map.satellite_map import Patch
from cross_view_localizer.ros.messages import corners_of, header

# z of the picture, metres. RViz's Map display pushes the heatmap 16 steps of the depth buffer
# back: 0.1 m in the top-down view, 0.25 m in an orbiting one 50 m away.
BELOW_HEATMAP = -0.5
JPEG_QUALITY = 90

_NAMESPACE = "aerial"
_BLANK = np.full((1, 1, 3), 255, np.uint8)


class AerialMarkers:
    """Makes the messages of one topic; each replaces the picture of the one before.

    A second ADD of the same marker would multiply the picture by the new one (RViz's
    ``TriangleListMarker::updateMaterial`` adds a texture unit each time; black within seconds), so
    everything is deleted first and the picture gets another id. Deleting leaves the texture loaded
    under the old marker's name: a blank takes its place before.
    """

    def __init__(self, frame: str) -> None:
        self._frame = frame
        self._id = 0

    def message(self, patch: Patch) -> MarkerArray:
        """Return the crop's message: blank the old picture, delete, add two textured triangles."""
        old, self._id = self._id, 1 - self._id
        return MarkerArray(
            markers=[
                self._picture(old, patch, _BLANK),
                Marker(header=header(0, self._frame), action=Marker.DELETEALL),
                self._picture(self._id, patch, patch.image),
            ]
        )

    def _picture(self, number: int, patch: Patch, image: NDArray[np.uint8]) -> Marker:
        """Return RGB ``image`` stretched over the patch.

        The stamp is zero, "the latest transform": a latched picture must also show in a fixed
        frame whose transforms at the time of the crop are long gone.
        """
        made = Marker(header=header(0, self._frame), ns=_NAMESPACE, id=number)
        made.type, made.action = Marker.TRIANGLE_LIST, Marker.ADD
        made.pose.position.z = BELOW_HEATMAP
        made.pose.orientation.w = 1.0
        made.scale.x = made.scale.y = made.scale.z = 1.0
        # Opaque, or RViz draws it after the heatmap wherever the map's origin is the nearer.
        made.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
        corners = corners_of(patch.grid)
        # Texture coordinates: (0, 0) is the picture's upper left corner.
        texture = ((0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (0.0, 0.0))
        for corner in (0, 1, 2, 0, 2, 3):
            x, y = corners[corner]
            made.points.append(Point(x=float(x), y=float(y), z=0.0))
            made.uv_coordinates.append(UVCoordinate(u=texture[corner][0], v=texture[corner][1]))
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        made.texture_resource = "embedded://aerial.jpg"
        made.texture = CompressedImage(
            header=made.header, format="jpeg", data=array.array("B", jpeg.tobytes())
        )
        return made
