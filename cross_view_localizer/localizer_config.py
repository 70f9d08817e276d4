"""Everything a Localizer is told: which model and map, on what device, and when to keep silent."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from cross_view_localizer.poses import MIN_STD


@dataclass(frozen=True)
class LocalizerConfig:
    """One configuration; every value is checked at once.

    Attributes:
        weights: "front" or "panorama" (shipped) or a .safetensors file; empty: ``model`` as made.
        model: name of the method; with ``weights``, refuses weights of another one.
        model_config: keywords of a model without weights.
        map: path of the georeferenced raster.
        map_crs: its CRS, where the file names none.
        map_offset: (x, y) metres to move the imagery by.
        datum: (latitude, longitude) of ``map``'s origin; None: the side file's, else the middle.
        base_height: ``base_link`` above the road, metres.
        field_of_view: horizontal, radians, of a pinhole view that is made from a fisheye or
            equirectangular camera.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "auto" (bfloat16 on CUDA, float32 on a CPU), "float32", "bfloat16" or "float16".
        warm_up: run the network once at construction.
        fuse_prior: multiply the prior into the heatmap.
        prior_sigmas: a prior is too wide when so many standard deviations leave the searchable
            half.
        searchable_half: metres from the middle that the model was trained to search; None: the
            weights' metadata, else half of the heatmap's side.
        heading_sigmas: a heading is too wide when so many standard deviations leave the headings
            that the model searches.
        min_coverage: a smaller share of imagery under the patch is refused.
        max_no_match: a greater probability that image and map do not show the same place is
            refused; one: none is.
        max_std: a greater standard deviation (major axis), metres, is too uncertain.
        max_second_mode: a second mode of more mass, as a share of the chosen one's, is too strong.
        max_prior_distance: a result further from the prior than so many standard deviations (of
            both together, in position) contradicts it; zero: any distance is believed.
        min_std: no published position is surer than this standard deviation, metres.
        covariance_scale: factor on the published covariance, where consecutive errors are alike.
        mode_separation: peaks closer than this, metres, are one mode.
        max_modes: how many modes are reported.
        confidence_radius: metres that "right" means in the confidence.
        reuse_aerial: keep an aerial encoding while the vehicle stays well inside the patch.
        reuse_distance: as a share of the searchable half.
        reuse_angle: radians between the camera's azimuth and the patch's up.
    """

    weights: str = ""
    model: str = ""
    model_config: dict[str, Any] = field(default_factory=dict)
    map: str = ""
    map_crs: str = ""
    map_offset: tuple[float, float] = (0.0, 0.0)
    datum: tuple[float, float] | None = None
    base_height: float = 0.0
    field_of_view: float = math.pi / 2
    device: str = "auto"
    precision: str = "auto"
    warm_up: bool = True
    fuse_prior: bool = False
    prior_sigmas: float = 3.0
    searchable_half: float | None = None
    heading_sigmas: float = 1.0
    min_coverage: float = 0.5
    max_no_match: float = 0.5
    max_std: float = 10.0
    max_second_mode: float = 1.0
    max_prior_distance: float = 3.4
    min_std: float = MIN_STD
    covariance_scale: float = 1.0
    mode_separation: float = 3.0
    max_modes: int = 5
    confidence_radius: float = 3.0
    reuse_aerial: bool = True
    reuse_distance: float = 0.2
    reuse_angle: float = math.radians(2.0)

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ValueError: the first value out of its range, one line.
        """
        if self.precision not in ("auto", "float32", "bfloat16", "float16"):
            raise ValueError(
                f"precision '{self.precision}': expected auto, float32, bfloat16 or float16"
            )
        ranges = {
            "min_coverage": (0.0, 1.0),
            "reuse_distance": (0.0, 0.5),
            "reuse_angle": (0.0, math.radians(10)),
            "base_height": (-10.0, 50.0),
            "field_of_view": (0.1, math.radians(150)),
            "max_modes": (1, 100),
            "prior_sigmas": (0.0, 10.0),
            "heading_sigmas": (0.0, 10.0),
            "max_no_match": (0.0, 1.0),
            "max_std": (0.0, math.inf),
            "max_second_mode": (0.0, math.inf),
            "max_prior_distance": (0.0, math.inf),
            "min_std": (0.001, 10.0),
            "covariance_scale": (0.01, 1000.0),
            "mode_separation": (0.0, 100.0),
            "confidence_radius": (0.0, 100.0),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:  # also NaN
                raise ValueError(f"{name} {value}: expected between {low:g} and {high:g}")
        if self.searchable_half is not None and not self.searchable_half > 0:
            raise ValueError(f"searchable_half {self.searchable_half}: expected metres above zero")
