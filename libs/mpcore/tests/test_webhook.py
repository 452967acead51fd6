"""Webhooks: told from one place of the log on, parked key by key, paused as a whole when too much is parked."""

import pytest
from mpcore.domain.webhook import rules as rules
from mpcore.domain.webhook.state import webhooks
from mpschema.principal import BindRole, IssueKey, Role
from mpschema.rejections import Code
from mpschema.webhook import (
    WORKER,
    ClearKey,
    ConfigureWebhook,
    CreateWebhook,
    DeliveryCleared,
    DeliveryParked,
    DeliveryRequeued,
    ParkKey,
    PauseWebhook,
    RemoveWebhook,
    RequeueKeys,
    ResumeWebhook,
    RotateWebhookSecret,
    WebhookConfigured,
    WebhookCreated,
    WebhookPaused,
    WebhookRemoved,
    WebhookResumed,
    WebhookSecretRotated,
)
from mpschema.workspace import FreezeWorkspace

from libs.mpcore.tests.story import (
    ACME,
    DEVELOPER,
    OPERATOR,
    OWNER,
    ROOT,
    START_MS,
    VIEWER,
    Step,
    Story,
    acme,
)

URL = "https://ci.example/hook"
DAY_MS = 24 * 60 * 60 * 1_000
CREATE = Step(CreateWebhook(URL), "w1", OWNER)
PAUSE = Step(PauseWebhook("moving"), "w1", OWNER)


def parked(key: str = "task/t1", seq: int = 5, by: str = WORKER) -> Step:
    """The worker gave up on a key for now."""
    return Step(ParkKey(key, seq, "the receiver answered 500", 8), "w1", by)


def requeued(key: str | None = "task/t1") -> Step:
    """An owner wants it delivered."""
    return Step(RequeueKeys(key), "w1", OWNER)


def cleared(key: str = "task/t1") -> Step:
    """The worker has caught up with a key."""
    return Step(ClearKey(key), "w1", WORKER)


def hooked() -> Story:
    """A workspace with a webhook."""
    return acme().given(CREATE)


def test_a_webhook_begins_now_unless_it_names_a_place() -> None:
    story = acme()
    now = story.world.seq
    story.when(CREATE).then(WebhookCreated(URL, after_seq=now))
    story.when(Step(CreateWebhook(URL, after_seq=0), "w2", OWNER)).then(WebhookCreated(URL, after_seq=0))


def test_a_webhook_cannot_begin_in_the_future() -> None:
    story = acme()
    story.when(Step(CreateWebhook(URL, after_seq=story.world.seq + 1), "w1", OWNER)).then_rejected(Code.NOT_FOUND)
    story.given(CREATE, PAUSE)
    story.when(Step(ResumeWebhook(after_seq=story.world.seq + 1), "w1", OWNER)).then_rejected(Code.NOT_FOUND)


@pytest.mark.parametrize("step", [CreateWebhook(URL, event_types=("TaskFlown",)), CreateWebhook(URL, (), ("tusk",))])
def test_a_filter_names_what_exists(step: CreateWebhook) -> None:
    acme().when(Step(step, "w1", OWNER)).then_rejected(Code.SCHEMA_INVALID)


def test_an_event_type_is_named_with_or_without_its_version() -> None:
    types = ("TaskReady", "mp.task.TaskReady.v1")
    acme().when(Step(CreateWebhook(URL, types), "w1", OWNER)).then_accepted()
    hooked().when(Step(ConfigureWebhook(event_types=types), "w1", OWNER)).then(WebhookConfigured(event_types=types))


def test_webhooks_are_for_who_governs_the_workspace() -> None:
    for by in (OWNER, OPERATOR, ROOT):
        acme().when(CREATE._replace(by=by)).then_accepted()
    for by in (DEVELOPER, VIEWER, WORKER):
        acme().when(CREATE._replace(by=by)).then_rejected(Code.DENIED)


def test_only_the_worker_parks_and_clears() -> None:
    for by in (OWNER, ROOT, "system:other"):
        hooked().when(parked(by=by)).then_rejected(Code.DENIED)
        hooked().given(parked(), requeued()).when(cleared()._replace(by=by)).then_rejected(Code.DENIED)


def test_the_worker_may_pause_and_nothing_else() -> None:
    hooked().when(PAUSE._replace(by=WORKER)).then(WebhookPaused("moving"))
    for step in (requeued(), Step(RemoveWebhook(), "w1"), Step(BindRole(Role.OWNER), VIEWER)):
        hooked().given(parked()).when(step._replace(by=WORKER)).then_rejected(Code.DENIED)


def test_nobody_can_become_the_worker() -> None:
    acme().when(Step(BindRole(Role.VIEWER), WORKER, ROOT)).then_rejected(Code.AUTHORITY_EXCEEDED)
    acme().when(Step(IssueKey("k1", "0" * 64), WORKER, ROOT)).then_rejected(Code.NOT_FOUND)


def test_a_key_is_parked_requeued_and_cleared() -> None:
    story = hooked()
    story.when(parked()).then(DeliveryParked("task/t1", 5, "the receiver answered 500", 8))
    story.when(parked()).then_rejected(Code.INVALID_STATE)
    story.when(cleared()).then_rejected(Code.INVALID_STATE)
    story.when(requeued()).then(DeliveryRequeued("task/t1"))
    story.when(requeued()).then_rejected(Code.INVALID_STATE)
    story.when(cleared()).then(DeliveryCleared("task/t1"))
    story.when(cleared()).then_rejected(Code.NOT_FOUND)


def test_what_fails_again_is_parked_again() -> None:
    hooked().given(parked(), requeued()).when(parked()).then_accepted()


def test_all_that_is_parked_is_requeued_at_once() -> None:
    story = hooked().given(parked("task/a"), parked("task/b"), parked("task/c"), requeued("task/b"))
    story.when(requeued(None)).then(DeliveryRequeued("task/a"), DeliveryRequeued("task/c"))
    story.when(requeued(None)).then_rejected(Code.INVALID_STATE)


def test_nothing_is_requeued_that_is_not_parked() -> None:
    hooked().when(requeued()).then_rejected(Code.NOT_FOUND)
    hooked().when(requeued(None)).then_rejected(Code.INVALID_STATE)


def test_too_many_parked_keys_pause_the_webhook() -> None:
    story = hooked().given(*(parked(f"task/t{n}") for n in range(rules.PARKED_MAX)))
    (fact,) = story.when(parked("task/more")).facts
    assert isinstance(fact.event, WebhookPaused)
    assert "1,000 keys are parked" in fact.event.reason
    story.when(parked("task/another")).then_rejected(Code.INVALID_STATE)
    assert "task/more" not in webhooks(story.tenant)["w1"].parked


def test_a_key_that_fails_again_fits_however_many_are_parked() -> None:
    story = hooked().given(*(parked(f"task/t{n}") for n in range(rules.PARKED_MAX)), requeued("task/t7"))
    story.when(parked("task/t7")).then_accepted()


def test_a_webhook_is_resumed_where_it_stopped_or_from_another_place() -> None:
    story = hooked().given(parked(), PAUSE)
    story.when(Step(ResumeWebhook(), "w1", OWNER)).then(WebhookResumed())
    assert webhooks(story.tenant)["w1"].parked == {"task/t1": True}
    story.given(PAUSE)
    story.when(Step(ResumeWebhook(after_seq=3), "w1", OWNER)).then(DeliveryCleared("task/t1"), WebhookResumed(3))
    assert webhooks(story.tenant)["w1"].parked == {}


def test_a_webhook_that_is_removed_keeps_nothing() -> None:
    story = hooked().given(parked())
    story.when(Step(RemoveWebhook(), "w1", OWNER)).then(DeliveryCleared("task/t1"), WebhookRemoved())
    story.when(Step(RotateWebhookSecret(), "w1", OWNER)).then_rejected(Code.INVALID_STATE)


def test_secrets_are_counted_and_the_old_one_signs_for_a_day() -> None:
    story, rotate = hooked(), Step(RotateWebhookSecret(), "w1", OWNER)
    story.when(rotate).then(WebhookSecretRotated(2, START_MS + DAY_MS))
    story.when(rotate).then(WebhookSecretRotated(3, START_MS + DAY_MS))


def test_a_workspace_has_so_many_webhooks_and_no_more() -> None:
    many = (Step(CreateWebhook(URL), f"w{n}", OWNER) for n in range(rules.WEBHOOKS_MAX))
    story = acme().given(*many)
    story.when(CREATE._replace(target="more")).then_rejected(Code.OVERLOADED)
    story.given(Step(RemoveWebhook(), "w7", OWNER)).when(CREATE._replace(target="more")).then_accepted()


def test_events_of_a_frozen_workspace_are_still_told_and_what_fails_is_still_recorded() -> None:
    story = hooked().given(parked("task/t2"), requeued("task/t2"), Step(FreezeWorkspace("audit"), ACME, OWNER))
    story.when(parked()).then_accepted()
    story.when(cleared("task/t2")).then_accepted()
    story.when(requeued()).then_rejected(Code.FROZEN)
    story.when(PAUSE).then_accepted()
