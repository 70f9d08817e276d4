"""Make test/data/cvml_robotcar_tensorflow.npz with TensorFlow itself, in float64.

Not a test; run by hand in an environment that has numpy and tensorflow:
``python test/models/make_cvml_robotcar_reference.py``. The graph is written from the paper and
its published facts with TensorFlow's own operations, so the padding is TensorFlow's. The same graph
at VIGOR's sizes agreed with the authors' outputs (../shared/reference) to 3e-7 in the matching map
and 6e-6 standard deviations in the logits, in float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import formula
import numpy as np
import tensorflow as tf

DEPTHS = (2, 2, 3, 3, 3)
TRUNK = (64, 128, 256, 512, 512)
DECODER = (  # per stage: input channels, after the transposed convolution, skip, after the others
    (4097, 1024, 0, 512, 512),
    (512, 256, 512, 256, 256),
    (256, 128, 512, 128, 128),
    (128, 64, 256, 64, 64),
    (64, 32, 128, 32, 32),
    (32, 16, 64, 16, 1),
)


def shapes() -> dict[str, tuple[int, ...]]:
    """Return the variables of the graph at RobotCar's sizes."""
    result: dict[str, tuple[int, ...]] = {}

    def layer(name: str, kernel: tuple[int, ...], bias: int) -> None:
        result[f"{name}/weights"] = (3, 3, *kernel)
        result[f"{name}/biases"] = (bias,)

    for scope, positions in (("grd", 40), ("sat", 16)):
        channels = 3
        for block, (depth, width) in enumerate(zip(DEPTHS, TRUNK, strict=True), 1):
            for number in range(1, depth + 1):
                layer(f"VGG_{scope}/conv{block}_{number}", (channels, width), width)
                channels = width
        hidden = positions // 2
        result[f"spatial_{scope}/weights1"] = (positions, hidden, 8)
        result[f"spatial_{scope}/biases1"] = (1, hidden, 8)
        result[f"spatial_{scope}/weights2"] = (hidden, positions, 8)
        result[f"spatial_{scope}/biases2"] = (1, positions, 8)
    for stage, (channels, up, skip, first, second) in enumerate(DECODER, 1):
        layer(f"decode/deconv{stage}", (up, channels), up)
        layer(f"decode/conv{stage}_1", (up + skip, first), first)
        layer(f"decode/conv{stage}_2", (first, second), second)
    return result


def graph(values: dict[str, Any], ground: Any, aerial: Any) -> tuple[Any, Any]:
    """Return matching map (1, 8, 8) and logits (1, 512, 512) for BGR, mean-free (1, H, W, 3)."""

    def conv(x: Any, name: str, last: bool = False) -> Any:
        x = tf.nn.conv2d(x, values[f"{name}/weights"], 1, "SAME") + values[f"{name}/biases"]
        return x if last else tf.nn.relu(x)

    def trunk(x: Any, scope: str) -> list[Any]:
        features: list[Any] = []
        for block, depth in enumerate(DEPTHS, 1):
            x = tf.nn.max_pool2d(x, 2, 2, "SAME") if features else x
            for number in range(1, depth + 1):
                x = conv(x, f"{scope}/conv{block}_{number}")
            features.append(x)
        return features

    def safa(x: Any, scope: str) -> Any:
        x = tf.reshape(x, [1, -1, 512])
        hidden = tf.einsum("bi,ijd->bjd", tf.reduce_mean(x, 2), values[f"{scope}/weights1"])
        hidden += values[f"{scope}/biases1"]
        masks = tf.einsum("bjd,jid->bid", hidden, values[f"{scope}/weights2"])
        masks += values[f"{scope}/biases2"]
        return tf.nn.l2_normalize(tf.reshape(tf.einsum("bic,bid->bdc", x, masks), [1, -1]), 1)

    query = safa(tf.nn.max_pool2d(trunk(ground, "VGG_grd")[-1], 2, 2, "SAME"), "spatial_grd")
    features = trunk(aerial, "VGG_sat")
    rows = [
        tf.stack([safa(c, "spatial_sat") for c in tf.split(row, 8, 2)], 1)
        for row in tf.split(features[-1], 8, 1)
    ]
    cells = tf.stack(rows, 1)
    matching = tf.reduce_sum(cells * query[:, None, None], 3, keepdims=True)
    x = tf.concat([matching, cells], 3)
    for stage, (_, up, skip, _, _) in enumerate(DECODER, 1):
        side = 2 * x.shape[1]
        kernel = values[f"decode/deconv{stage}/weights"]
        x = tf.nn.conv2d_transpose(x, kernel, [1, side, side, up], 2, "SAME")
        x = tf.nn.relu(x + values[f"decode/deconv{stage}/biases"])
        x = tf.concat([x, features[6 - stage]], 3) if skip else x
        x = conv(conv(x, f"decode/conv{stage}_1"), f"decode/conv{stage}_2", stage == len(DECODER))
    return matching[..., 0].numpy(), x[..., 0].numpy()


def main() -> None:
    """Write the file: for two pairs the matching map, every 32nd logit, and the logits' moments."""
    values = {name: value.astype(np.float64) for name, value in formula.weights(shapes()).items()}
    results: dict[str, list[Any]] = {"matching": [], "logits": [], "mean_std": [], "argmax": []}
    for index in range(2):
        pair = [
            formula.picture(f"robotcar ground {index}", 154, 231),
            formula.picture(f"robotcar aerial {index}", 512, 512),
        ]
        mean = np.array([103.939, 116.779, 123.6], np.float32)
        inputs = [(rgb[None, ..., ::-1].astype(np.float32) - mean).astype(float) for rgb in pair]
        matching, logits = graph(values, *inputs)
        results["matching"].append(matching[0])
        results["logits"].append(logits[0, 8::32, 8::32])
        results["mean_std"].append((logits.mean(), logits.std()))
        results["argmax"].append(np.unravel_index(logits[0].argmax(), (512, 512)))
    arrays = {
        name: np.asarray(value, np.int64 if name == "argmax" else np.float32)
        for name, value in results.items()
    }
    target = Path(__file__).parents[1] / "data" / "cvml_robotcar_tensorflow.npz"
    np.savez_compressed(target, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
