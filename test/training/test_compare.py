"""The whole comparison, end to end, on blobs whose errors are known by construction."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from blob_pairs import BlobReader, blob_model

from cross_view_localizer.models import weights as weights_file
from cross_view_localizer.models.weights import LoadedModel
from training import compare
from training.datasets import registry
from training.datasets.pair import Reader
from training.report.plan import PlanError

ERRORS = {"same": 1.0, "same_semi": 3.0, "cross": 2.0, "day1": 1.0, "day2": 2.0, "day3": 3.0}
CORNERS = {
    "same/positive": "same",
    "same/all": "same_all",
    "cross/positive": "cross",
    "cross/all": "cross",
}
RUN = {"sets": [*ERRORS], "weights": ["a.safetensors", "b.safetensors"]}
PLAN: dict[str, Any] = {
    "title": "Blobs",
    "sets": {name: {"reader": "blobs", "options": {"name": name}} for name in ERRORS}
    | {"same_all": {"union": ["same", "same_semi"], "tags": {"tiles": "all"}}},
    "rows": {
        "center": {"label": "Center-only", "control": "center"},
        "uniform": {"label": "Uniform", "control": "uniform"},
        "cvr": {"label": "CVR", "runs": [RUN]},
        "cvml": {"label": "CVML", "runs": [RUN | {"weights": "c.safetensors"}]},
        "shuffled": {"runs": [RUN | {"weights": "c.safetensors", "shuffled": True}]},
    },
    "tables": {
        "table1": {"set": "same", "variants": {"8,S+M": "cvml", "8,M": "cvr"}},
        "table2": {"columns": CORNERS, "rows": ["center", "cvr", "cvml", "shuffled"]},
        "table3": {
            "columns": {"same/positive": "same", "cross/positive": "cross"},
            "rows": ["uniform", "cvr", "cvml"],
        },
        "table4": {"sets": ["day1", "day2", "day3"], "rows": ["center", "cvr", "cvml"]},
    },
    "figures": {
        "fig3": {"columns": CORNERS, "rows": ["cvr", "cvml"]},
        "fig5": {
            "columns": {"same/positive": "same", "cross/positive": "cross"},
            "rows": ["cvml"],
            "flat": ["cvr"],
        },
        "fig6": {
            "robustness": {"rows": ["cvml"], "sets": ["same", "cross"], "degrees": [0, 20]},
            "orientation": {"rows": ["cvml"], "sets": ["same"], "limit": 6, "classes": 8},
        },
    },
}


def reader(kind: str, name: str) -> Reader:
    """Twelve rows whose errors grow by a tenth each: mean x + 0.55 m, to the east."""
    assert kind == "blobs"
    errors = [(ERRORS[name] + k / 10, 0.0) for k in range(12)]
    return BlobReader(errors, sure=list(range(200, 80, -10)), tags={"dataset": "blobs", "s": name})


def model(path: str) -> LoadedModel:
    return blob_model(heading_up=path.startswith("a"))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    run(folder)
    return folder


def run(folder: Path, plan: dict[str, Any] = PLAN, **options: Any) -> None:
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "build", reader)
        patch.setattr(weights_file, "load", model)
        patch.setattr(weights_file, "resolve", lambda path: folder / "plan.yaml")
        compare.compare(str(folder / "plan.yaml"), folder, draws=50, **options)


def results(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return content


def test_every_file_is_written_and_every_cell_filled(out: Path) -> None:
    names = {path.name for path in out.iterdir()}
    pictures = {f"fig{n}.{kind}" for n in (3, 5, 6) for kind in ("png", "pdf")}
    assert {"results.json", "samples.csv", "tables.md", "tables.tex"} | pictures <= names
    for table in results(out)["tables"].values():
        for line in table["lines"]:
            if line["source"] == "ours" and line["label"] != "Center-only":
                assert all(cell["text"] != "-" for cell in line["cells"]), line
    assert "nan" not in (out / "tables.md").read_text().lower().replace("nantes", "")
