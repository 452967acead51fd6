"""Other people's tools on our documents: what they generate is complete, fits its types, and works on the server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mpd.ports import free_port
from mpd.stack import Stack
from mpschema import asyncapi, openapi
from mpschema.cloudevents import cloudevent_bytes
from mpschema.registry import EVENTS

from tests.support.node import Node

PROGRAMS = Path(__file__).parent / "clients"
SAID = {"priority": 2, "refused": "not_found", "batch": ["accepted", "not_found"]}
"""The findings of both programs, beside the title they gave."""
# The lines of a batch in NDJSON are no JSON value, so no generator knows the type; the batch in JSON beside it is made.
UNSUPPORTED_BODY = r"Unsupported content type application/x-ndjson"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One of everything, with a workspace and a project."""
    stack = Stack(tmp_path_factory.mktemp("clients"), http_port=free_port())
    stack.start()
    headers = {"Authorization": f"Bearer {stack.root_key}"}
    for path, body in (("?id=acme", {"name": "Acme"}), ("/acme/projects?id=core", {"name": "Core"})):
        made = httpx.post(f"{stack.url}/v1/workspaces{path}", json=body, headers=headers, timeout=30)
        assert made.status_code == 201, made.text
    yield stack
    stack.kill()


def written(folder: Path, name: str, document: dict[str, Any]) -> Path:
    """A document as a file."""
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def run(command: list[str], folder: Path, **variables: str) -> str:
    """Run a program, which must succeed, and return its output."""
    done = subprocess.run(
        command, cwd=folder, env=os.environ | variables, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_generated_python_client_is_complete_typed_and_works(stack: Stack, tmp_path: Path) -> None:
    document = written(tmp_path, "openapi.json", openapi.document())
    (tmp_path / "config.yaml").write_text("post_hooks: []\n")
    generate = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(document), "--meta", "none"]
    said = run([*generate, "--output-path", "moduprompt_api", "--config", "config.yaml"], tmp_path)
    warnings = re.findall(r"WARNING parsing (.*?)\n\n(.*?)\n", said, re.DOTALL)
    assert [place for place, why in warnings if not re.search(UNSUPPORTED_BODY, why)] == [], said
    assert "omitted from generated client" not in said
    assert "will not be generated" not in said

    program = shutil.copy(PROGRAMS / "program.py", tmp_path)
    run([sys.executable, "-m", "mypy", "--no-incremental", "moduprompt_api"], tmp_path)
    strictly = ["--strict", "--follow-imports=silent", "--no-incremental"]
    run([sys.executable, "-m", "mypy", *strictly, str(program)], tmp_path)
    assert json.loads(run([sys.executable, str(program)], tmp_path, URL=stack.url, TOKEN=stack.root_key)) == SAID | {
        "title": "From Python"
    }


def test_generated_typescript_is_strict_with_minimal_bodies_and_works(stack: Stack, node: Node) -> None:
    document = written(node.folder, "openapi.json", openapi.document())
    generated = node.run(node.tool("openapi-typescript", str(document), "-o", "api.d.ts"))
    assert generated.returncode == 0, generated.stderr
    options = {
        "strict": True,
        "exactOptionalPropertyTypes": True,
        "noUncheckedIndexedAccess": True,
        "noPropertyAccessFromIndexSignature": True,
        "module": "nodenext",
        "target": "es2022",
        "types": [],
        "outDir": "built",
    }
    written(node.folder, "tsconfig.json", {"compilerOptions": options, "files": ["program.ts"]})
    shutil.copy(PROGRAMS / "program.ts", node.folder)
    checked = node.run(node.tool("tsc", "--project", "tsconfig.json"))
    assert checked.returncode == 0, checked.stdout
    ran = node.run([str(node.binary), "built/program.js"], URL=stack.url, TOKEN=stack.root_key)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == SAID | {"title": "From TypeScript"}


def test_the_openapi_document_is_without_errors_to_redocly(node: Node) -> None:
    document = written(node.folder, "openapi.json", openapi.document())
    done = node.run(node.tool("redocly", "lint", str(document), "--format", "json"))
    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert [each["message"] for each in found["problems"] if each["severity"] == "error"] == []
    assert done.returncode == 0, done.stderr


def test_the_asyncapi_document_is_without_errors_to_its_parser(node: Node) -> None:
    document = written(node.folder, "asyncapi.json", asyncapi.document())
    done = node.run(node.command(PROGRAMS / "asyncapi.mjs", str(document)))
    assert json.loads(done.stdout) == {"parsed": True, "errors": []}, done.stderr


def test_an_event_beyond_32_bits_survives_the_binary_form_by_its_sequence(node: Node) -> None:
    spec = EVENTS["mp.task.TaskEdited.v1"]
    seq = 2**53 - 1
    envelope: dict[str, Any] = {
        "id": "c1:0",
        "workspace_id": "acme",
        "aggregate_id": "t1",
        "version": 2,
        "time_ms": 0,
        "epoch": 1,
    }
    record = spec.record(data=spec.data(title="caf\u00e9\u2028"), seq=seq, actor="user:ann", **envelope)
    event = node.folder / "event.json"
    event.write_bytes(cloudevent_bytes(record, "a" * 64, "b" * 64))
    done = node.run(node.command(PROGRAMS / "cloudevents.mjs", str(event)))
    assert json.loads(done.stdout) == {
        "id": "c1:0",
        "title": "caf\u00e9\u2028",
        "sequence": f"{seq:016d}",
        "kind": "string",
    }, done.stderr
