"""What stock RViz 2 (Humble to Jazzy) makes of marker messages, as far as textures go.

From rviz_default_plugins: ``MarkerCommon::addMessage`` and ``processMessage`` (what ADD and
DELETEALL do, and the check for duplicates), ``TriangleListMarker::updateMaterial`` (every message
of a marker adds a unit of its texture to its material, whose units multiply; the texture itself is
replaced under the marker's own name) and ``~TriangleListMarker`` (the material goes with the
marker, the texture stays loaded).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from visualization_msgs.msg import Marker, MarkerArray


@dataclass
class Drawn:
    """One marker on the screen.

    Attributes:
        message: the newest one.
        serial: counts the markers that were ever made; names the texture.
        texture_units: how often the texture is multiplied into the picture; right is 1.
    """

    message: Any
    serial: int
    texture_units: int = 0


@dataclass
class MarkerArrayDisplay:
    """The display's state.

    Attributes:
        drawn: (namespace, id) -> what is on the screen.
        textures: serial -> bytes of every texture that is loaded, also of deleted markers.
        errors: what the display's status says.
    """

    drawn: dict[tuple[str, int], Drawn] = field(default_factory=dict)
    textures: dict[int, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    _made: int = 0

    def take(self, array: MarkerArray) -> None:
        names = [(marker.ns, marker.id) for marker in array.markers]
        if len(set(names)) < len(names):
            self.errors.append("Multiple Markers in the same MarkerArray message")
        for marker in array.markers:
            if marker.action == Marker.DELETEALL:
                self.drawn = {
                    key: drawn for key, drawn in self.drawn.items() if marker.ns not in ("", key[0])
                }
            elif marker.action == Marker.ADD:
                self._add(marker)
            else:
                self.errors.append(f"action {marker.action} is not modelled")

    def _add(self, marker: Marker) -> None:
        drawn = self.drawn.get((marker.ns, marker.id))
        if drawn is None:
            drawn = Drawn(marker, self._made)
            self._made += 1
            self.drawn[marker.ns, marker.id] = drawn
        drawn.message = marker
        if len(marker.points) == 0 or len(marker.points) % 3:
            self.errors.append(f"{len(marker.points)} points")
            return
        textured = len(marker.uv_coordinates) == len(marker.points)
        if textured and marker.texture_resource.startswith("embedded://"):
            self.textures[drawn.serial] = len(marker.texture.data)
            drawn.texture_units += 1
