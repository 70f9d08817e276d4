"""Plans: those that come with the package are whole, and a mistake is told in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from training.datasets import registry
from training.measuring import plan
from training.measuring.jobs import jobs_of, placed
from training.measuring.plan import PlanError

PLANS = sorted((Path(plan.__file__).parent / "plans").glob("*.yaml"))
GOOD: dict[str, Any] = {
    "title": "t",
    "sets": {"a": {"reader": "town"}, "b": {"reader": "town"}, "ab": {"union": ["a", "b"]}},
    "rows": {"ours": {"runs": [{"sets": ["a", "b"], "weights": "w.safetensors"}]}},
    "tables": {"table4": {"sets": ["a", "b"], "rows": ["ours"]}},
}


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_shipped_plans_are_whole(path: Path) -> None:
    one = plan.load(path)
    for entry in one.sets.values():
        unknown = set(entry.options) - set(registry.options(entry.reader))
        assert not unknown, (entry.reader, unknown)
    jobs = list(jobs_of(one))
    assert len({job.stem for job in jobs}) == len(jobs)
    kinds = {job.kind for job in jobs}
    assert kinds == {"errors", "noise", "turns"}


def test_the_town_fills_all_four_tables_and_three_figures() -> None:
    one = plan.load(next(path for path in PLANS if "town" in path.stem))
    assert {"table1", "table2", "table3", "table4"} <= set(one.tables)
    assert set(one.figures) == {"fig3", "fig5", "fig6"}
    variants = {"8,S+M", "1,S+G", "8,M", "8,S+G", "8,S+M+G", "8,S+M, no infoNCE", "1,S+M"}
    assert variants <= set(one.tables["table1"]["variants"])
    splits = {s.options.get("split") for s in one.sets.values()}
    assert one.sets["tuning"].options["split"] == "validation" and "calibration" not in splits


def test_every_table_has_a_row_that_opens_no_picture(tmp_path: Path) -> None:
    rows = {"ours": {"runs": [{"sets": ["a", "b"], "weights": "w.safetensors"}]}}
    tables = {
        "table1": {"set": "a", "variants": {"8,S+M": "ours"}},
        "table2": {"columns": {"same/positive": "a"}, "rows": ["ours"]},
        "table3": {"columns": {"same/positive": "a"}, "rows": ["ours"]},
        "table4": {"sets": ["a", "b"], "rows": ["ours"]},
        "details": {"sets": ["b"], "rows": ["ours"]},
    }
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(changed(rows=rows, tables=tables)))
    one = plan.load(tmp_path / "p.yaml")
    assert one.tables["table1"]["control"] == "center"
    for name in ("table2", "table4", "details"):
        assert list(one.tables[name]["rows"]) == ["center", "ours"]
    assert list(one.tables["table3"]["rows"]) == ["uniform", "ours"]
    assert {(job.row, job.set) for job in jobs_of(one)} >= {("center", "a"), ("center", "b")}


def test_root_and_weights_are_put_in_where_none_are_given(tmp_path: Path) -> None:
    content = {**GOOD, "sets": {**GOOD["sets"], "v": {"reader": "vigor"}}}
    content["sets"]["w"] = {"reader": "vigor", "options": {"root": "there"}}
    content["rows"] = {
        "ours": {"runs": [{"sets": ["v"], "weights": ["x/y.safetensors", "panorama"]}]}
    }
    content["tables"] = {"table4": {"sets": ["v"], "rows": ["ours"]}}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(content))
    one = placed(plan.load(tmp_path / "p.yaml"), "here", "runs", 7)
    assert one.sets["v"].options == {"root": "here"} and one.sets["w"].options["root"] == "there"
    assert "root" not in one.sets["a"].options and one.sets["a"].limit == 7
    assert one.rows["ours"].runs[0].weights == ("runs/x/y.safetensors", "panorama")


def changed(**parts: Any) -> dict[str, Any]:
    return {**GOOD, **parts}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "the plan: .1.: expected entries by name"),
        (changed(titel="x"), "'titel': expected some of"),
        (changed(title=""), "no 'title'"),
        (changed(sets={"a": {}}), "set 'a': expected either a reader or a union"),
        (changed(sets={"a": {"reader": "town", "fit": "best"}}), "fit 'best': expected tile or"),
        (changed(rows={"x": {"control": "left"}}), "control 'left': expected center"),
        (changed(rows={"x": {}}), "row 'x': expected either runs or a control"),
        (changed(rows={"x": {"runs": [{"sets": "a"}]}}), "run 1: expected sets and weights"),
        (changed(rows={"x": {"runs": [{"sets": "z", "weights": "w"}]}}), "'z' is unknown"),
        (changed(rows={"x": {"runs": [{"sets": "ab", "weights": "w"}]}}), "'ab' is a union"),
        (changed(tables={"table9": {}}), "tables: 'table9': expected some of"),
        (changed(tables={"table4": {"sets": ["a"], "rows": ["x"]}}), "table4: 'x' is unknown"),
        (changed(tables={"table4": {"rows": ["ours"]}}), "table4: no 'sets'"),
        (
            changed(tables={"table2": {"columns": {"left": "a"}, "rows": ["ours"]}}),
            "table2, columns: 'left' is unknown",
        ),
        (
            changed(figures={"fig6": {"robustness": {"rows": ["ours"], "sets": ["q"]}}}),
            "fig6, robustness: 'q' is unknown",
        ),
    ],
)
def test_a_mistake_is_one_line(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(PlanError, match=message) as caught:
        plan.load(path)
    text = str(caught.value)
    assert text.startswith(str(path)) and "\n" not in text


def test_a_missing_or_broken_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no such plan"):
        plan.load(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1\nb: {")
    with pytest.raises(PlanError, match="not YAML") as caught:
        plan.load(tmp_path / "bad.yaml")
    assert "\n" not in str(caught.value)
