"""The subject grammar."""

import pytest
from mpschema import subjects


def test_streams_and_subjects_carry_the_shard() -> None:
    assert subjects.command_stream("0") == "MP_CMD_0"
    assert subjects.log_stream("eu-1") == "MP_LOG_eu-1"
    assert subjects.command_subject("0") == "mp.v1.cmd.0"
    assert subjects.log_subject("0") == "mp.v1.log.0"
    assert subjects.lease_subject("kernel-0") == "mp.v1.lease.kernel-0"
    assert subjects.service_subject("0", "webhooks", "main") == "mp.v1.svc.0.webhooks.main"
    assert subjects.service_subjects("0") == "mp.v1.svc.0.*.*"
    assert subjects.reply_subject("gateway", "p1") == "mp.v1.reply.gateway.p1"
    assert subjects.reply_subjects("gateway") == "mp.v1.reply.gateway.>"
    assert subjects.feed_stream("0") == "MP_EVT_0"
    assert subjects.feed_subject("0", "acme", "task", "t1") == "mp.v1.evt.0.acme.task.t1"
    assert subjects.feed_subjects("0") == "mp.v1.evt.0.>"
    assert subjects.feed_subjects("0", "acme") == "mp.v1.evt.0.acme.>"


@pytest.mark.parametrize("shard", ["", "a.b", "*", ">", "a b", "a\n", "x" * 65, "é"])
def test_a_shard_that_would_change_the_grammar_is_refused(shard: str) -> None:
    for make in (
        subjects.command_stream,
        subjects.log_stream,
        subjects.command_subject,
        subjects.log_subject,
        subjects.service_subjects,
        subjects.lease_subject,
    ):
        with pytest.raises(ValueError, match="shard"):
            make(shard)
    with pytest.raises(ValueError, match="shard"):
        subjects.feed_subject(shard, "acme", "task", "t1")


def test_a_sender_is_read_from_its_subject() -> None:
    assert subjects.sender("mp.v1.svc.0.webhooks.main") == "system:webhooks:main"
    assert subjects.sender("mp.v1.cmd.0") == ""
    assert subjects.sender("mp.v1.cmd.svc") == ""


@pytest.mark.parametrize(
    "rest", ["0.webhooks", "0.webhooks.a.b", "0.web:hooks.a", "0.é.a", "0..a", f"0.webhooks.{'x' * 51}"]
)
def test_who_names_nothing_on_a_services_subject_is_a_service_without_a_name(rest: str) -> None:
    assert subjects.sender(f"mp.v1.svc.{rest}") == subjects.UNNAMED_SENDER


@pytest.mark.parametrize("name", ["", "a.b", "*", ">", "a b", "a:b", "x" * 51])
def test_a_service_that_would_change_the_grammar_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        subjects.service_subject("0", name, "main")
    with pytest.raises(ValueError, match="letters"):
        subjects.service_subject("0", "webhooks", name)


def test_answers_go_where_answers_are_awaited_and_nowhere_else() -> None:
    assert subjects.answerable("mp.v1.reply.gateway.p1.7", "")
    assert subjects.answerable("mp.v1.reply.gateway.p1", "")
    assert subjects.answerable("mp.v1.reply.p1", ""), "as builds before this one ask"
    assert subjects.answerable("mp.v1.reply.webhooks.p1", "system:webhooks:main")
    for elsewhere in (
        "mp.v1.log.0",
        "mp.v1.cmd.0",
        "mp.v1.reply.",
        "mp.v1.reply.*",
        "mp.v1.reply.a.>",
        "mp.v1.reply.a b",
        "",
    ):
        assert not subjects.answerable(elsewhere, "")
    assert not subjects.answerable("mp.v1.reply.gateway.p1", "system:webhooks:main")
