"""Losses that several methods share: on heatmaps, headings and matching maps, all in float32.

Offsets are (right, down) in heatmap cells from the middle of the map, so the camera lies at
``(size - 1) / 2 + offset`` as (column, row), cell centres at integers; they are not rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, distributed
from torch.nn import functional

from cross_view_localizer.models.contract import Batch, Scores
from cross_view_localizer.views import View

POSITIVE_ABOVE = 1e-2
"""Cells whose label does not exceed this are no positives (the authors' code)."""


@dataclass(frozen=True)
class HeatmapTarget:
    """What a heatmap is trained towards; the options of methods with a heatmap begin with these.

    Attributes:
        sigma_start, sigma_end: smoothing of the target, metres, annealed over the first 70 %.
        sigma_cells: a fixed smoothing in heatmap cells instead (CVML: 4 of 512).
        target: "subpixel", or "published" as CVML's authors draw it (`published_target`).
    """

    sigma_start: float = 1.5
    sigma_end: float = 0.5
    sigma_cells: float | None = None
    target: Literal["subpixel", "published"] = "subpixel"

    def sigma(self, cell: Tensor, progress: float) -> Tensor:
        """Return the smoothing in cells, (B,), for cells of ``cell`` metres."""
        if self.sigma_cells is not None:
            return torch.full_like(cell, self.sigma_cells)
        annealed = (self.sigma_end - self.sigma_start) * min(1, progress / 0.7)
        return (self.sigma_start + annealed) / cell

    def heatmap(self, cells: Tensor, size: int, sigma: Tensor, normalized: bool = True) -> Tensor:
        """Return the (B, size, size) target for (B, 2) offsets in cells."""
        if self.target == "published":
            return published_target(cells, size, sigma, normalized)
        return gaussian_target(cells, size, sigma, normalized)

    def place(self, scores: Scores, batch: Batch, progress: float) -> Tensor:
        """Return the cross-entropy of the heatmap, summed over headings, nats."""
        place = torch.logsumexp(scores.log_mass.float(), dim=1)
        sigma = self.sigma(batch.cell, progress)
        return soft_cross_entropy(place, self.heatmap(in_cells(batch), place.shape[-1], sigma))


def float32(batch: Batch) -> torch.autocast:
    """Return the context for losses: float32, whatever precision the network ran in."""
    return torch.autocast(batch.cell.device.type, enabled=False)


def in_cells(batch: Batch) -> Tensor:
    """Return the (B, 2) offsets in heatmap cells."""
    return batch.offset / batch.cell[:, None]


def gaussian_target(
    offset_cells: Tensor, size: int, sigma_cells: float | Tensor, normalized: bool = True
) -> Tensor:
    """Return the smoothed one-hot target (CVML section 3.2, "Losses") about a sub-pixel centre.

    Args:
        offset_cells: (B, 2) (right, down) from the middle of the map to the camera, cells.
        size: side of the map, cells.
        sigma_cells: standard deviation of the smoothing, cells; a number or (B,).
        normalized: each map sums to one (also where the camera lies outside the map: then the mass
            gathers at the nearest border); otherwise the value at the very camera is one.

    Returns:
        (B, size, size) float32, rows run down, columns right.
    """
    if offset_cells.ndim != 2 or offset_cells.shape[1] != 2:
        raise ValueError(
            f"offsets of shape {tuple(offset_cells.shape)}: expected (B, 2) as (right, down) cells"
        )
    center = offset_cells.float() + (size - 1) / 2
    cells = torch.arange(size, device=center.device, dtype=torch.float32)
    return _gaussian(cells - center[:, :1], cells - center[:, 1:], sigma_cells, normalized)


def published_target(
    offset_cells: Tensor,
    size: int = 512,
    sigma_cells: float | Tensor = 4.0,
    normalized: bool = True,
) -> Tensor:
    """Return the target as the authors' code draws it, for comparisons only.

    It differs from `gaussian_target` by whole-cell offsets, a middle at ``size / 2`` and an axis
    stretched by size / (size - 1): the peak is at ``(size / 2 + offset) * (size - 1) / size``.
    """
    axis = torch.linspace(-size / 2, size / 2, size, device=offset_cells.device)
    offset = offset_cells.float().round()
    return _gaussian(axis - offset[:, :1], axis - offset[:, 1:], sigma_cells, normalized)


def _gaussian(right: Tensor, down: Tensor, sigma: float | Tensor, normalized: bool) -> Tensor:
    """Product of two one-dimensional Gaussians over (B, size) distances."""
    scale = torch.as_tensor(sigma, dtype=torch.float32, device=right.device).reshape(-1, 1)
    across, along = -0.5 * (right / scale) ** 2, -0.5 * (down / scale) ** 2
    if normalized:  # softmax per axis: finite even where every cell is far from the centre
        return torch.softmax(along, 1)[:, :, None] * torch.softmax(across, 1)[:, None, :]
    return along.exp()[:, :, None] * across.exp()[:, None, :]


def soft_cross_entropy(log_mass: Tensor, target: Tensor) -> Tensor:
    """Return the mean cross-entropy over the batch, nats (CVML section 3.2, L_out).

    Args:
        log_mass: (B, R, H, W) or (B, H, W) normalised log mass, e.g. ``Scores.log_mass``.
        target: the same shape, or (B, H, W) where R is 1; each sample sums to one.
    """
    if target.ndim == log_mass.ndim - 1:
        target = target.unsqueeze(1)
    if target.shape != log_mass.shape:
        raise ValueError(f"target of shape {tuple(target.shape)}: expected {tuple(log_mass.shape)}")
    target = target.float()
    # A masked cell has log mass -inf; where the target is zero it must count nothing, not NaN.
    terms = target * torch.where(target > 0, log_mass.float(), torch.zeros_like(target))
    return -terms.flatten(1).sum(1).mean()


def yaw_cross_entropy(scores: Scores, cells: Tensor, yaw: Tensor) -> Tensor:
    """Return the cross-entropy of the heading at the true cell, nats.

    The truth is shared by the two offsets next to it.

    Args:
        scores: with several yaw offsets, evenly spaced.
        cells: (B, 2) offsets in cells; yaw: (B,) radians.
    """
    offsets = torch.atleast_2d(scores.yaw_offsets)
    spacing = offsets[:, 1:2] - offsets[:, :1]
    share = (1 - (yaw[:, None] - offsets).abs() / spacing).clamp(min=0)
    share = share / share.sum(dim=1, keepdim=True).clamp(min=1e-6)
    size = scores.log_mass.shape[-1]
    place = (cells + (size - 1) / 2).round().long().clamp(0, size - 1)
    index = torch.arange(len(cells), device=cells.device)
    column = scores.log_mass[index, :, place[:, 1], place[:, 0]].float()
    return -(share * torch.log_softmax(column, dim=1)).sum(dim=1).mean()


def where_known(found: Tensor, truth: Tensor) -> Tensor:
    """Return the smooth L1 loss over the samples whose truth is known; zero where none is.

    Args:
        found, truth: (B, n); a truth with a NaN is unknown, and gives no gradient.
    """
    known = torch.isfinite(truth).all(dim=1, keepdim=True)
    away = functional.smooth_l1_loss(found.float(), torch.where(known, truth, found.detach()))
    share = mean_over_ranks(known.float().mean())
    return away / share.clamp(min=1e-6)


def of_one_place(scores: Scores, batch: Batch) -> tuple[Scores, Batch]:
    """Return the samples whose pictures show the same place; all, where none does.

    Those are rare then: a batch without any would have no loss.
    """
    if batch.same_place is None or bool((batch.same_place > 0.5).all()):
        return scores, batch
    kept = batch.same_place > 0.5
    if not bool(kept.any()):
        kept = torch.ones_like(kept)
    mass = scores.log_mass[kept]
    offsets = scores.yaw_offsets if scores.yaw_offsets.ndim == 1 else scores.yaw_offsets[kept]
    return Scores(mass, offsets), batch.each(lambda part: part[kept])


def no_match(logits: Tensor, strangers: Tensor, batch: Batch) -> Tensor:
    """Return the cross-entropy of telling pictures of one place from others, each kind by half.

    Args:
        logits: (B,) of the batch's own pairs, of which some may be of two places.
        strangers: (n,) of pairs that are of two places for certain.
    """
    same = torch.ones_like(logits) if batch.same_place is None else batch.same_place
    right = functional.softplus(logits.float()) * same
    wrong = functional.softplus(-logits.float()) * (1 - same)
    others = functional.softplus(-strangers.float())
    away = (wrong.sum() + others.sum()) / (len(strangers) + (1 - same).sum()).clamp(min=1.0)
    return (right.sum() / same.sum().clamp(min=1.0) + away) / 2


def bottleneck_labels(target: Tensor, cells: int) -> Tensor:
    """Return the (B, N, N) max-pooled labels of an *unnormalised* (B, size, size) target.

    Raises:
        ValueError: where the N cells do not divide the map.
    """
    size = target.shape[-1]
    if size % cells:
        raise ValueError(f"{cells} cells a side: expected a divisor of the map's side {size}")
    return functional.max_pool2d(target.unsqueeze(1), size // cells).squeeze(1)


def view_bottleneck_labels(
    view: View, offset_cells: Tensor, cells: int, sigma_cells: float | Tensor
) -> Tensor:
    """Return the (B, N, N) labels over the whole aerial picture for offsets given in the heatmap.

    The picture may reach further than the heatmap and lie ahead of it. Arguments as in
    `gaussian_target`, sigma in aerial pixels.
    """
    ahead = offset_cells.new_tensor([0.0, view.aerial_ahead / view.aerial_gsd])
    offset = offset_cells * (view.output_gsd / view.aerial_gsd) + ahead
    target = gaussian_target(offset, view.aerial_size, sigma_cells, normalized=False)
    return bottleneck_labels(target, cells)


def _positive_log_probabilities(
    matching: Tensor, labels: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Return (B, cells) weights, zero for non-positives, and log softmax(matching / τ)."""
    if matching.shape != labels.shape:
        raise ValueError(
            f"labels of shape {tuple(labels.shape)}: expected the map's {tuple(matching.shape)}"
        )
    log_probability = torch.log_softmax(matching.float().flatten(1) / temperature, dim=1)
    weights = labels.float().flatten(1)
    return torch.where(
        weights > POSITIVE_ABOVE, weights, torch.zeros_like(weights)
    ), log_probability


def info_nce_per_sample(matching: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Return the bottleneck loss as the paper writes it (equation 1 and L_sim of section 3.2).

    Each sample's positive weights are renormalised to one; the mean runs over the samples that have
    a positive cell (zero where none has).

    Args:
        matching: (B, N, N) cosine similarities.
        labels: (B, N, N) from `bottleneck_labels`; cells above `POSITIVE_ABOVE` are the positives.
        temperature: the τ of infoNCE.
    """
    weights, log_probability = _positive_log_probabilities(matching, labels, temperature)
    total = weights.sum(1)
    losses = -(weights * log_probability).sum(1) / total.clamp(min=POSITIVE_ABOVE)
    return losses.sum() / mean_over_ranks((total > 0).float().sum()).clamp(min=1e-6)


def info_nce_batch_wide(matching: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Return the bottleneck loss as the authors' code does: one weighted mean over the whole batch.

    A sample with several positive cells weighs more than in `info_nce_per_sample`; same arguments.
    """
    weights, log_probability = _positive_log_probabilities(matching, labels, temperature)
    total = mean_over_ranks(weights.sum())
    return -(weights * log_probability).sum() / total.clamp(min=POSITIVE_ABOVE)


INFO_NCE = {"per_sample": info_nce_per_sample, "batch_wide": info_nce_batch_wide}
"""The two forms by name."""


def mean_over_ranks(count: Tensor) -> Tensor:
    """Return a scalar without gradient averaged over the processes that train together.

    The processes' gradients are averaged; divided by this, each sample counts as in one process.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return count
    mean = count.detach().clone()
    distributed.all_reduce(mean)
    return mean / distributed.get_world_size()
