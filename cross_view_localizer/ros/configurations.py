"""From the node's parameters to the configurations of the core."""

from __future__ import annotations

from cross_view_localizer.localizer import LocalizerConfig
from cross_view_localizer.prior.prior import PriorConfig
from cross_view_localizer.ros.parameters import Parameters


def localizer_config(parameters: Parameters) -> LocalizerConfig:
    """Return the core's configuration.

    Raises:
        ValueError: a value out of range, one line.
    """
    p = parameters
    return LocalizerConfig(
        weights="" if p.weights == "none" else p.weights,
        model=p.model,
        map=p.map,
        map_crs=p.map_crs,
        map_offset=(p.map_offset[0], p.map_offset[1]),
        datum=(p.datum[0], p.datum[1]) if p.datum else None,
        base_height=p.base_height,
        device=p.device,
        precision=p.precision,
        fuse_prior=p.fuse_prior,
        searchable_half=p.searchable_half or None,
        min_coverage=p.min_coverage,
        max_no_match=p.max_no_match,
        max_std=p.max_std,
        max_second_mode=p.max_second_mode,
        max_prior_distance=p.max_prior_distance,
        min_std=p.min_std,
        covariance_scale=p.covariance_scale,
        confidence_radius=p.confidence_radius,
    )


def prior_config(parameters: Parameters) -> PriorConfig:
    """Return the prior's configuration.

    Raises:
        ValueError: a value out of range, one line.
    """
    names = PriorConfig.__dataclass_fields__.keys() & Parameters.__dataclass_fields__.keys()
    return PriorConfig(**{name: getattr(parameters, name) for name in names})
