"""The services' own doors, the disk, and the files that nobody else may read."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from mpbus.errors import HaltCode
from mpbus.vitals import OK
from mpd.shapes import flaws_in, remedy

from mpoperator.doctor.report import DoctorCheck, follows, ok, problem, unknown, warning
from mpoperator.doctor.tail import LOG, only_then
from mpoperator.site.cluster import Cluster

_SECRETS = ("pepper", "token_key", "webhook_key")
_PUBLIC = {".pub"}
_RESTS_ON = {"nats": "nats", "log": "nats", "postgres": "postgres", "redis": "redis"}
"""The line of the server that each fact of a service is about."""
_OTHER_LOG = "its feed is of another log, see the line `feed` here"
"""In place of a relay's own sentence, which asks for a rebuild: what comes first is said here."""
_LOG_LACKS = (HaltCode.FEED_DIVERGED, HaltCode.LOG_REPLACED)
"""Halts of readers that stand beyond the end of a log that was put back."""
_FREE_WARNS_BYTES = 2 << 30
_FREE_FAILS_BYTES = 256 << 20


async def service_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Ask each service whether it is ready."""
    services = cluster.settings.services
    if not services:
        return [unknown("services", "their operations addresses are not known: set MP_SERVICES to a JSON object")]
    checks = []
    for name, url in services.items():
        facts = await cluster.get_json(f"{url.rstrip('/')}/readyz")
        checks += [judge_service(cluster, name, url, facts), *_concerns(name, facts)]
    return checks


def judge_service(cluster: Cluster, name: str, url: str, facts: dict[str, object] | None) -> DoctorCheck:
    """Judge a service's own word; None where it says nothing."""
    label = f"service {name}"
    if facts is None:
        return problem(label, f"does not answer at {url}", cluster.start(name))
    shown = {key: value for key, value in facts.items() if key not in ("ready", "status", "concerns")}
    detail = ", ".join(f"{key} {value}" for key, value in shown.items()) if isinstance(shown, dict) else str(shown)
    ready = facts.get("ready", facts.get("status") == "ok")
    if not ready:
        own = facts.get("halted_by") or facts.get("waits_for") or detail
        why = _OTHER_LOG if facts.get("halt") == HaltCode.FEED_DIVERGED else str(own)
        return follows(problem(label, f"is not ready: {why}", _mend_of(cluster, name, facts)), _server_away(facts))
    return ok(label, f"ready: {detail}")


def _server_away(facts: dict[str, object]) -> str:
    """The line of the server that a service says it lacks, empty where it lacks none or is halted."""
    if "halted_by" in facts:
        return LOG if facts.get("halt") in _LOG_LACKS else "log chain"
    lease = str(facts.get("lease", OK))
    away = next((line for word, line in _RESTS_ON.items() if facts.get(word, OK) != OK), "")
    return away or ("nats" if "jetstream" in lease else "")


def _mend_of(cluster: Cluster, name: str, facts: dict[str, object]) -> str:
    """A restart would wait, or halt, again: it goes on by itself once what it names is there."""
    halt = facts.get("halt")
    if halt == HaltCode.FEED_DIVERGED:
        return only_then(cluster.module("mprelay --rebuild"))
    if halt == HaltCode.LOG_REPLACED:
        return "see the lines `log`, `feed` and `projection *` here: it goes on once the log holds again what it read"
    if halt == HaltCode.COMMANDS_RENUMBERED:
        return "see `Halted` in context/operations/readiness.md: it goes on by itself once the stream is purged"
    if "halted_by" in facts:
        return "see the line `log chain` here: it goes on by itself once the log is put back"
    if "waits_for" in facts:
        return "mend what it waits for: it goes on by itself"
    return (
        f"mpd logs {name} --data {cluster.settings.data_dir}" if cluster.settings.data_dir else f"see the log of {name}"
    )


def _concerns(name: str, facts: dict[str, object] | None) -> list[DoctorCheck]:
    """Return the concerns of a service that does its work."""
    told = {} if facts is None or "halted_by" in facts else facts.get("concerns")
    mend = "see the line of that name here, and context/operations/readiness.md"
    if facts is None or not isinstance(told, list):
        return []
    warned = [(str(each), warning(f"concern {name}", str(each), mend)) for each in told]
    return [follows(check, _server_away(facts) or _repeats(said)) for said, check in warned]


def _repeats(concern: str) -> str:
    """The line here that says the same as a gateway does, empty where there is none."""
    return " ".join(concern.split()[:2]) if concern.startswith("projection ") else ""


def disk_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Room on the disk, where it is this machine's."""
    folder = cluster.settings.data_dir
    if folder is None or not folder.exists():
        return [unknown("disk", "the servers' data is not on this machine, as far as is known (MP_DATA_DIR)")]
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:,.1f} GB free for {folder}"
    if free < _FREE_FAILS_BYTES:
        return [problem("disk", detail, f"make room: du -xsh {folder}/*")]
    return [
        warning("disk", detail, f"make room: du -xsh {folder}/*") if free < _FREE_WARNS_BYTES else ok("disk", detail)
    ]


def secret_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Files with secrets, where they are on this machine."""
    folder = cluster.settings.secrets_dir
    if folder is None or not folder.exists():
        return [unknown("secrets", "where they are is not known, or not on this machine: set MP_SECRETS_DIR")]
    checks = [*_open_to_others(folder, 0o700)]
    for path in _files(folder, cluster.settings.data_dir):
        checks += _open_to_others(path, 0o600)
    for name in _SECRETS:
        if not (folder / name).exists():
            checks.append(
                problem(f"secret {name}", f"{folder / name} does not exist", f"mpctl backup restore-keys FILE {folder}")
            )
    checks += [
        problem(f"secret {path.name}", f"{path} {flaw}", f"{remedy(path)}; then start what reads it again")
        for path, flaw in flaws_in(folder)
    ]
    return checks or [ok("secrets", f"{folder} is readable by its owner alone, and each file holds what it is for")]


def _mounted_read_only(path: Path) -> bool:
    """Return whether nobody here could change its mode, as with a secret that Kubernetes mounts."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _files(secrets: Path, data: Path | None) -> Iterator[Path]:
    yield from sorted(path for path in secrets.iterdir() if path.is_file() and path.suffix not in _PUBLIC)
    for name in ("operator.json", "client.json"):
        if data is not None and (data / name).exists():
            yield data / name


def _open_to_others(path: Path, mode: int) -> Iterator[DoctorCheck]:
    found = stat.S_IMODE(path.stat().st_mode)
    if found & 0o077 and not _mounted_read_only(path):
        detail = f"{path} has mode {found:04o}: others may use it"
        yield problem(f"secret {path.name}", detail, f"chmod {mode:04o} {path}")
