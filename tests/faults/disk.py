"""A small disk in memory, which only one server sees and which is gone with it."""

import os
import pwd
from pathlib import Path

_MOUNT = 'mount -t tmpfs -o size={megabytes}m,mode=0700,uid={owner} none {folder} && exec "$@"'


def with_disk(command: list[str | Path], folder: Path, megabytes: int, user: str | None) -> list[str | Path]:
    """Return a command that runs this one where `folder` is a disk of so many megabytes, by `user` or the present one.

    Linux lets root do so, and others where it lets them have namespaces of their own.
    """
    entry = pwd.getpwnam(user) if user else None
    # Root of a namespace is its user outside.
    owner = entry.pw_uid if entry else 0
    mount = ["sh", "-c", _MOUNT.format(megabytes=megabytes, owner=owner, folder=folder), "sh"]
    if entry is not None:
        login = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
        return ["unshare", "--mount", *mount, *login, *command]
    # PostgreSQL refuses to run as root, also as the one of a namespace.
    back = ["unshare", "--user", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}"]
    return ["unshare", "--user", "--map-root-user", "--mount", *mount, *back, *command]
