"""Time of the faithful CVML network on this CPU, as ratios within one run, and what bfloat16 costs.

``python -m training.benchmarks.cvml`` (DESIGN section 9). The variants take turns, so that whatever
else the machine does falls on all of them. Ratios are given of the median and the least wall-clock
time and of the median processor time; on a busy machine trust the last, with ``--threads 1``
(threads that wait for each other spend processor time too).
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cross_view_localizer.models.contract import GroundInput
from cross_view_localizer.models.cvml import CVML, VIEWS, initialise

BASE = "float32, channels-last"
HALF = "bfloat16, channels-last"
REUSED = "bfloat16, aerial encoding reused"


def pair(model: CVML) -> tuple[Tensor, GroundInput]:
    """Return one pair of random pictures with some structure, channels-last."""
    view = model.view

    def picture(height: int, width: int) -> Tensor:
        coarse = torch.rand(1, 3, -(-height // 16), -(-width // 16))
        image = torch.nn.functional.interpolate(coarse, scale_factor=16.0)[..., :height, :width]
        noisy = image * 220 + 35 * torch.rand(1, 3, height, width)
        return noisy.contiguous(memory_format=torch.channels_last)

    unused = torch.zeros(1)
    ground = picture(view.ground_height, view.ground_width)
    aerial = picture(view.aerial_size, view.aerial_size)
    return aerial, GroundInput(ground, unused, unused, unused)


def variants(model: CVML) -> dict[str, Callable[[], Any]]:
    """Return what is timed, by name."""
    aerial, ground = pair(model)
    last: Any = copy.deepcopy(model)
    last = last.to(memory_format=torch.channels_last)
    half = copy.deepcopy(last).prepare_inference(torch.bfloat16)
    kept = half.encode_aerial(aerial)

    def autocast() -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return last(aerial, ground)

    return {
        "float32, as made": lambda: model(aerial.contiguous(), ground),
        BASE: lambda: last(aerial, ground),
        "bfloat16 by autocast": autocast,
        HALF: lambda: half(aerial, ground),
        REUSED: lambda: half.match(kept, half.encode_ground(ground)),
        "  aerial encoding alone": lambda: half.encode_aerial(aerial),
        "  ground encoding alone": lambda: half.encode_ground(ground),
    }


class Times(NamedTuple):
    """Seconds of one variant: median and least on the wall clock, median on the processor."""

    median: float
    least: float
    processor: float

    def over(self, other: Times) -> list[float]:
        """Return the three ratios."""
        return [own / base for own, base in zip(self, other, strict=True)]


def measure(calls: dict[str, Callable[[], Any]], repetitions: int) -> dict[str, Times]:
    """Time each call; they take turns, after one round to warm up."""
    wall: dict[str, list[float]] = {name: [] for name in calls}
    processor: dict[str, list[float]] = {name: [] for name in calls}
    for round_number in range(repetitions + 1):
        for name, call in calls.items():
            start = time.perf_counter(), time.process_time()
            call()
            if round_number:
                wall[name].append(time.perf_counter() - start[0])
                processor[name].append(time.process_time() - start[1])
    median = statistics.median
    return {
        name: Times(median(wall[name]), min(wall[name]), median(processor[name])) for name in calls
    }


def report(times: dict[str, Times]) -> None:
    """Print the table of times and ratios."""
    print(f"{'':34}{'seconds':^27}{'ratio':^27}")
    print(f"{'variant':34}" + f"{'median':>9}{'least':>9}{'CPU':>9}" * 2)
    for name, own in times.items():
        numbers = [f"{value:9.3f}" for value in own] + [f"{r:9.2f}" for r in own.over(times[BASE])]
        print(f"{name:34}" + "".join(numbers))
    ratios = times[REUSED].over(times[HALF])
    print(f"{'reused over not reused':61}" + "".join(f"{ratio:9.2f}" for ratio in ratios))


def drift(exact: Tensor, other: Tensor, gsd: float) -> str:
    """Say how far a heatmap (1, 1, H, W) of log mass moved."""
    side = exact.shape[-1]
    peaks = [divmod(int(log_mass.flatten().argmax()), side) for log_mass in (exact, other)]
    shift = gsd * sum((a - b) ** 2 for a, b in zip(*peaks, strict=True)) ** 0.5
    moved = 0.5 * (exact.exp() - other.exp()).abs().sum().item()
    logits = (exact - exact.mean(), other - other.mean())
    relative = ((logits[0] - logits[1]).std() / exact.std()).item()
    return (
        f"logits differ by {relative:.4f} (rms) of their standard deviation {exact.std():.1f}, "
        f"mass moved {moved:.4f}, peak moved {shift:.2f} m"
    )


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    faithful = [name for name in VIEWS if "compact" not in name]
    parser.add_argument("--view", choices=faithful, default="vigor")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    with torch.inference_mode():
        model = CVML(options.view).eval()
        initialise(
            model, xavier=False
        )  # signals keep their size, so that the drift means something
        calls = variants(model)
        times = measure(calls, options.repetitions)
        print(
            f"CVML, {options.view}: one pair, {options.threads} threads, {options.repetitions} runs"
        )
        report(times)
        exact = calls[BASE]().log_mass
        print("bfloat16 drift:", drift(exact, calls[HALF]().log_mass, model.view.output_gsd))


if __name__ == "__main__":
    main()
