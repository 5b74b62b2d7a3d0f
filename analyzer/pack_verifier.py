"""Checks an evidence pack with nothing but Python: python verify.py PACK.zip, or inside the unpacked folder without a name.

Every file must be listed in manifest.json with its SHA-256, none may be missing or unlisted, and the numbers of rows must be
those the manifest states. The first line of the answer says whether the pack is whole; each thing that is wrong has its own.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


class Folder:
    """An unpacked pack, read as if it were the archive."""

    def __init__(self, path: Path) -> None:
        """`path` holds manifest.json."""
        self.path = path

    def namelist(self) -> list[str]:
        """The names of all files."""
        return sorted(p.relative_to(self.path).as_posix() for p in self.path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)

    def read(self, name: str) -> bytes:
        """What one file holds."""
        return (self.path / name).read_bytes()


def problems(archive: zipfile.ZipFile | Folder) -> list[tuple[str, str]]:
    """(what is wrong, where): missing, unlisted, twice, changed, rows, evidence."""
    manifest = json.loads(archive.read(MANIFEST))
    listed, names = manifest["files"], [n for n in archive.namelist() if n != MANIFEST]
    found = [("twice", name) for name, times in Counter(names).items() if times > 1]
    found += [("missing", name) for name in sorted(set(listed) - set(names))]
    found += [("unlisted", name) for name in sorted(set(names) - set(listed))]
    for name in sorted(set(names) & set(listed)):
        try:
            data = archive.read(name)
        except (OSError, zipfile.BadZipFile, ValueError):
            data = b""
        if sha256(data).hexdigest() != listed[name]["sha256"] or len(data) != listed[name]["bytes"]:
            found.append(("changed", name))
    if found:
        return found
    rows = {name: rows_of(archive, f"{name}.jsonl") for name in ("findings", "evidence")}
    found += [("rows", f"{name}.jsonl") for name in rows if len(rows[name]) != manifest["rows"][name]]
    counted: dict[str, set[str]] = {}
    breaching: dict[str, set[str]] = {}
    for row in rows["evidence"]:
        counted.setdefault(row["finding_id"], set()).add(row["contact_id"])
        if row["role"] == "breach":
            breaching.setdefault(row["finding_id"], set()).add(row["contact_id"])
    for row in rows["findings"]:
        name = str(row["finding_id"])
        if len(counted.get(name, ())) != row["evidence"] or len(breaching.get(name, ())) != row["breaches"] or f"sql/{name}.sql" not in listed:
            found.append(("evidence", name))
    return found


def rows_of(archive: zipfile.ZipFile | Folder, name: str) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file of the pack."""
    return [json.loads(line) for line in archive.read(name).decode("utf-8").splitlines() if line]


def main(arguments: list[str]) -> int:
    """0: whole; 1: something is wrong; 2: no pack."""
    place = Path(arguments[0]) if arguments else Path(__file__).parent
    try:
        if place.is_dir():
            found = problems(Folder(place))
        else:
            with zipfile.ZipFile(place) as archive:
                found = problems(archive)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        print(f"不是证据包 / not an evidence pack: {place.name} ({type(error).__name__})")
        return 2
    print("证据包完整 / the pack is whole" if not found else "证据包有误 / the pack is not whole")
    for kind, name in found:
        print(f"{kind}: {name}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
