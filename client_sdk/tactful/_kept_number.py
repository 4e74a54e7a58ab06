"""A number in a small file of mode 0600 that only rises, replaced as a whole and durable before return."""

import contextlib
import os
import re
import secrets
from pathlib import Path

from tactful.errors import KeyMalformed


def number_of(text: str, where: str) -> int:
    """Return the number that a text spells; raises `KeyMalformed`."""
    if not re.fullmatch(r"[0-9]{1,18}", text.strip()):
        remedy = "restore it, or move it away and decide about the vault with Host.accept_vault"
        raise KeyMalformed(f"{where} is no counter", field="keys", remedy=remedy)
    return int(text)


def kept_number(path: Path) -> int | None:
    """Return the number, None where there is no file; raises `KeyMalformed`."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        remedy = "make it readable for this process"
        raise KeyMalformed(f"cannot read {path} ({error.strerror})", field="keys", remedy=remedy) from error
    return number_of(text, str(path))


def keep_number(path: Path, to: int) -> None:
    """Keep ``to``, unless as high a number is kept; the caller sees to it that one process at a time does so."""
    kept = kept_number(path)
    if kept is None or to > kept:
        _replace(path, to)


def _replace(path: Path, number: int) -> None:
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        remedy = "make the key's folder writable, with room on the disk"
        raise KeyMalformed(f"cannot keep {path} ({error.strerror})", field="keys", remedy=remedy) from error


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
