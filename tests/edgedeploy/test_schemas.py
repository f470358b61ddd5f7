"""The published schemas are those of the models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from device_runner.inventory.schema import Inventory
from device_runner.lab.plan_file import LabPlan
from edgedeploy.artifact import Manifest
from edgedeploy.record import RunRecord

SCHEMAS = Path(__file__).resolve().parents[2] / "docs/schemas"


@pytest.mark.parametrize(
    ("name", "model", "mode"),
    [
        ("devices", Inventory, "validation"), ("lab-plan", LabPlan, "validation"), ("manifest", Manifest, "serialization"),
        ("run", RunRecord, "serialization"),
    ],
)  # fmt: skip
def test_published_schema_is_current(name: str, model: type[BaseModel], mode: JsonSchemaMode) -> None:
    published = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    published.pop("$schema")
    assert published == model.model_json_schema(mode=mode), "run scripts/write_schemas"
