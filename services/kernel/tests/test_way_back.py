"""Rollback of access: the gateway's authentication learns from recorded events alone, and from nothing undone."""

import pytest
from mpcore.engine.commit import TurnLimits
from mpschema.envelope import Outcome
from mpschema.principal import BindRole, Role, RoleBound

from services.kernel.tests.test_limits import LARGE, Split
from services.kernel.tests.test_turn import line


@pytest.mark.parametrize("level", [1, 2])
def test_a_role_bound_in_a_message_that_found_no_room_opens_no_door_until_it_is_stored(level: int) -> None:
    run = Split(level)
    run.limits = TurnLimits(commit_bytes=30_000)
    message = [line("b", BindRole(role=Role.VIEWER), "user:ann"), line("c", LARGE, "t2")]
    turn = run.turn()
    assert turn.take(run.position + 1, "replies", line("a", LARGE, "t0"))
    assert not turn.take(run.position + 2, "replies", b"\n".join(message))
    assert not run.seal(turn).access
    run.position += 1
    (answers,) = run.message(*message)
    assert [type(reply) for reply in answers] == [Outcome, Outcome]
    assert [type(record.data) for record in run.sealed[-1].access] == [RoleBound]
