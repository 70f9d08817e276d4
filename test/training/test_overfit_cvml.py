"""Standing test: the compact CVML learns eight random pairs by heart, with training's losses."""

from __future__ import annotations

import torch

from cross_view_localizer.models.contract import GroundInput
from cross_view_localizer.models.cvml import CVML
from cross_view_localizer.models.parts import losses

VIEW = {
    "base": "compact-front",
    "ground_width": 64,
    "ground_height": 48,
    "aerial_size": 64,
    "output_size": 48,
    "aerial_ahead": 2.0,
}


def test_eight_pairs_are_learned_by_heart() -> None:
    torch.manual_seed(0)
    model = CVML(VIEW, cells=4, backbone="vgg16-compact", width=0.5, norm="batch").train()
    aerial = 255 * torch.rand(8, 3, 8, 8).repeat_interleave(8, 2).repeat_interleave(8, 3)
    ground = 255 * torch.rand(8, 3, 6, 8).repeat_interleave(8, 2).repeat_interleave(8, 3)
    aerial[4:] = aerial[:4]  # the aerial picture alone can't tell these four from the others
    offset = 40 * torch.rand(8, 2) - 20
    target = losses.gaussian_target(offset, 48, 1.5)
    labels = losses.view_bottleneck_labels(model.view, offset, 4, 4.0)
    unused = torch.zeros(8)
    inputs = GroundInput(ground, unused, unused, unused)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(80):
        with torch.autocast("cpu", torch.bfloat16):
            scores, matching = model.match_with_bottleneck(
                model.encode_aerial(aerial), model.encode_ground(inputs)
            )
        assert scores.log_mass.dtype == matching.dtype == torch.float32
        loss = losses.soft_cross_entropy(scores.log_mass, target)
        nce = losses.info_nce_per_sample(matching, labels)
        optimiser.zero_grad()
        (loss + nce).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
    best = losses.soft_cross_entropy(target.clamp(min=1e-30).log()[:, None], target)
    assert loss.item() < best.item() + 0.5  # nats; starts at log(48²) = 7.7
    cells = torch.stack(torch.meshgrid(torch.arange(48), torch.arange(48), indexing="xy"), -1)
    peaks = cells.view(-1, 2)[scores.log_mass.flatten(1).argmax(1)] - 23.5
    errors = (peaks - offset).norm(dim=1)
    assert errors.max() < 1.0  # cells; the nearest is at most 0.71 away
