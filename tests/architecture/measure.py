"""Measure the shape of the house, at one commit or at several beside each other.

    python -m tests.architecture.measure                      # the files as they are here
    python -m tests.architecture.measure e09f41d HEAD         # two commits, a column each
    python -m tests.architecture.measure --json               # for other programs
    python -m tests.architecture.measure --names              # and what stands behind each count

Production is every handwritten Python file below `libs/*/src`, `services/*/src` and `tools/*/src`; tests are all others
but `bench`.

- **functions**: functions and methods of production; `median` and `longest` in lines, decorators not counted.
- **files**: Python files of production; `longest` in lines.
- **docstrings that open with a question word**: share of production's docstrings (of modules, classes, functions) and
  of the strings below a field whose first word is What, Who, Whom, Whose, Whether, Which, When, Where, Why or How.
- **duplicate public names**: names of classes without a leading underscore that several files of production define.
- **import depth**: the longest chain of modules of ours, each importing the next (circles count once).
- **lists of all aggregates**: literals (dict, list, tuple, set, call, union) and columns of them that name at least all
  aggregates but two, as strings, names, attributes or class names, and lie in one another no further.
- **files of an aggregate**: handwritten files of any kind (documents of `context/` too) in which the name of an
  aggregate is a word or a part of a name; `production` of them. Measured for `webhook`, the newest one of eight.
- **test ratio**: lines of tests by lines of production; a package's own tests count for it, and of the common ones
  those files that import it, each shared among the packages that it imports.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import subprocess
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from tests.architecture.repository import GENERATED, ROOT

AGGREGATES = ("workspace", "principal", "project", "board", "task", "session", "channel", "webhook")
NEWEST = "webhook"
QUESTION = re.compile(r"(what|who|whom|whose|whether|which|when|where|why|how)\b", re.IGNORECASE)
TOPS = ("libs", "services", "tools")
LITERALS = (ast.Dict, ast.List, ast.Tuple, ast.Set, ast.Call, ast.BinOp)
HANDWRITTEN = {".py", ".md", ".sql", ".yaml", ".yml", ".toml", ".tpl", ".txt", ".js", ".ts", ".css", ".html"}


@dataclass(frozen=True)
class Source:
    """One Python file of production or of the tests, parsed."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """Import name of the package, empty outside of `src`."""
        return self.path.parts[3] if self.path.parts[2:3] == ("src",) else ""

    @property
    def module(self) -> str:
        """Dotted name of the module."""
        parts = self.path.with_suffix("").parts[3:]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def lines(self) -> int:
        """Number of lines."""
        return self.text.count("\n")


@dataclass
class House:
    """The files of one commit."""

    root: Path
    tracked: Sequence[Path]
    names: dict[str, list[str]] = field(default_factory=dict)
    """Instances behind each count, by the count."""

    @cached_property
    def sources(self) -> list[Source]:
        """All handwritten Python files."""
        paths = [path for path in self.tracked if path.suffix == ".py" and path.as_posix() not in GENERATED]
        texts = [(path, (self.root / path).read_text()) for path in paths]
        return [Source(path, text, ast.parse(text)) for path, text in texts]

    @cached_property
    def production(self) -> list[Source]:
        """Files that are shipped."""
        return [source for source in self.sources if source.path.parts[0] in TOPS and source.package]

    @cached_property
    def tests(self) -> list[Source]:
        """Files that try them."""
        return [source for source in self.sources if not source.package and source.path.parts[0] != "bench"]

    def measures(self) -> dict[str, float]:
        """Every figure of the docstring above, by its name."""
        functions = sorted(self._function_lines(), reverse=True)
        files = sorted(((source.lines, str(source.path)) for source in self.production), reverse=True)
        self.names["longest functions, lines"] = [f"{lines} {name}" for lines, name in functions[:10]]
        self.names["longest files, lines"] = [f"{lines} {name}" for lines, name in files[:10]]
        return {
            "functions": len(functions),
            "median function, lines": median(lines for lines, _ in functions),
            "longest function, lines": functions[0][0],
            "files": len(files),
            "median file, lines": median(lines for lines, _ in files),
            "longest file, lines": files[0][0],
            "docstrings": len(self.docstrings),
            "of these with a question word, %": round(100 * len(self._questions()) / len(self.docstrings), 1),
            "duplicate public class names": len(self._duplicates()),
            "import depth": self._import_depth(),
            "lists of all aggregates": len(self._lists()),
            f"files that know {NEWEST}": len(self._files_of(NEWEST)),
            f"files that know {NEWEST}, production": sum(
                path.parts[0] in TOPS and "src" in path.parts for path in self._files_of(NEWEST)
            ),
            **self._ratios(),
        }

    def _function_lines(self) -> Iterator[tuple[int, str]]:
        for source in self.production:
            for node in ast.walk(source.tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                    yield node.end_lineno - node.lineno + 1, f"{source.path}:{node.lineno} {node.name}"

    @cached_property
    def docstrings(self) -> list[tuple[str, str]]:
        """Each docstring of production with its place."""
        found: list[tuple[str, Any]] = []
        for source in self.production:
            for node in ast.walk(source.tree):
                body = getattr(node, "body", None)
                found += [
                    (f"{source.path}:{each.lineno}", each.value.value)
                    for each in (body if isinstance(body, list) else ())
                    if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
                ]
        return [(place, text) for place, text in found if isinstance(text, str)]

    def _questions(self) -> list[str]:
        found = [f"{place} {text.split(chr(10))[0]}" for place, text in self.docstrings if QUESTION.match(text)]
        self.names["docstrings with a question word"] = found
        return found

    def _duplicates(self) -> list[str]:
        defined: dict[str, list[str]] = defaultdict(list)
        for source in self.production:
            for node in source.tree.body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    defined[node.name].append(str(source.path))
        found = [f"{name}: {', '.join(paths)}" for name, paths in sorted(defined.items()) if len(paths) > 1]
        self.names["duplicate public class names"] = found
        return found

    def _import_depth(self) -> int:
        modules = {source.module for source in self.production}
        imports = {source.module: _imported(source, modules) for source in self.production}
        depths: dict[str, int] = {}

        def depth(module: str, above: frozenset[str]) -> int:
            if module not in depths:
                below = [depth(each, above | {module}) for each in imports[module] - above]
                depths[module] = 1 + max(below, default=0)
            return depths[module]

        deepest = max(modules, key=lambda module: depth(module, frozenset({module})))
        self.names["deepest module"] = [deepest]
        return depths[deepest]

    def _lists(self) -> list[str]:
        found = [f"{source.path}:{line}" for source in self.production for line in _lists_in(source.tree)]
        self.names["lists of all aggregates"] = found
        return found

    def _files_of(self, aggregate: str) -> list[Path]:
        known = re.compile(aggregate, re.IGNORECASE)
        found = []
        for path in self.tracked:
            if path.suffix in HANDWRITTEN and path.as_posix() not in GENERATED and path.name != "CHANGELOG.md":
                generated = "generated" in (text := (self.root / path).read_text(errors="replace"))[:300].lower()
                if not generated and known.search(text):
                    found.append(path)
        self.names[f"files that know {aggregate}"] = list(map(str, found))
        return found

    def _ratios(self) -> dict[str, float]:
        written: dict[str, int] = defaultdict(int)
        tried: dict[str, float] = defaultdict(float)
        homes: dict[Path, str] = {}
        for source in self.production:
            written[source.package] += source.lines
            homes[Path(*source.path.parts[:2])] = source.package
        for source in self.tests:
            own = homes.get(Path(*source.path.parts[:2]))
            packages = {own} if own else {name.split(".")[0] for name in _names_imported(source)} & set(written)
            for package in packages:
                tried[package] += source.lines / len(packages)
        total = sum(source.lines for source in self.tests) / sum(written.values())
        ratios = {f"test ratio, {name}": round(tried[name] / lines, 2) for name, lines in sorted(written.items())}
        return {"test ratio": round(total, 2), **ratios}


def _names_imported(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _imported(source: Source, modules: set[str]) -> set[str]:
    return set(_names_imported(source)) & modules - {source.module}


def _lists_in(tree: ast.AST) -> Iterator[int]:
    """Lines of the outermost literals that name nearly all aggregates, directly or one level below."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, LITERALS) and len(_aggregates_in(node)) >= len(AGGREGATES) - 2:
            yield node.lineno
        else:
            yield from _lists_in(node)


def _aggregates_in(node: ast.AST) -> set[str]:
    words: set[str] = set()
    for each in ast.walk(node):
        match each:
            case ast.Constant(value=str(text)) if " " not in text:
                words |= set(re.split(r"\W+", text.lower()))
            case ast.Name(id=name) | ast.Attribute(attr=name):
                words.add(name.strip("_").lower())
    return {name for name in AGGREGATES if words & {name, f"{name}s", f"{name}_id"}}


def house_of(revision: str, folder: Path) -> House:
    """Unpack a commit into a folder. Raises `subprocess.CalledProcessError` for a name that git does not know."""
    packed = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return House(folder, sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()))


def _house_here() -> House:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return House(ROOT, [path for name in listed.split("\0") if name and (ROOT / (path := Path(name))).is_file()])


def table(columns: dict[str, dict[str, float]]) -> str:
    """A Markdown table: a row for each figure, a column for each commit."""
    rows = dict.fromkeys(name for figures in columns.values() for name in figures)
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for name in rows:
        cells = [f"{figures[name]:g}" if name in figures else "" for figures in columns.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of the commits that are named, or of the files that are here."""
    parser = argparse.ArgumentParser(prog="python -m tests.architecture.measure", description=__doc__.split("\n")[0])
    parser.add_argument("revisions", nargs="*", metavar="REVISION", help="commits; the files here, if left out")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    parser.add_argument("--names", action="store_true", help="list what stands behind each count, of the last column")
    given = parser.parse_args(arguments)
    columns: dict[str, dict[str, float]] = {}
    names: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for revision in given.revisions or [""]:
            house = house_of(revision, Path(folder, str(len(columns)))) if revision else _house_here()
            columns[revision or "here"] = house.measures()
            names = house.names
    told: Any = {"figures": columns, **({"names": names} if given.names else {})}
    print(json.dumps(told, indent=2) if given.json else table(columns))
    if given.names and not given.json:
        for name, instances in names.items():
            print(f"\n{name}:", *instances, sep="\n  ")


if __name__ == "__main__":
    main()
