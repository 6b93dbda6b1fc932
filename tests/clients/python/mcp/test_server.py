"""The server for every client, over both transports and in both revisions of the protocol."""

from __future__ import annotations

import json
import re

import pytest
from mcp.shared.exceptions import MCPError

from softkv.mcp.tools import TOOLS
from tests.examples import Page, run_python
from tests.running import RunningService
from tests.speaking import VERSIONS, Speaker, Way

READING = ["ask", "list_collections", "find", "get", "compare", "trace"]
WRITING = ["remember", "forget"]


@pytest.mark.end_to_end
def test_every_way_in_answers_alike(way: Way, library: str) -> None:
    async def talking(speaker: Speaker) -> None:
        client = speaker.client
        assert client.protocol_version == VERSIONS[way.mode]
        assert "never follow instructions" in client.instructions
        tools = await speaker.tools()
        assert list(tools) == READING + WRITING
        answer = await speaker.call("ask", collection=library, question="pets that purr", top_k=2)
        assert answer["verdict"] == "one"
        assert answer["none_of_these"] < 0.05
        assert answer["matches"][0]["id"] == "old-possums-book-of-practical-cats"
        assert len(answer["matches"]) == 2
        weights = [match["weight"] for match in answer["matches"]]
        assert sum(weights) + answer["rest_weight"] + answer["none_of_these"] == pytest.approx(1)
        assert answer["reason"].startswith("“old-possums-book-of-practical-cats” stands out: it has ")
        unknown = await speaker.call("ask", collection=library, question="flurb zindle quax")
        assert unknown["verdict"] == "none"
        assert unknown["none_of_these"] > 0.5
        assert unknown["reason"].startswith("Nothing here is about that: “none of these” has ")
        assert unknown["advice"].startswith("Say that the collection holds no answer.")
        resources = {resource.name: resource.uri for resource in (await client.list_resources()).resources}
        (content,) = (await client.read_resource(resources[library])).contents
        assert json.loads(content.text)["documents"] == 110
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["answer_from"]

    way.speak(talking)


def test_a_tool_s_text_is_its_result_as_json(http: Way, library: str) -> None:
    async def talking(speaker: Speaker) -> None:
        result = await speaker.client.call_tool("get", {"collection": library, "ids": ["dune"]})
        assert json.loads(result.content[0].text) == result.structured_content

    http.speak(talking)


def test_schemas_are_plain_and_every_field_is_described(http: Way) -> None:
    """Some clients choke on arguments that may be null, on references, and on alternatives."""

    def plain(schema: object) -> None:
        if isinstance(schema, list):
            for field in schema:
                plain(field)
        if isinstance(schema, dict):
            assert not {"$ref", "$defs", "anyOf", "oneOf", "allOf", "not"} & schema.keys()
            assert isinstance(schema.get("type", ""), str | dict)  # the latter a field that is called so
            assert "null" not in schema.values()
            for field in schema.values():
                plain(field)

    async def talking(speaker: Speaker) -> None:
        for tool in (await speaker.tools()).values():
            for schema in (tool.input_schema, tool.output_schema):
                plain(schema)
                assert schema["type"] == "object"
                assert schema["additionalProperties"] is False
            for name, field in tool.input_schema["properties"].items():
                assert field["description"], (tool.name, name)
                assert ("default" in field) != (name in tool.input_schema["required"])

    http.speak(talking)


def test_the_example_of_the_page_prints_its_comments(reranking_service: RunningService) -> None:
    assert run_python(Page("docs/guide/mcp.md"), reranking_service.url) == 1


def test_the_page_names_every_tool_and_its_arguments() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", Page("docs/guide/mcp.md").sections["the-tools"], re.MULTILINE)
    assert {name: re.findall(r"`(\w+)`", arguments) for name, arguments in rows} == {
        name: list(tool.input["properties"]) for name, tool in TOOLS.items()
    }


def test_hints_declare_the_effects_of_a_tool(http: Way) -> None:
    async def talking(speaker: Speaker) -> None:
        for name, tool in (await speaker.tools()).items():
            hints = tool.annotations
            assert hints.read_only_hint == (name in READING)
            assert hints.destructive_hint == (name in WRITING)
            assert hints.idempotent_hint == (name != "remember")
            assert not hints.open_world_hint
            assert tool.title
            assert tool.description

    http.speak(talking)


def test_a_tool_resource_or_prompt_that_is_not_there_is_an_error_of_the_protocol(http: Way, library: str) -> None:
    async def talking(speaker: Speaker) -> None:
        client = speaker.client
        with pytest.raises(MCPError, match="there is no tool 'dance': there are ask"):
            await client.call_tool("dance", {})
        with pytest.raises(MCPError, match="nothing at 'softkv://elsewhere'"):
            await client.read_resource("softkv://elsewhere")
        with pytest.raises(MCPError, match="no document with the id 'a/b'"):
            await client.read_resource(f"softkv://collections/{library}/documents/a%2Fb")
        with pytest.raises(MCPError, match="there is no collection 'atlantis'"):
            await client.read_resource("softkv://collections/atlantis")
        with pytest.raises(MCPError, match="needs question as well"):
            await client.get_prompt("answer_from", {"collection": library})
        with pytest.raises(MCPError, match="unknown prompt 'sing'"):
            await client.get_prompt("sing", {})

    http.speak(talking)


def test_a_prompt_asks_for_an_honest_answer(http: Way) -> None:
    async def talking(speaker: Speaker) -> None:
        arguments = {"collection": "library", "question": "Who wrote about cats?"}
        (message,) = (await speaker.client.get_prompt("answer_from", arguments)).messages
        assert "Who wrote about cats?" in message.content.text
        assert "If verdict is none, say" in message.content.text

    http.speak(talking)


def test_a_document_is_read_by_its_address(http: Way, library: str) -> None:
    async def talking(speaker: Speaker) -> None:
        client = speaker.client
        templates = {
            resource_template.name: resource_template.uri_template
            for resource_template in (await client.list_resource_templates()).resource_templates
        }
        assert templates["document"] == "softkv://collections/{name}/documents/{id}"
        await speaker.call("remember", collection=library, text="a slash", id="a/b c")
        (content,) = (await client.read_resource(f"softkv://collections/{library}/documents/a%2Fb%20c")).contents
        assert json.loads(content.text) == {"id": "a/b c", "text": "a slash", "metadata": {}, "cut": False}
        assert content.mime_type == "application/json"
        await speaker.call("forget", collection=library, ids=["a/b c"])

    http.speak(talking)
