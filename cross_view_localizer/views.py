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
        pad: a pinhole camera's whole picture is fitted into the ground picture, as wide as the
            camera sees (up to 120 degrees; one that sees less than 35 is refused), and what
            remains is black and masked.
        frames: ground pictures that it takes, the newest and those before it.
        fewest_frames: how many it can do with; None: no fewer than ``frames``.

    Raises:
        ValueError: frames that make no sense, or a picture both stretched and padded.
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
    pad: bool = False
    frames: int = 1
    fewest_frames: int | None = None

    def __post_init__(self) -> None:
        if self.stretch and self.pad:
            raise ValueError("view both stretched and padded: expected one of the two")
        if not 1 <= self.needed_frames <= self.frames:
            raise ValueError(
                f"view of {self.frames} frames, at least {self.needed_frames}: expected one or "
                "more, and no fewer than the least"
            )

    @property
    def needed_frames(self) -> int:
        """How many frames it can do with."""
        return self.frames if self.fewest_frames is None else self.fewest_frames

    def few_frames(self, given: int) -> str:
        """Return one line where ``given`` frames are too few, else nothing."""
        if given >= self.needed_frames:
            return ""
        return (
            f"{given} {'frame' if given == 1 else 'frames'}: the model needs {self.needed_frames} "
            "with the motion between them"
        )

    @classmethod
    def completed(cls, stored: dict[str, Any]) -> dict[str, Any]:
        """Return a stored view's fields with the defaults of those that it was stored without."""
        known = {field.name: field.default for field in fields(cls)}
        return {**known, **stored}
