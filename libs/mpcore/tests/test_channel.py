"""Channels: who belongs is counted at each post; the kernel numbers the messages and says where they come from."""

import pytest
from mpcore.domain.session.index import sessions
from mpschema.channel import (
    AckMessages,
    ChannelClosed,
    ChannelOpened,
    CloseChannel,
    CursorAdvanced,
    MessagePosted,
    OpenChannel,
    PostMessage,
    Provenance,
    ReplyOverdue,
    Scope,
)
from mpschema.rejections import Code
from mpschema.session import CancelSession
from mpschema.system import TimerFired

from libs.mpcore.tests.story import (
    CORE,
    DEVELOPER,
    OPERATOR,
    RUNNER,
    Step,
    Story,
    acme,
    active,
    family,
    spawned,
)

LEFT, RIGHT, OTHER = "agent:left", "agent:right", "agent:other"


def opened(scope: Scope = Scope.LINEAGE, anchor: str = "left") -> Step:
    return Step(OpenChannel(anchor, scope, "talk"), "c1")


def post(by: str = DEVELOPER, reply_to: int | None = None, reply_by_seconds: int | None = None) -> Step:
    return Step(PostMessage("note", "hello", reply_to, reply_by_seconds), "c1", by)


def ack(cursor: int, by: str = DEVELOPER) -> Step:
    return Step(AckMessages(cursor), "c1", by)


def test_a_channel_is_anchored_to_a_live_session() -> None:
    story = family()
    story.when(opened()).then(ChannelOpened("left", Scope.LINEAGE, "talk"))
    story.when(opened(anchor="nobody")._replace(target="c2")).then_rejected(Code.NOT_FOUND)
    story.given(Step(CancelSession(), "right"))
    story.when(opened(anchor="right")._replace(target="c2")).then_rejected(Code.SESSION_ENDED)


@pytest.mark.parametrize(
    ("scope", "members"),
    [
        (Scope.SELF, {"left"}),
        (Scope.PARENT, {"left", "lead"}),
        (Scope.CHILDREN, {"left", "leaf"}),
        (Scope.SIBLINGS, {"left", "right"}),
        (Scope.SUBTREE, {"left", "leaf", "twig"}),
        (Scope.LINEAGE, {"left", "lead", "right", "leaf", "twig"}),
        (Scope.PROJECT, {"left"}),
    ],
)
def test_a_scope_names_its_members(scope: Scope, members: set[str]) -> None:
    story = family().given(*active("twig", "leaf"), opened(scope))
    heard = {name for name in sessions(story.tenant).by_id if isinstance(story.ask(post(f"agent:{name}")), tuple)}
    assert heard == members


def test_a_project_s_channel_reaches_other_lineages_of_the_project() -> None:
    story = acme().given(spawned("here", project_id=CORE), spawned("there", project_id=CORE), spawned("nowhere"))
    story.given(opened(Scope.PROJECT, "here"), post("agent:there"))
    story.when(post("agent:nowhere")).then_rejected(Code.NOT_A_MEMBER)


def test_roots_are_nobody_s_siblings() -> None:
    family().given(opened(Scope.SIBLINGS, "lead")).when(post(OTHER)).then_rejected(Code.NOT_A_MEMBER)


def test_whoever_is_spawned_later_belongs_from_then_on() -> None:
    story = family().given(opened(Scope.SUBTREE), *active("late", "left"))
    story.when(post("agent:late")).then_accepted()


def test_the_kernel_says_where_a_message_comes_from() -> None:
    story = family().given(opened())
    story.when(post(DEVELOPER)).then(MessagePosted(1, "note", "hello", DEVELOPER, Provenance.OPERATOR))
    story.when(post(LEFT)).then(MessagePosted(2, "note", "hello", LEFT, Provenance.PEER, "left"))
    runner = post(RUNNER)._replace(session_id="right")
    story.when(runner).then(MessagePosted(3, "note", "hello", RIGHT, Provenance.PEER, "right"))


def test_messages_are_numbered_without_gaps() -> None:
    story = family().given(opened())
    story.when(post(OTHER)).then_rejected(Code.NOT_A_MEMBER)
    story.given(*[post()] * 5)
    numbers = [fact.event.message_seq for _, fact in story.told if isinstance(fact.event, MessagePosted)]
    assert numbers == [1, 2, 3, 4, 5]


def test_an_answer_answers_a_message_that_exists() -> None:
    story = family().given(opened(), post())
    story.when(post(reply_to=1)).then_accepted()
    story.when(post(reply_to=3)).then_rejected(Code.NOT_FOUND)


def test_a_message_without_the_answer_it_asked_for_is_overdue() -> None:
    story = family().given(opened(), post(reply_by_seconds=60))
    due_ms = story.now_ms + 60_000
    assert story.later(59) == []
    assert [fact.event for fact in story.later(1)] == [TimerFired(due_ms, "reply_by"), ReplyOverdue(1)]
    assert story.later(3_600) == []


def test_an_answer_in_time_is_waited_for_no_more() -> None:
    story = family().given(opened(), post(reply_by_seconds=60), post(LEFT, reply_to=1))
    assert story.later(60) == []


def test_a_closed_channel_waits_for_nothing() -> None:
    story = family().given(opened(), post(reply_by_seconds=60))
    story.when(Step(CloseChannel("done"), "c1")).then(ChannelClosed("done"))
    assert story.later(60) == []


def test_a_closed_channel_is_read_but_not_written() -> None:
    story = family().given(opened(), post(), Step(CloseChannel(), "c1"))
    story.when(post()).then_rejected(Code.INVALID_STATE)
    story.when(ack(1)).then(CursorAdvanced(DEVELOPER, 1))


def test_a_bounded_number_of_messages_waits_for_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpcore.domain.channel.rules.AWAITED_MAX", 2)
    story = family().given(opened(), post(reply_by_seconds=60), post(reply_by_seconds=60))
    story.when(post(reply_by_seconds=60)).then_rejected(Code.OVERLOADED)
    story.given(post(reply_to=1))
    story.when(post(reply_by_seconds=60)).then_accepted()


def test_a_reader_s_cursor_only_advances() -> None:
    story = family().given(opened(), post(), post())
    story.when(ack(2)).then(CursorAdvanced(DEVELOPER, 2))
    story.when(ack(2)).then_rejected(Code.INVALID_STATE)
    story.when(ack(1)).then_rejected(Code.INVALID_STATE)
    story.when(ack(3)).then_rejected(Code.NOT_FOUND)


def test_every_reader_has_a_cursor_of_its_own() -> None:
    story = family().given(opened(), post(), ack(1), ack(1, OPERATOR), ack(1, LEFT))
    story.when(ack(1, RIGHT)).then(CursorAdvanced(RIGHT, 1))
    story.when(ack(1, OTHER)).then_rejected(Code.NOT_A_MEMBER)


def test_an_agent_reads_as_its_session_whoever_runs_it() -> None:
    story: Story = family().given(opened(), post(), ack(1, LEFT))
    story.when(ack(1, RUNNER)._replace(session_id="left")).then_rejected(Code.INVALID_STATE)
    story.when(ack(1, RUNNER)._replace(session_id="right")).then(CursorAdvanced(RIGHT, 1))
