"""The chart renders to valid, restricted objects that pass the services settings they know."""

from __future__ import annotations

import re
from pathlib import Path

import helm_python
import pytest
from kubernetes_validate.utils import validate
from mpservice.services import NAMES

from tests.deploy.rendered import CHART, VALUES_FILES, Json, environment, pods, render, values

MINIMAL = values(CHART / "ci/minimal-values.yaml")
LINT_INFO = 1
each_values_file = pytest.mark.parametrize("path", VALUES_FILES, ids=lambda path: path.stem)


@each_values_file
def test_the_chart_passes_the_linter(path: Path) -> None:
    report = helm_python.lint(CHART, values(path), strict=True)
    assert [message for message in report["messages"] if message["severity"] > LINT_INFO] == []


@each_values_file
@pytest.mark.parametrize("version", ["1.28", "1.31"])
def test_every_object_is_valid_for_kubernetes(path: Path, version: str) -> None:
    for item in render(values(path)):
        validate(item, version, strict=True)


def test_the_gateway_is_told_of_its_proxies() -> None:
    full = values(CHART / "ci/full-values.yaml")
    told = {
        environment(pod["containers"][0])["MP_TRUSTED_PROXIES"]
        for _, pod in pods(render(full))
        if pod["containers"][0]["name"] == "gateway"
    }
    assert told == {"10.0.0.0/8,192.0.2.7"}


@pytest.mark.parametrize(("secret", "warned"), [("", True), ("my-credentials", False)])
def test_whoever_installs_it_is_told_when_nats_and_redis_ask_nobody_who_they_are(secret: str, warned: bool) -> None:
    notes = helm_python.Chart.load(CHART).render(MINIMAL | {"credentialsSecret": secret}, name="mp")
    told = next(text for name, text in notes.items() if name.endswith("NOTES.txt"))
    assert ("WARNING: credentialsSecret is empty" in told) is warned


@each_values_file
def test_every_pod_is_restricted(path: Path) -> None:
    for name, pod in pods(render(values(path))):
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in container["resources"]["limits"], name


def test_services_have_all_probes_and_liveness_asks_the_process_alone() -> None:
    for item in render(MINIMAL):
        if item["kind"] == "Deployment":
            container = item["spec"]["template"]["spec"]["containers"][0]
            assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
            assert "startupProbe" in container


def test_no_password_is_in_the_rendered_objects() -> None:
    for name, pod in pods(render(MINIMAL)):
        variables = environment(pod["containers"][0])
        secret = {key for key in variables if key.endswith(("PASSWORD", "HASH"))}
        assert {key for key in secret if variables[key] is not None} == set(), name
        for key in variables.keys() & {"MP_POSTGRES_DSN", "MP_POSTGRES_OWNER_DSN"}:
            assert re.search(r":\$\(MP_[A-Z]+_PASSWORD\)@", variables[key] or ""), name


def test_a_password_stands_before_the_dsn_that_quotes_it() -> None:
    for name, pod in pods(render(MINIMAL)):
        order = list(environment(pod["containers"][0]))
        for dsn in {"MP_POSTGRES_DSN", "MP_POSTGRES_OWNER_DSN"} & set(order):
            value = environment(pod["containers"][0])[dsn] or ""
            password = re.findall(r"\$\((\w+)\)", value)[0]
            assert order.index(password) < order.index(dsn), name


def test_secret_files_are_where_the_services_look_for_them() -> None:
    looked_for = {}
    for name, pod in pods(render(MINIMAL)):
        files = {item["path"] for volume in pod["volumes"] for item in volume.get("secret", {}).get("items", [])}
        variables = environment(pod["containers"][0])
        looked_for[name] = {variables.get("MP_SIGNING_KEY_FILE"), variables.get("MP_SECRETS_DIR")} - {None}, files
    assert looked_for["mp-kernel"] == ({"/secrets/signing_key"}, {"signing_key"})
    assert looked_for["mp-gateway"] == ({"/secrets"}, {"pepper", "token_key", "webhook_key"})
    assert looked_for["mp-webhooks"] == ({"/secrets"}, {"webhook_key"})
    assert looked_for["mp-projector"] == (set(), set())


def test_a_single_replica_has_no_disruption_budget() -> None:
    budgets = {item["metadata"]["name"] for item in render(MINIMAL) if item["kind"] == "PodDisruptionBudget"}
    single = {item["metadata"]["name"] for item in render(_with("kernel", replicas=1)) if _is_budget(item)}
    assert budgets - single == {"mp-kernel"}


def test_network_policies_cover_every_service_both_ways() -> None:
    policies = [item for item in render(MINIMAL) if item["kind"] == "NetworkPolicy"]
    assert {policy["metadata"]["name"] for policy in policies} == {f"mp-{name}" for name in NAMES}
    assert all(set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"} for policy in policies)


def test_a_digest_beats_the_tag() -> None:
    full = values(CHART / "ci/full-values.yaml")
    assert all("@sha256:" in pod["containers"][0]["image"] for _, pod in pods(render(full)))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"nats": {"url": ""}}, "nats.url is required"),
        ({"postgresql": {"host": ""}}, "postgresql.host is required"),
        ({"redis": {"url": ""}}, "redis.url is required"),
        ({"oidc": {"issuer": "https://id.example"}}, "set together"),
        ({"kernel": {"lease": "paper"}}, "lease"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_wrong_values_are_refused_with_the_reason(wrong: Json, reason: str) -> None:
    with pytest.raises(helm_python.HelmError, match=re.escape(reason)):
        render(MINIMAL | wrong)


def test_every_value_is_explained() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    leaves = [number for number, line in enumerate(lines) if re.match(r"\s*\w+: \S", line)]
    assert [lines[number] for number in leaves if not lines[number - 1].strip().startswith("# --")] == []


def _with(section: str, **changes: object) -> Json:
    return MINIMAL | {section: MINIMAL.get(section, {}) | changes}


def _is_budget(item: Json) -> bool:
    return bool(item["kind"] == "PodDisruptionBudget")
