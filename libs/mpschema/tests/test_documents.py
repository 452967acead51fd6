"""The generated documents are valid, complete, and agree with the registry they derive from."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mpschema import api, asyncapi, codec, examples, export, jsonschemas, openapi
from mpschema.problems import STATUS
from mpschema.queries import QUERIES
from mpschema.registry import COMMANDS, EVENTS
from mpschema.rejections import Code, Rejection
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

OPENAPI = openapi.document()
ASYNCAPI = asyncapi.document()
SCHEMAS = jsonschemas.documents()
METHODS = ("get", "post")


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in OPENAPI["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def references(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        if isinstance(document.get("$ref"), str):
            yield document["$ref"]
        for value in document.values():
            yield from references(value)
    if isinstance(document, list):
        for value in document:
            yield from references(value)


def resolve(document: Any, reference: str) -> Any:
    found = document
    for token in reference.removeprefix("#/").split("/"):
        found = found[token.replace("~1", "/").replace("~0", "~")]
    return found


def validator(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    """Of a schema inside a document, whose references are the document's."""
    registry: Registry[Any] = Registry().with_resource("urn:document", DRAFT202012.create_resource(document))
    absolute = json.loads(json.dumps(schema).replace('"$ref": "#/', '"$ref": "urn:document#/'))
    return jsonschema.Draft202012Validator(
        absolute, registry=registry, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


def test_the_files_are_what_the_registry_says() -> None:
    assert export.differences(export.FOLDER) == {}, "review the difference, then: make docs"


def test_the_check_fails_on_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main(["--to", str(tmp_path)]) == 0
    assert export.main(["--check", "--to", str(tmp_path)]) == 0
    (tmp_path / "schemas" / "shapes.lock").write_text("{}")
    (tmp_path / "schemas" / "left-over.json").write_text("{}")
    capsys.readouterr()
    assert export.main(["--check", "--to", str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines() == ["differs: schemas/left-over.json", "differs: schemas/shapes.lock"]
    assert export.main(["--to", str(tmp_path)]) == 0
    assert export.main(["--check", "--to", str(tmp_path)]) == 0


def test_the_documents_are_written_for_whoever_wants_files(tmp_path: Path) -> None:
    assert export.main(["--documents", str(tmp_path)]) == 0
    written = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*.*")}
    built = SCHEMAS | {"openapi.json": OPENAPI, "asyncapi.json": ASYNCAPI}
    assert {path: json.loads(data) for path, data in written.items()} == json.loads(json.dumps(built))


def test_openapi_fits_its_own_schema() -> None:
    assert [f"{error.instance_path}: {error.message}" for error in OPENAPI_31_VALIDATOR.iter_errors(OPENAPI)] == []


@pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI, *SCHEMAS.values()], ids=["openapi", "asyncapi", *SCHEMAS])
def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    assert all(resolve(document, reference) for reference in references(document))


def test_every_operation_has_its_own_id() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(ids)) == len(ids)
    assert [name for name in ids if not re.fullmatch(r"[a-z_]+", name)] == []


def test_every_command_and_query_has_its_route() -> None:
    routes = {(path, method): operation["operationId"] for path, method, operation in operations()}
    for command in COMMANDS.values():
        assert routes[command.route, "post"] == command.command_type.replace(".", "_")
    for query in QUERIES.values():
        assert routes[query.route, "get"] == query.query_type.replace(".", "_")


def test_every_mark_in_a_path_is_a_parameter_and_the_other_way_round() -> None:
    for path, _, operation in operations():
        parameters = [resolve(OPENAPI, p["$ref"]) if "$ref" in p else p for p in operation.get("parameters", [])]
        assert set(re.findall(r"{(\w+)}", path)) == {p["name"] for p in parameters if p["in"] == "path"}
        assert len({(p["name"], p["in"]) for p in parameters}) == len(parameters)


def test_every_code_stands_in_the_response_of_its_status() -> None:
    for code, status in STATUS.items():
        assert code in OPENAPI["components"]["responses"][f"Problem{int(status)}"]["x-codes"]


def test_a_command_may_be_refused_with_every_code_of_the_kernel() -> None:
    for command in COMMANDS.values():
        responses = OPENAPI["paths"][command.route]["post"]["responses"]
        assert {str(int(STATUS[code])) for code in Code} <= responses.keys()


def test_everything_but_health_asks_who_you_are() -> None:
    open_doors = {path for path, _, operation in operations() if operation.get("security") == []}
    assert open_doors == {"/healthz", "/readyz", "/v1/openapi.json", "/v1/asyncapi.json"}
    assert len(OPENAPI["security"]) > 0


def test_every_example_fits_its_schema() -> None:
    checked = 0
    for path, _, operation in operations():
        responses = [resolve(OPENAPI, r["$ref"]) if "$ref" in r else r for r in operation["responses"].values()]
        contents = [part.get("content", {}) for part in [operation.get("requestBody", {}), *responses]]
        for media in (media for content in contents for media in content.values() if "example" in media):
            errors = list(validator(OPENAPI, media["schema"]).iter_errors(media["example"]))
            assert errors == [], f"{path}: {errors[0].message}"
            checked += 1
    assert checked > 2 * len(COMMANDS)


def test_the_streams_tell_every_event_by_an_example_that_fits() -> None:
    messages = ASYNCAPI["components"]["messages"]
    told = {message["name"]: message for message in messages.values()}
    for event_type in EVENTS:
        message = told[event_type]
        example = message["examples"][0]["payload"]
        assert list(validator(ASYNCAPI, message["payload"]).iter_errors(example)) == []


def test_channels_of_the_streams_are_spoken_to_by_operations() -> None:
    assert ASYNCAPI["asyncapi"] == "3.0.0"
    spoken = {operation["channel"]["$ref"] for operation in ASYNCAPI["operations"].values()}
    assert spoken == {f"#/channels/{name}" for name in ASYNCAPI["channels"]}
    for channel in ASYNCAPI["channels"].values():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel["parameters"])


@pytest.mark.parametrize("path", SCHEMAS)
def test_every_json_schema_is_one_and_speaks_the_standard_s_regular_expressions(path: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[path])
    assert r"\Z" not in json.dumps(SCHEMAS[path])


def test_schema_and_codec_agree_on_every_example_of_a_command() -> None:
    for spec in COMMANDS.values():
        schema = jsonschemas.command_schema(spec)
        good = json.loads(codec.encode(examples.command_example(spec.arguments)))
        wrongs: list[Any] = [[], None, {**good, "surplus": 1}, *({**good, name: {"not": "this"}} for name in good)]
        for wrong in wrongs:
            assert list(jsonschema.Draft202012Validator(schema).iter_errors(good)) == []
            assert list(jsonschema.Draft202012Validator(schema).iter_errors(wrong)) != []
            assert isinstance(codec.admit(spec.decoder, json.dumps(wrong).encode()), Rejection)


def test_the_body_of_a_batch_line_is_documented_as_it_is_read() -> None:
    schema = OPENAPI["components"]["schemas"]["BatchLine"]
    assert set(schema["properties"]) == set(api.BatchLine.__struct_fields__)
    assert schema["properties"]["payload"]["type"] == "object"
