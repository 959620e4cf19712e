"""What is installed is what the lock files say, whatever is released later."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
BENCH = "requirements-bench.lock"
LOCKS = ["requirements-dev.lock", "requirements.lock", BENCH]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
# What a fresh environment has of its own.
OWN = {"pip", "setuptools", "bindery"}
INSTALLED = (
    "from importlib.metadata import distributions\n"
    "for each in distributions(): print(each.metadata['name'], each.version)"
)


def locked(name: str) -> list[Requirement]:
    """The packages of a lock file."""
    lines = re.findall(r"^([A-Za-z0-9][^\\]+?) *\\$", (ROOT / name).read_text(), re.MULTILINE)
    return [Requirement(line) for line in lines]


def release(folder: Path, requirement: Requirement) -> None:
    """A newer release of a package, with the extras of the one that is locked."""
    name, version = canonicalize_name(requirement.name).replace("-", "_"), "9999.0"
    extras = "".join(f"Provides-Extra: {extra}\n" for extra in requirement.extras)
    files = {
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{extras}",
        f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items())
    files[f"{name}-{version}.dist-info/RECORD"] = f"{record}{name}-{version}.dist-info/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def newer(tmp_path: Path) -> dict[str, str]:
    """An environment in which both installers find a newer release of every locked package."""
    folder = tmp_path / "newer"
    folder.mkdir()
    for requirement in locked("requirements-dev.lock"):
        release(folder, requirement)
    links = " ".join(filter(None, [str(folder), os.environ.get("PIP_FIND_LINKS")]))
    return {**os.environ, "PIP_FIND_LINKS": links, "UV_FIND_LINKS": str(folder)}


def checkout(folder: Path) -> Path:
    """What an installation needs of this folder."""
    folder.mkdir()
    for name in ("Makefile", "requirements-dev.lock", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "app").mkdir()
    shutil.copy(ROOT / "app" / "__init__.py", folder / "app")
    return folder


def run(command: list[str | Path], folder: Path, environment: dict[str, str] | None = None) -> str:
    """What the command prints."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def is_of_this_platform(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate()


@pytest.mark.index
@pytest.mark.long
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_fresh_environment_is_the_lock_file_whatever_was_released_since(
    tmp_path: Path, newer: dict[str, str], installer: str
) -> None:
    folder = checkout(tmp_path / "fresh")
    # Without uv, which then cannot run, all is left to pip.
    arguments = [] if installer == "uv" else ["UV=false"]

    run(["make", f"PYTHON={sys.executable}", *arguments, ".venv/installed.stamp"], folder, newer)

    printed = run([folder / ".venv/bin/python", "-c", INSTALLED], folder)
    installed = {canonicalize_name(name): version for name, version in map(str.split, printed.splitlines())}
    assert {name: version for name, version in installed.items() if name not in OWN} == {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in locked("requirements-dev.lock")
        if is_of_this_platform(each)
    }


@pytest.mark.index
def test_a_lock_file_that_lacks_a_package_is_not_installed(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "fresh")
    lock = folder / "requirements-dev.lock"
    lock.write_text(re.sub(r"^h11==(?:.*\n)(?:    .*\n)+", "", lock.read_text(), flags=re.MULTILINE))

    done = subprocess.run(
        ["make", f"PYTHON={sys.executable}", ".venv/installed.stamp"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "requires h11, which is not installed" in done.stderr
    assert not (folder / ".venv" / "installed.stamp").exists()


@pytest.mark.index
@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("platform", ["x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "aarch64-apple-darwin"])
def test_every_locked_package_has_a_wheel_for_each_supported_python(
    tmp_path: Path, lock: str, python: str, platform: str
) -> None:
    options = ["--dry-run", "--quiet", "--python-version", python, "--python-platform", platform]
    exact = ["--only-binary", ":all:", "--no-deps", "--require-hashes", "--requirement", ROOT / lock]

    run([Path(sys.executable).with_name("uv"), "pip", "install", *options, "--target", tmp_path, *exact], ROOT)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_names_extras_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()

    assert "://" not in text
    assert ("sqlalchemy[asyncio]==" if name == BENCH else "psycopg[binary]==") in text


def test_the_benchmarks_change_no_version_that_the_tests_have() -> None:
    tests, bench = ({each.name: each.specifier for each in locked(name)} for name in ("requirements-dev.lock", BENCH))
    shared = tests.keys() & bench.keys()

    assert "fastapi" in shared
    assert {name: bench[name] for name in shared} == {name: tests[name] for name in shared}


def test_the_image_is_installed_without_a_resolver() -> None:
    assert "--no-deps --require-hashes --requirement requirements.lock" in (ROOT / "Dockerfile").read_text()
