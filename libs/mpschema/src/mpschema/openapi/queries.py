"""The operation of every query: one route each, with its filters, straight from the registry."""

from collections.abc import Iterator

from mpschema import examples
from mpschema.cloudevents import BATCH_MEDIA_TYPE
from mpschema.jsonschemas import components
from mpschema.openapi.commands import operation_id
from mpschema.openapi.parts import Json, headers, page_name, plain, ref, success
from mpschema.openapi.refusals import problems
from mpschema.queries import QUERIES
from mpschema.registry import AGGREGATES
from mpschema.rows import QuerySpec
from mpschema.system.rows import EventRow

_OTHER_TAGS = {"command": "commands", "event": "events", "projection": "operations"}


def query_paths() -> Iterator[tuple[str, Json]]:
    """Path and operation of every query."""
    for spec in QUERIES.values():
        yield spec.route, {"get": _operation(spec)}


def _operation(spec: QuerySpec) -> Json:
    row = plain(examples.ROWS[spec.row])
    name = page_name(spec.row) if spec.many else spec.row.__name__
    example = {"items": [row], "next_cursor": None} if spec.many else row
    told = () if spec.many else ("Mp-Position", "ETag") if "version" in spec.row.__struct_fields__ else ("Mp-Position",)
    answer = success("What is known.", ref("schemas", name), example, *told)
    if spec.row is EventRow:
        answer["content"][BATCH_MEDIA_TYPE] = {"schema": {"type": "array", "items": ref("schemas", "CloudEvent")}}
        answer["headers"] = headers("Link")
    return {
        "operationId": operation_id(spec.query_type),
        "tags": [(AGGREGATES | _OTHER_TAGS)[spec.aggregate]],
        "summary": spec.summary,
        "parameters": _parameters(spec),
        "responses": {"200": answer} | problems(),
    }


def _parameters(spec: QuerySpec) -> list[Json]:
    names = [name for name, mark in (("WorkspaceId", "{workspace_id}"), ("Id", "{id}")) if mark in spec.route]
    names += ["Order", "Limit", "Cursor", "AfterSeq"] if spec.many else ["AfterSeq", "AtSeq", "At"]
    return [ref("parameters", name) for name in names] + [_filter(spec, name) for name in spec.filters]


def _filter(spec: QuerySpec, name: str) -> Json:
    columns = components([spec.row], "#/components/schemas/{name}")[spec.row.__name__]["properties"]
    schema = columns[name]
    value = next((kind for kind in schema.get("anyOf", []) if kind.get("type") != "null"), schema)
    if values := spec.values.get(name):
        value = {"type": "string", "enum": sorted(values)}
    return {"name": name, "in": "query", "description": f"Only those with this `{name}`.", "schema": value}
