"""Eight samples, learned by heart: gradients reach every part; the truth is where it is said."""

from itertools import islice

import torch

from cross_view_localizer.models.bev import BevModel, BevObjective
from training.datasets.sample import collate
from training.datasets.town_stream import TownStream

STEPS = 72


def test_the_geometric_model_learns_eight_samples_by_heart() -> None:
    torch.manual_seed(0)
    model = BevModel(encoder="pyramid")
    model.objective = BevObjective(sigma_start=1.0)
    stream = TownStream(model.view, seed=5, frames=8, uses=1, pool=1)
    batch = collate(list(islice(iter(stream), 8)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    slower = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, STEPS)
    model.train()
    for step in range(STEPS):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            terms = model.loss(batch, progress=step / STEPS)
        optimizer.zero_grad()
        terms["loss"].backward()
        if step == 0:
            silent = [n for n, p in model.named_parameters() if p.grad is None]
            assert not silent
        optimizer.step()
        slower.step()
    with torch.no_grad():
        place = model(batch.aerial, batch.ground).log_mass.logsumexp(dim=1)
    size = model.view.output_size
    best = place.flatten(1).argmax(dim=1)
    found = torch.stack([best % size, best // size], dim=1)
    cells = batch.offset / model.view.output_gsd + (size - 1) / 2
    error = (found - cells).norm(dim=1)
    assert float(error.max()) < 1.0  # cells of 0.5 m; the nearest cell is at most 0.71 away
