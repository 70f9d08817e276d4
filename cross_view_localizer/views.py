"""The pair of pictures that a model is made for: what camera and map are asked to give."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True)
class View:
    """The pair of pictures a model is made for.

    Attributes:
        ground: "pinhole" (undistorted, forward) or "panorama" (equirectangular, middle column = the
            camera's forward axis, full 360 degrees, rows from straight up to straight down).
        ground_width, ground_height: size of the ground picture, pixels.
        aerial_size: side of the square aerial picture, pixels.
        aerial_gsd: its ground sampling distance, metres per pixel.
        output_size: side of the square heatmap, cells; it has the aerial picture's up.
        output_gsd: metres per heatmap cell.
        aerial_ahead: metres by which the aerial picture's middle lies ahead (image-up) of the
            heatmap's middle: a front camera sees nothing behind it, so imagery there is of no use.
        heading_up: the aerial picture's up is the camera's azimuth; otherwise it is north, and a
            panorama's middle column looks north.
        estimates_heading: match() gives a distribution over headings too.
        stretch: a pinhole camera's whole picture is squeezed into the ground picture's size, as
            some published protocols do (fx and fy differ then); otherwise its middle is cut to that
            size's aspect ratio. For training and driving alike.
    """

    ground: Literal["pinhole", "panorama"]
    ground_width: int
    ground_height: int
    aerial_size: int
    aerial_gsd: float
    output_size: int
    output_gsd: float
    aerial_ahead: float = 0.0
    heading_up: bool = True
    estimates_heading: bool = False
    stretch: bool = False

    @classmethod
    def completed(cls, stored: dict[str, Any]) -> dict[str, Any]:
        """Return a stored view's fields with the defaults of those that it was stored without."""
        known = {field.name: field.default for field in fields(cls)}
        return {**known, **stored}
