"""Packages for Node are there for every test that takes `node`; where they cannot be had, one line says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.node import Node, NodeAway, packages


def test_a_program_finds_the_packages_of_the_lock(node: Node, tmp_path: Path) -> None:
    program = tmp_path / "program.mjs"
    program.write_text("import { EventSource } from 'eventsource'; console.log(typeof EventSource, process.argv[2]);")
    done = node.run(node.command(program, "again"))
    assert done.stdout == "function again\n", done.stderr
    assert node.run(node.tool("tsc", "--version")).stdout.startswith("Version 5.")


def test_without_a_registry_one_line_says_what_is_missing(tmp_path: Path) -> None:
    nowhere = ("--registry", "http://127.0.0.1:9", "--cache", str(tmp_path / "empty"), "--fetch-retry-mintimeout", "1")
    with pytest.raises(NodeAway, match=r"^the packages of tests/npm cannot be installed here: [^\n]+$"):
        packages(tmp_path / "tools", *nowhere)
    assert not list((tmp_path / "tools").glob("npm-????????????????")), "half an installation is none"
