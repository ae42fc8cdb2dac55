"""docs/mqtt.md is what the structs say."""

from pathlib import Path

import jsonschema
import pytest

from edge.protocol import TOPICS, json_schema

PAGE = Path(__file__).resolve().parents[3] / "docs" / "mqtt.md"


def test_the_page_is_generated_from_the_code_as_it_is():
    assert PAGE.read_text(encoding="utf-8") == json_schema.page(), (
        "run: python -m edge.protocol.json_schema > docs/mqtt.md"
    )


@pytest.mark.parametrize("payload", [row[4] for row in json_schema.PAYLOADS])
def test_every_schema_is_valid_json_schema_with_patterns_that_javascript_knows(payload):
    tree = json_schema.schema(payload)
    jsonschema.Draft202012Validator.check_schema(tree)
    assert r"\Z" not in str(tree)


def test_every_topic_of_the_contract_is_on_the_page_with_its_qos_and_retain_flag():
    rows = {row[0]: (row[1], row[2] == "yes") for row in json_schema.PAYLOADS}
    for topic in TOPICS:
        assert rows[topic.leaf] == (topic.qos, topic.retain)
