"""The whole comparison, end to end, on blobs whose errors are known by construction."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from blob_pairs import BlobReader, blob_model

from cross_view_localizer.localizer_config import LocalizerConfig
from cross_view_localizer.models import weights as weights_file
from cross_view_localizer.models.weights import LoadedModel
from training import compare
from training.datasets import registry
from training.datasets.pair import Reader
from training.measuring.plan import PlanError
from training.measuring.rows import Rows

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
        "untrained": {"runs": [RUN | {"weights": "missing.safetensors"}]},
        "shuffled": {"runs": [RUN | {"weights": "c.safetensors", "shuffled": True}]},
    },
    "tables": {
        "table1": {"set": "same", "variants": {"8,S+M": "cvml", "8,M": "cvr"}},
        "table2": {"columns": CORNERS, "rows": ["center", "cvr", "cvml", "shuffled", "untrained"]},
        "table3": {
            "columns": {"same/positive": "same", "cross/positive": "cross"},
            "rows": ["uniform", "cvr", "cvml"],
        },
        "details": {"sets": ["same"], "rows": ["center", "cvr", "cvml"]},
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
        there = {True: folder / "plan.yaml", False: folder / "nowhere"}
        patch.setattr(weights_file, "resolve", lambda path: there["missing" not in str(path)])
        compare.compare(str(folder / "plan.yaml"), folder, draws=50, **options)


def results(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return content


def cells(folder: Path, table: str, label: str, source: str = "ours") -> list[str]:
    lines = results(folder)["tables"][table]["lines"]
    found = [line for line in lines if line["label"] == label and line["source"] == source]
    assert len(found) == 1, (label, [line["label"] for line in lines])
    return [cell["text"] for cell in found[0]["cells"]]


def test_every_file_is_written_and_every_cell_filled(out: Path) -> None:
    names = {path.name for path in out.iterdir()}
    pictures = {f"fig{n}.{kind}" for n in (3, 5, 6) for kind in ("png", "pdf")}
    written = {"results.json", "samples.csv", "headings.csv", "tables.md", "tables.tex"}
    assert written | pictures <= names
    for name in ("table2", "table3"):
        for line in results(out)["tables"][name]["lines"]:
            assert all(cell["text"] != "-" for cell in line["cells"]), line
    for label in ("CVR (2 seeds)", "CVML (1 seed)"):
        assert "-" not in cells(out, "table4", label)
    assert " nan" not in (out / "tables.md").read_text()


def test_cells_hold_what_the_blobs_say(out: Path) -> None:
    rows = [row for row in read(out / "samples.csv") if row["pass"] == "errors"]
    ours = [r for r in rows if r["row"] == "cvml" and r["set"] == "same"]
    modes = [float(r["mode_error"]) for r in ours]
    # Rows go from 1.0 to 2.1 m; the fit of the peak is good to a few per cent of a cell.
    assert modes == pytest.approx([1 + k / 10 for k in range(12)], abs=0.15)
    errors = [float(r["argmax_error"]) for r in ours]
    mean, median = cells(out, "table2", "CVML (1 seed)")[:2]
    assert mean.startswith(f"{np.mean(errors):.2f} [") and median.startswith(
        f"{np.median(errors):.2f}"
    )
    pooled = results(out)["rows"]["cvml on same_all"]
    assert pooled["frames"] == 24
    halves = [
        results(out)["rows"][f"cvml on {s}"]["argmax_error"]["mean"] for s in ("same", "same_semi")
    ]
    assert pooled["argmax_error"]["mean"] == pytest.approx(np.mean(halves))
    assert cells(out, "table2", "Center-only")[:2] == ["5.00 [5.00, 5.00]"] * 2


def test_the_ablation_begins_with_the_row_that_opens_no_picture(out: Path) -> None:
    line = results(out)["tables"]["table1"]["lines"][0]
    assert line["label"] == "Center-only" and line["cells"][0]["text"] == "5.00 [5.00, 5.00]"
    assert line["cells"][2]["text"].endswith("worse")  # on the same frames as the default


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_traversals_are_averaged_with_their_deviation(out: Path) -> None:
    means = [results(out)["rows"][f"cvml on day{k}"]["argmax_error"]["mean"] for k in (1, 2, 3)]
    expected = f"{np.mean(means):.2f} ± {np.std(means):.2f}"
    assert cells(out, "table4", "CVML (1 seed)")[0] == expected
    printed = cells(out, "table4", "Center-only", "paper, Table 4 (flagged)")
    assert printed == ["12.09 ± 0.02", "12.65 ± 0.01", "-", "-"]


def test_seeds_are_told_and_missing_weights_named(out: Path) -> None:
    assert cells(out, "table2", "CVR (2 seeds)")[0].count("±") == 1
    assert cells(out, "table2", "untrained (not trained)") == ["not trained"] * 8
    assert results(out)["missing_weights"] == ["untrained: missing.safetensors"]
    with pytest.raises(PlanError, match="row 'untrained': weights missing.safetensors: no such"):
        run(out, require_weights=True)


def test_differences_are_paired(out: Path) -> None:
    found = results(out)["differences"]
    # CVR's blobs are CVML's: the same errors, which leaves nothing between them.
    same = found["cvr - cvml on same, mean"]
    assert same["value"] == pytest.approx(0) and same["verdict"] == "undecided"
    far = found["center - cvml on same, mean"]
    assert far["low"] > 2 and far["verdict"] == "worse" and len(far["each"]) == 1
    assert found["cvr - cvml on day1, median"]["seeds"] == [2, 1]


def test_wrong_headings_and_sixteen_ways(out: Path) -> None:
    noise = results(out)["heading_noise"]["CVML, same"]
    assert [point[0] for point in noise] == [0, 20]
    turned = results(out)["headings"]["CVML, same"]
    assert turned == {"classes": 8, "right": [1.0]}  # the bright column leaves the middle
    rows = read(out / "headings.csv")
    assert len(rows) == 6 and {row["error"] for row in rows} == {"0"}


def test_what_ran_is_kept_and_counted(out: Path) -> None:
    before = results(out)
    stamps = {path.name: path.stat().st_mtime_ns for path in (out / "scores").iterdir()}
    assert all(run["runs"] == 1 for run in before["runs"].values())
    run(out)
    after = results(out)
    assert stamps == {p.name: p.stat().st_mtime_ns for p in (out / "scores").iterdir()}
    assert (after["passes_now"], after["passes_kept"]) == (0, before["passes_now"])
    assert after["rows"] == before["rows"]


def test_what_changed_runs_again(tmp_path: Path) -> None:
    few: dict[str, Any] = {
        "title": "few",
        "sets": {"same": PLAN["sets"]["same"]},
        "rows": {"cvml": {"runs": [{"sets": "same", "weights": "c.safetensors"}]}},
        "tables": {"details": {"sets": ["same"], "rows": ["cvml"]}},
    }
    run(tmp_path, few)
    assert results(tmp_path)["passes_now"] == 2  # with the control that every table has
    run(tmp_path, few, limit=5)
    found = results(tmp_path)
    assert found["passes_now"] == 2 and found["runs"]["cvml.same.0"]["runs"] == 2
    assert found["sets"]["same"]["rows"] == "5 of 12, drawn"
    assert [row["row"] for row in read(tmp_path / "samples.csv")] == ["cvml"] * 5 + ["center"] * 5
    assert not (tmp_path / "headings.csv").exists()


def test_rows_are_read_elsewhere_and_asked_in_the_precision_that_is_told(tmp_path: Path) -> None:
    few: dict[str, Any] = {
        "title": "few",
        "sets": {"same": PLAN["sets"]["same"]},
        "rows": {"cvml": {"runs": [{"sets": "same", "weights": "c.safetensors"}]}},
        "tables": {"details": {"sets": ["same"], "rows": ["cvml"]}},
    }
    run(tmp_path, few, precision="float32")
    plain = [row for row in read(tmp_path / "samples.csv") if row["row"] == "cvml"]
    run(tmp_path, few, precision="bfloat16", workers=1)
    again = results(tmp_path)["runs"]["cvml.same.0"]
    assert again["settings"]["precision"] == "bfloat16" and again["runs"] == 2
    half = [row for row in read(tmp_path / "samples.csv") if row["row"] == "cvml"]
    assert [row["name"] for row in half] == [row["name"] for row in plain]
    for one, other in zip(plain, half, strict=True):
        assert float(one["p_peak"]) == pytest.approx(float(other["p_peak"]), rel=0.2)


def test_the_precision_is_the_localizers() -> None:
    for told, found in (("auto", "float32"), ("bfloat16", "bfloat16")):
        config = LocalizerConfig(device="cpu", precision=told)
        network = Rows(BlobReader(), blob_model(), config=config).asker().network
        assert (network.precision, network.device.type) == (found, "cpu")


def test_nothing_is_lost_silently(out: Path) -> None:
    text = (out / "tables.md").read_text()
    assert "same: 1 'outside'" in text and "not there: untrained: missing.safetensors" in text
    assert results(out)["runs"]["cvml.same.0"]["left_out"] == {"outside": 1}


def test_mistakes_end_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plan.yaml"
    only = {"title": "t", "sets": {"v": {"reader": "vigor"}}, "rows": {"c": {"control": "center"}}}
    only["tables"] = {"details": {"sets": ["v"], "rows": ["c"]}}
    path.write_text(yaml.safe_dump(only))
    command = ["compare", "--out", str(tmp_path / "out"), "--plan"]
    for extra, message in (
        ([str(tmp_path / "no.yaml")], "compare: .*no such plan"),
        ([str(path)], "compare: set 'v': reader 'vigor' needs 'root'"),
        ([str(path), "--root", str(tmp_path / "no")], "compare: set 'v': .*expected"),
        ([str(path), "--root", "x", "--device", "cuda:9"], "compare: "),
    ):
        monkeypatch.setattr("sys.argv", [*command, *extra])
        with pytest.raises(SystemExit, match=message) as caught:
            compare.main()
        assert "\n" not in str(caught.value)
