"""The typed methods are the registry's commands and queries, no more and no less."""

import inspect

import pytest
from mpclient import generate, generated
from mpclient.calls import CommandOptions
from mpclient.generate import NOUNS
from mpschema.queries import QUERIES
from mpschema.registry import ALL_COMMANDS


def methods(noun: str) -> set[str]:
    found = inspect.getmembers(getattr(generated, noun), inspect.isfunction)
    return {name for name, _ in found if not name.startswith("_")}


def test_the_file_is_what_the_registry_says() -> None:
    assert generate.TARGET.read_text("utf-8") == generate.rendered(), "python -m mpclient.generate"


def test_the_check_says_so_by_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0
    assert "up to date" in capsys.readouterr().out


@pytest.mark.parametrize("prefix", ["Async", ""])
def test_every_command_and_query_is_a_method_of_its_noun(prefix: str) -> None:
    for aggregate, plural in NOUNS.items():
        commands = {spec.action for spec in ALL_COMMANDS.values() if spec.aggregate == aggregate}
        queries = [spec for spec in QUERIES.values() if spec.aggregate == aggregate]
        pagers = {f"iterate_{spec.action}".removesuffix("_list") for spec in queries if spec.many}
        assert methods(f"{prefix}{plural.title()}") == commands | {spec.action for spec in queries} | pagers


def test_no_argument_of_a_command_hides_one_of_its_method() -> None:
    own = {"self", "id", "options", *CommandOptions.__annotations__}
    assert [spec.command_type for spec in ALL_COMMANDS.values() if own & set(spec.arguments.__struct_fields__)] == []


def test_both_clients_have_the_same_methods() -> None:
    for plural in NOUNS.values():
        noun = plural.title()
        assert methods(noun) == methods(f"Async{noun}")
