"""Checks an evidence pack with nothing but Python: python verify.py PACK.zip, or inside the unpacked folder without a name.

Every file must be listed in manifest.json with its SHA-256, none may be missing or unlisted; the manifest must have the sum in
manifest.sha256; the numbers of rows and the control totals must be those that are stated, each finding must have its evidence, and the
log of reviews must be one unbroken chain. In an archive, the comment at its end holds the SHA-256 of all that stands before it, so that
no byte of it can change unseen. A signature (manifest.sig) is only checked by `dunaudit verify --public-key`; this program says so.
The first line of the answer says whether the pack is whole; each thing that is wrong has its own.
"""

from __future__ import annotations

import csv
import io
import json
import struct
import sys
import zipfile
import zlib
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

MANIFEST, MANIFEST_SUM, SIGNATURE, ACTION_LOG = "manifest.json", "manifest.sha256", "manifest.sig", "action_log.jsonl"
OUTSIDE = (MANIFEST, MANIFEST_SUM, SIGNATURE)
# What reading a damaged archive can end in.
DAMAGED = (OSError, KeyError, ValueError, TypeError, AttributeError, IndexError, EOFError, NotImplementedError, RuntimeError, OverflowError, csv.Error, struct.error, zlib.error, zipfile.BadZipFile)
_HASHED = ("at_utc", "actor", "finding_id", "run_id", "state", "comment", "assignee", "rule", "rule_digest", "evidence_digest", "previous")
_FIRST = "0" * 64
_SEAL = b"sha256:"


class Folder:
    """An unpacked pack, read as if it were the archive."""

    def __init__(self, path: Path) -> None:
        """`path` holds manifest.json."""
        self.path = path

    def namelist(self) -> list[str]:
        """The names of all files."""
        return sorted(p.relative_to(self.path).as_posix() for p in self.path.rglob("*") if p.is_file() and not (p.parent == self.path / "__pycache__" and p.name.startswith("verify.") and p.suffix == ".pyc"))

    def read(self, name: str) -> bytes:
        """What one file holds."""
        return (self.path / name).read_bytes()


def sealed(archive: bytes) -> bytes:
    """An archive without a comment, with the SHA-256 of all its bytes as its comment."""
    size = len(_SEAL) + 64
    body = archive[:-2] + struct.pack("<H", size)
    return body + _SEAL + sha256(body).hexdigest().encode()


def seal_holds(archive: bytes) -> bool:
    """Whether the bytes of an archive are those that were sealed."""
    size = len(_SEAL) + 64
    return archive[-size:] == _SEAL + sha256(archive[:-size]).hexdigest().encode()


def seamless(archive: zipfile.ZipFile) -> bool:
    """Whether the files stand one behind the other from the first byte to the directory, with nothing hidden between them."""
    at = 0
    stream = archive.fp
    if stream is None:
        return False
    for entry in sorted(archive.infolist(), key=lambda e: e.header_offset):
        if entry.header_offset != at:
            return False
        stream.seek(at)
        name, extra = struct.unpack("<HH", stream.read(30)[26:30])
        at += 30 + name + extra + entry.compress_size
    return at == archive.start_dir


def problems(archive: zipfile.ZipFile | Folder) -> list[tuple[str, str]]:
    """(what is wrong, where): missing, unlisted, twice, changed, rows, total, evidence, chain."""
    manifest = json.loads(archive.read(MANIFEST))
    listed, names = manifest["files"], [n for n in archive.namelist() if n not in OUTSIDE]
    found = [("twice", name) for name, times in Counter(archive.namelist()).items() if times > 1]
    found += [("missing", name) for name in sorted(set(listed) - set(names))]
    found += [("unlisted", name) for name in sorted(set(names) - set(listed))]
    for name in sorted(set(names) & set(listed)):
        data = _data(archive, name)
        if sha256(data).hexdigest() != listed[name]["sha256"] or len(data) != listed[name]["bytes"]:
            found.append(("changed", name))
    if _data(archive, MANIFEST_SUM).decode("utf-8", "replace") != f"{sha256(archive.read(MANIFEST)).hexdigest()}  {MANIFEST}\n":
        found.append(("changed", MANIFEST))
    return found or _counts(archive, manifest) + _evidence(archive, listed) + _chain(archive)


def _data(archive: zipfile.ZipFile | Folder, name: str) -> bytes:
    try:
        return archive.read(name)
    except DAMAGED:
        return b""


def _counts(archive: zipfile.ZipFile | Folder, manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Rows of every table as the manifest states them, and the control totals of the reconciliation sheet."""
    csv.field_size_limit(2**31 - 1)
    tables = {name: _table(archive, f"{name}.csv") for name in manifest["rows"]}
    found = [("rows", f"{name}.csv") for name, rows in tables.items() if len(rows) != manifest["rows"][name]]
    for row in tables.get("ipe", []):
        rows = tables[row["list"]]
        if int(row["rows"]) != len(rows):
            found.append(("rows", f"{row['list']}.csv"))
        if row["control"] and int(row["total"]) != sum(int(r[row["control"]] or 0) for r in rows):
            found.append(("total", f"{row['list']}.csv"))
    return found + [("rows", f"{name}.jsonl") for name in ("findings", "evidence") if len(rows_of(archive, f"{name}.jsonl")) != manifest["rows"][name]]


def _table(archive: zipfile.ZipFile | Folder, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(archive.read(name).decode("utf-8-sig"), newline="")))


def _evidence(archive: zipfile.ZipFile | Folder, listed: dict[str, Any]) -> list[tuple[str, str]]:
    """Each finding has as many contacts in evidence and in breach as it says, and its statement."""
    counted: dict[str, set[str]] = {}
    breaching: dict[str, set[str]] = {}
    for row in rows_of(archive, "evidence.jsonl"):
        counted.setdefault(row["finding_id"], set()).add(row["contact_id"])
        if row["role"] == "breach":
            breaching.setdefault(row["finding_id"], set()).add(row["contact_id"])
    found = []
    for row in rows_of(archive, "findings.jsonl"):
        name = str(row["finding_id"])
        if len(counted.get(name, ())) != row["evidence"] or len(breaching.get(name, ())) != row["breaches"] or f"sql/{name}.sql" not in listed:
            found.append(("evidence", name))
    return found


def _chain(archive: zipfile.ZipFile | Folder) -> list[tuple[str, str]]:
    """The log of reviews: each entry names the hash of the one before; those whose content is here have the hash of their content."""
    previous = _FIRST
    for place, row in enumerate(rows_of(archive, ACTION_LOG), start=1):
        # A plain verdict is hashed without these two, anything else with them.
        more = ("kind", "detail") if row.get("kind", "verdict") != "verdict" or row.get("detail") else ()
        told = [row.get(name) for name in (*_HASHED, *more)]
        whole = "actor" not in row or row["hash"] == sha256(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")).hexdigest()
        if row["seq"] != place or row["previous"] != previous or not whole:
            return [("chain", f"{ACTION_LOG} {row['seq']}")]
        previous = row["hash"]
    return []


def rows_of(archive: zipfile.ZipFile | Folder, name: str) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file of the pack."""
    return [json.loads(line) for line in archive.read(name).decode("utf-8").split("\n") if line]


def main(arguments: list[str]) -> int:
    """0: whole; 1: something is wrong; 2: no pack."""
    place = Path(arguments[0]) if arguments else Path(__file__).parent
    try:
        if place.is_dir():
            names, found = Folder(place).namelist(), problems(Folder(place))
        else:
            with zipfile.ZipFile(place) as archive:
                names, found = archive.namelist(), problems(archive)
                if not found and not (seal_holds(place.read_bytes()) and seamless(archive)):
                    found = [("archive", place.name)]
    except DAMAGED as error:
        print(f"不是证据包 / not an evidence pack: {place.name} ({type(error).__name__})")
        return 2
    print("证据包完整 / the pack is whole" if not found else "证据包有误 / the pack is not whole")
    for kind, name in found:
        print(f"{kind}: {name}")
    if SIGNATURE in names:
        print("签名未核对 / the signature was not checked (dunaudit verify --public-key)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
