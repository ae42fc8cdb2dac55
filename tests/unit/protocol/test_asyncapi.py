"""docs/asyncapi.json is what the structs say, and every reference in it leads somewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from edge.protocol import TOPICS, asyncapi, encode, topic
from edge.protocol.json_schema import VERBS
from tests.conftest import ROOT
from tests.support.messages import event, healthy

PAGE = ROOT / "docs" / "asyncapi.json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PAGE.read_text(encoding="utf-8"))
    return found


def test_the_document_is_generated_from_the_code_as_it_is() -> None:
    assert PAGE.read_text(encoding="utf-8") == asyncapi.text(), (
        "run: python -m edge.protocol.asyncapi > docs/asyncapi.json"
    )


def references(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(tree, list):
        for item in tree:
            yield from references(item)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert len(found) > 20
    for reference in found:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step.replace("~1", "/")]
        assert isinstance(place, dict)


def test_every_topic_and_verb_is_there_with_qos_and_retain_flag(document: dict[str, Any]) -> None:
    channels, operations = document["channels"], document["operations"]
    for one in TOPICS:
        address = channels[one.leaf]["address"].format(base="roomtone", node="kitchen")
        assert address == topic("roomtone", "kitchen", one)
        binding = operations[f"send_{one.leaf}"]["bindings"]["mqtt"]
        assert (binding["qos"], binding["retain"]) == (one.qos, one.retain)
    for verb, _ in VERBS:
        assert operations[f"receive_{verb}"]["reply"]["channel"]["$ref"].endswith(f"resp~1{verb}")


@pytest.mark.parametrize(("leaf", "message"), [("event", event(1)), ("health", healthy())])
def test_real_messages_fit_and_others_do_not(document: dict[str, Any], leaf: str, message: Any) -> None:
    schema = document["channels"][leaf]["messages"]["message"]["payload"]
    whole = {**schema, "components": document["components"]}
    tree = json.loads(encode(message))
    jsonschema.validate(tree, whole)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**tree, "extra": 1}, whole)
