"""Things broken on purpose are named, and the doctor's command mends them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from mpbus.ingest import log_ingest
from mpbus.streams import INTAKE_CONSUMER, command_stream, log_stream, provision
from mpd.ports import free_port
from mpd.servers import NatsCluster
from mpoperator.doctor.report import State
from mpschema.subjects import feed_stream
from mpservice.rights import OPERATOR
from nats.aio.client import Client
from nats.js.api import DiscardPolicy

from tests.support.waiting import eventually_sync
from tools.operator.tests.doctoring import HEALTHY, SICK, Patient
from tools.operator.tests.proving import on_bus, put_load_on


def test_a_healthy_cluster_has_no_problem_and_nothing_unknown(patient: Patient) -> None:
    found = patient.run("--strict")
    assert found.code == HEALTHY, [check for check in found.checks.values() if check.state is not State.OK]
    assert {"nats", "nats sync", "leader", "rows", "grants", "clock redis", "projection work"} <= set(found.checks)


SQL = [
    ("rows tasks", "off", "ALTER TABLE mp.tasks DISABLE ROW LEVEL SECURITY"),
    ("rows messages", "not forced", "ALTER TABLE mp.messages NO FORCE ROW LEVEL SECURITY"),
    ("rows keys", "every tenant's rows", "CREATE POLICY leak ON mp.keys FOR SELECT TO mp_gateway USING (true)"),
    ("grants tasks", "UPDATE", "GRANT UPDATE ON mp.tasks TO mp_gateway"),
    ("grants keys", "UPDATE", "GRANT UPDATE (key_hash) ON mp.keys TO mp_gateway"),
    ("grants", "make tables", "GRANT CREATE ON SCHEMA mp TO mp_gateway"),
    ("grants log_events", "DELETE", "GRANT DELETE ON mp.log_events TO mp_projector"),
    ("role mp_gateway", "every tenant", "ALTER ROLE mp_gateway BYPASSRLS"),
    ("role mp_gateway", "member of mp_owner", "GRANT mp_owner TO mp_gateway"),
]


@pytest.mark.parametrize(("name", "why", "statement"), SQL, ids=[statement for _, _, statement in SQL])
def test_a_hole_in_the_database_is_named_and_mended(patient: Patient, name: str, why: str, statement: str) -> None:
    patient.sql(statement)
    check = patient.examine().problems[name]
    assert why in check.detail
    patient.type(check.mend)
    assert patient.examine().problems == {}


def test_a_stream_that_forgets_is_named_and_mended(patient: Patient) -> None:
    async def forget(nc: Any) -> None:
        config = log_stream(patient.stack.shard, 1)
        config.max_age = 86_400
        await nc.jetstream().update_stream(config)

    patient.bus(forget)
    check = patient.examine().problems["stream MP_LOG_0"]
    assert "max_age" in check.detail
    patient.type(check.mend)
    assert patient.examine().problems == {}


def test_an_intake_that_drops_old_commands_is_named_and_mended(patient: Patient) -> None:
    async def drop(nc: Any) -> None:
        config = command_stream(patient.stack.shard, 1)
        config.discard = DiscardPolicy.OLD
        config.max_msgs = 10
        await nc.jetstream().update_stream(config)

    patient.bus(drop)
    check = patient.examine().problems["stream MP_CMD_0"]
    assert "discard is old, should be new; max_msgs is 10, should be 100000" in check.detail
    patient.type(check.mend)
    assert patient.examine().problems == {}


def test_a_missing_intake_consumer_is_named_and_mended(patient: Patient) -> None:
    patient.bus(lambda nc: nc.jetstream().delete_consumer("MP_CMD_0", INTAKE_CONSUMER))
    check = patient.examine().problems["intake"]
    patient.type(check.mend)
    eventually_sync(lambda: patient.examine().problems == {}, timeout=30)


def test_a_missing_feed_is_named_and_an_empty_one_is_a_warning(patient: Patient) -> None:
    relay = patient.stack.relays[0]
    relay.stop()
    name = feed_stream(patient.stack.shard)
    patient.bus(lambda nc: nc.jetstream().delete_stream(name))
    patient.type(patient.examine().problems[f"stream {name}"].mend)
    found = patient.examine()
    assert found.checks["feed"].state is State.WARNING
    assert found.checks["feed"].mend.endswith(f"mpd start --detach --data {patient.stack.folder}")
    assert "does not answer" in found.problems["service relay-1"].detail
    relay.start()
    eventually_sync(lambda: patient.run("--strict").problems == {}, timeout=30)


def test_streams_in_the_account_of_who_reads_them_are_named(patient: Patient) -> None:
    found = patient.examine().checks["streams apart"]
    assert (found.state, found.detail) == (State.OK, "we are in the account MP_OPERATOR, the streams in another")
    node = patient.stack.nats_nodes[0]
    apart = node.accounts
    lines = apart.splitlines()
    operator = next(line for line in lines if "nkey: " in line and "_INBOX.operator" in line)
    lines.remove(operator)
    lines.insert(next(n for n, line in enumerate(lines) if "nkey: " in line and "_INBOX.kernel" in line), operator)
    for accounts, state in (("\n".join(lines), State.PROBLEM), (apart, State.OK)):
        node.accounts = accounts
        node.reload()
        assert patient.examine().checks["streams apart"].state is state


def test_a_log_that_listens_where_everybody_knows_is_named(patient: Patient) -> None:
    found = patient.examine().checks["log ingest"]
    assert (found.state, found.detail) == (State.OK, "the log takes commits where nobody can guess")

    async def open_it(nc: Client) -> str:
        ingest = await log_ingest(nc.jetstream(), "0")
        await nc.jetstream().update_stream(log_stream("0", 1, ingest, also_plain=True))
        return ingest.rpartition(".")[2]

    secret = patient.bus(open_it)
    report = patient.examine()
    check = report.checks["log ingest"]
    assert (check.state, "any credential can stop the shard" in check.detail) == (State.WARNING, True)
    assert secret not in str(report), "the place itself is shown to nobody"
    command, _, when = check.mend.partition(", ")
    assert "upgrade finalize" in when
    patient.type(command.strip("`"))
    assert patient.examine().checks["log ingest"].state is State.OK


def test_a_dead_kernel_is_named(patient: Patient) -> None:
    kernel = patient.stack.kernels[0]
    kernel.kill()
    eventually_sync(lambda: "leader" in patient.examine().problems, timeout=30)
    problems = patient.examine().problems
    assert "no kernel holds the lease" in problems["leader"].detail
    assert problems["leader"].mend.endswith(f"mpd start --detach --data {patient.stack.folder}")
    assert problems["leader"].because == "service kernel-1"
    assert "does not answer" in problems["service kernel-1"].detail
    kernel.start()
    eventually_sync(lambda: patient.examine().problems == {}, timeout=30)


def test_a_paused_kernel_that_holds_up_commands_is_named(patient: Patient) -> None:
    kernel = patient.stack.kernels[0]
    kernel.pause()
    try:
        patient.bus(lambda nc: nc.jetstream().publish("mp.v1.cmd.0", b"{}"))
        check = patient.examine().problems["progress"]
        assert "nothing was taken, recorded or discarded" in check.detail
        assert check.because == "service kernel-1"
    finally:
        kernel.resume()
    eventually_sync(lambda: patient.examine().problems == {}, timeout=30)


def test_redis_that_is_away_is_a_problem_of_its_own_and_commands_are_decided(patient: Patient) -> None:
    valkey = patient.stack.valkey
    valkey.kill()
    try:
        eventually_sync(lambda: "lease kernel-1" in patient.examine().checks, timeout=30)
        found = patient.examine()
        assert "redis does not answer" in found.checks["lease kernel-1"].detail
        assert found.checks["leader"].state is State.OK
        put_load_on(patient.stack, 10)
    finally:
        valkey.start()
    eventually_sync(lambda: patient.examine().problems == {}, timeout=30)


def test_a_dead_projector_is_named(patient: Patient) -> None:
    projector = patient.stack.projectors[0]
    projector.kill()
    eventually_sync(lambda: "projection work" in patient.examine().problems, timeout=30)
    assert "unowned: no projector folds it" in patient.examine().problems["projection work"].detail
    projector.start()
    eventually_sync(lambda: patient.examine().problems == {}, timeout=30)


def test_a_projection_of_another_log_is_named(patient: Patient) -> None:
    patient.stack.projectors[0].stop()
    before = patient.sql("SELECT hash FROM mp.projections WHERE name = 'work'")[0]["hash"]
    far = "UPDATE mp.projections SET owner = 'x', lease_until = now() + interval '1 minute'"
    patient.sql(f"{far}, hash = '{'f' * 64}' WHERE name = 'work'")
    check = patient.examine().problems["projection work"]
    assert "has folded another commit" in check.detail
    patient.sql(f"UPDATE mp.projections SET owner = NULL, lease_until = NULL, hash = '{before}' WHERE name = 'work'")
    patient.stack.projectors[0].start()
    eventually_sync(lambda: patient.examine().problems == {}, timeout=30)


def test_a_build_that_halted_beside_the_one_that_serves_is_named(patient: Patient) -> None:
    patient.sql("CREATE SCHEMA mp_spare")
    patient.sql(
        "INSERT INTO mp.projections (name, version, tables, build, phase, state, error, position) "
        "VALUES ('work', 1, 'mp_spare', 9, 'filling', 'halted', 'no view of mp.x.Y.v1', 3)"
    )
    try:
        check = patient.examine().problems["build work 9"]
        assert "halted after event 3: no view of mp.x.Y.v1" in check.detail
        assert check.mend == "mpctl projection drop work@9"
    finally:
        patient.sql("DELETE FROM mp.projections WHERE build = 9")
        patient.sql("DROP SCHEMA mp_spare")
    assert patient.examine().problems == {}


def test_tables_of_an_older_version_of_a_view_are_named_unless_the_new_ones_are_being_filled(patient: Patient) -> None:
    patient.stack.projectors[0].stop()
    held = "owner = 'x', lease_until = now() + interval '1 minute'"
    patient.sql(f"UPDATE mp.projections SET version = 7, {held} WHERE name = 'work'")
    check = patient.examine().problems["projection work"]
    assert "version 7 serves, this build has 1" in check.detail
    patient.sql(
        "INSERT INTO mp.projections (name, version, tables, build, phase) VALUES ('work', 1, 'mp_x', 9, 'filling')"
    )
    assert patient.examine().checks["projection work"].state is State.WARNING
    patient.sql("DELETE FROM mp.projections WHERE build = 9")
    patient.sql("UPDATE mp.projections SET version = 1, owner = NULL, lease_until = NULL WHERE name = 'work'")
    patient.stack.projectors[0].start()
    eventually_sync(lambda: patient.examine().problems == {}, timeout=30)


def test_an_event_type_that_this_build_does_not_know_is_named(patient: Patient) -> None:
    patient.sql("UPDATE mp.log_events SET event_type = 'mp.task.TaskTeleported.v1' WHERE seq = 1")
    check = patient.examine().problems["event types"]
    assert "mp.task.TaskTeleported.v1 (1 from event 1)" in check.detail
    patient.sql("UPDATE mp.log_events SET event_type = 'mp.log.LeaderElected.v1' WHERE seq = 1")
    assert patient.examine().problems == {}


@pytest.mark.parametrize(("name", "held"), [("pepper", ""), ("nats_gateway.seed", "SUAB"), ("signing_key", "0011")])
def test_a_secret_that_is_empty_or_cut_off_is_named_with_what_to_do(patient: Patient, name: str, held: str) -> None:
    path = patient.stack.keys.folder / name
    kept = path.read_text()
    path.write_text(held)
    try:
        check = patient.examine().problems[f"secret {name}"]
    finally:
        path.write_text(kept)
    assert str(path) in check.detail
    assert f"mpctl backup restore-keys FILE {path.parent}" in check.mend
    assert f"secret {name}" not in patient.examine().problems


def test_a_secret_that_others_may_read_is_named_and_mended(patient: Patient) -> None:
    (patient.stack.keys.folder / "pepper").chmod(0o644)
    (patient.stack.folder / "operator.json").chmod(0o640)
    problems = patient.examine().problems
    assert {"secret pepper", "secret operator.json"} == set(problems)
    for check in problems.values():
        assert check.mend.startswith("chmod 0600 ")
        patient.type(check.mend)
    assert patient.examine().problems == {}


def test_a_proxy_that_nobody_named_is_told(patient: Patient) -> None:
    httpx.get(f"{patient.stack.url}/healthz", headers={"x-forwarded-for": "192.0.2.7"}).raise_for_status()
    check = patient.examine().checks["concern gateway-1"]
    assert (check.state, "127.0.0.1" in check.detail, "MP_TRUSTED_PROXIES" in check.detail) == (
        State.WARNING,
        True,
        True,
    )


def test_servers_that_do_not_answer_are_problems_and_what_rests_on_them_is_unknown(patient: Patient) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    settings = {
        "MP_NATS_URL": f"nats://{nowhere}",
        "MP_REDIS_URL": f"redis://{nowhere}/0",
        "MP_POSTGRES_OWNER_DSN": f"postgresql://x@{nowhere}/x",
    }
    found = patient.run(**settings)
    assert {"nats", "redis", "postgres"} <= set(found.problems)
    unknown = {name for name, check in found.checks.items() if check.state is State.UNKNOWN}
    assert {"streams", "leader", "projections", "clock nats", "event types"} <= unknown
    assert "nothing listens at" in found.problems["nats"].detail
    assert {found.checks[name].because for name in ("streams", "log", "clock nats")} == {"nats"}
    assert found.checks["event types"].because == "postgres"


def test_what_is_not_known_is_said_and_counts_when_asked_strictly(patient: Patient, tmp_path: Path) -> None:
    seed = str(patient.stack.bus(OPERATOR).nkey_seed_file)
    only = {"MP_HOME": str(tmp_path), "MP_NATS_URL": patient.stack.nats_url, "MP_NATS_NKEY_SEED_FILE": seed}
    found = patient.examine(**only)
    unknown = {name for name, check in found.checks.items() if check.state is State.UNKNOWN}
    assert {"nats sync", "redis", "services", "secrets", "disk"} <= unknown
    assert patient.run("--strict", **only).code == SICK


def test_a_log_with_one_copy_on_three_nodes_is_named_and_mended(
    own_nats_cluster: NatsCluster, tmp_path: Path, patient: Patient
) -> None:
    node = own_nats_cluster.nodes[0]
    settings = {"MP_HOME": str(tmp_path), "MP_NATS_URL": own_nats_cluster.url, "MP_NATS_MONITOR_URL": node.monitor_url}
    on_bus(own_nats_cluster.url, lambda nc: provision(nc, "0", 1))
    check = patient.examine(**settings).problems["copies MP_LOG_0"]
    assert "1 on 3 nodes" in check.detail
    patient.type(f"export MP_NATS_URL={own_nats_cluster.url}; {check.mend}")
    eventually_sync(lambda: "copies MP_LOG_0" not in patient.examine(**settings).problems, timeout=60)
    assert patient.examine(**settings).checks["copies MP_LOG_0"].detail == "3 on 3 nodes"
    # A stream whose copies are still being made may have its only whole one on the node that goes.
    eventually_sync(lambda: on_bus(own_nats_cluster.url, _all_copies_are_current), timeout=60)
    own_nats_cluster.nodes[2].kill()
    eventually_sync(lambda: "does not hold" in _copies(patient, settings), timeout=60)


async def _all_copies_are_current(nc: Client) -> bool:
    infos = [info for info in await nc.jetstream().streams_info() if "MP_" in str(info.config.name)]
    others = [(info.cluster and info.cluster.replicas) or [] for info in infos]
    return len(infos) == 5 and all(len(peers) == 2 and all(peer.current for peer in peers) for peers in others)


def _copies(patient: Patient, settings: dict[str, str]) -> str:
    check = patient.examine(**settings).problems.get("copies MP_LOG_0")
    return check.detail if check else ""


def test_servers_that_ask_nobody_who_they_are_are_named(patient: Patient, nats_url: str, redis_url: str) -> None:
    asked = {name: check.detail for name, check in patient.examine().checks.items() if name.startswith("credential ")}
    assert asked == {f"credential {name}": "asks for a credential: yes" for name in ("nats", "redis", "postgres")}
    found = patient.run(MP_NATS_URL=nats_url, MP_REDIS_URL=redis_url, MP_REDIS_USER="", MP_REDIS_PASSWORD_FILE="")
    for name in ("nats", "redis"):
        assert "asks for a credential: no" in found.problems[f"credential {name}"].detail
        assert "credentials.md" in found.problems[f"credential {name}"].mend
    assert found.checks["credential postgres"].state is State.OK
