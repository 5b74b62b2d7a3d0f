"""Checks an evidence pack with nothing but Python: python verify.py PACK.zip, or inside the unpacked folder without a name.

Every file must be listed in manifest.json with its SHA-256, none may be missing or unlisted; the manifest must have the sum in
manifest.sha256; the numbers of rows and the control totals must be those that are stated, each finding must have its evidence, the
log of reviews must be one unbroken chain, and the sheet of verdicts what it says. An archive must be laid out as packs are, to the byte, and
the comment at its end holds the SHA-256 of all that stands before it, so that no byte of it can change unseen. A signature (manifest.sig) is only checked by `dunaudit verify --public-key`; this program says so.
The first line of the answer says whether the pack is whole; each thing that is wrong has its own.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # Run inside a folder that somebody unpacked, what lies beside it must not pass for a module of Python.
    sys.path[:] = sys.path[1:]

import csv
import io
import json
import struct
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
_SEAL_SIZE = len(_SEAL) + 64
# What packs write for each file: 1980-01-01, made on Unix, read by all and written by its owner. The format counts files in two bytes.
_DAY, _UNIX, _MODE, _FEW = 0x21, 3, 0o644 << 16, 0xFFFF


class Folder:
    """An unpacked pack, read as if it were the archive."""

    def __init__(self, path: Path) -> None:
        """`path` holds manifest.json."""
        self.path = path

    def namelist(self) -> list[str]:
        """The names of all files."""
        return sorted(p.relative_to(self.path).as_posix() for p in self.path.rglob("*") if p.is_file() and not (p.parent == self.path / "__pycache__" and p.name.startswith("verify.") and p.suffix == ".pyc"))

    def read(self, name: str) -> bytes:
        """What one file holds; a link to somewhere else holds nothing."""
        return b"" if (self.path / name).is_symlink() else (self.path / name).read_bytes()


def sealed(archive: bytes) -> bytes:
    """An archive without a comment, with the SHA-256 of all its bytes as its comment."""
    body = archive[:-2] + struct.pack("<H", _SEAL_SIZE)
    return body + _SEAL + sha256(body).hexdigest().encode()


def seal_holds(archive: bytes) -> bool:
    """Whether the bytes of an archive are those that were sealed."""
    return archive[-_SEAL_SIZE:] == _SEAL + sha256(archive[:-_SEAL_SIZE]).hexdigest().encode()


def as_written(archive: zipfile.ZipFile) -> bool:
    """Whether an archive is laid out as packs are, to the byte: sealed, the files one behind the other in the order of the directory, each
    one whole stream, no field, mode or comment in which anything could hide."""
    if archive.fp is None:
        return False
    archive.fp.seek(0)
    data = archive.fp.read()
    at, directory, entries = 0, b"", archive.infolist()
    for entry in entries:
        name = entry.filename.encode("utf-8", "surrogatepass")
        common = struct.pack("<BBHHHHLLLHH", 20, 0, 0 if name.isascii() else 0x800, zipfile.ZIP_DEFLATED, 0, _DAY, entry.CRC, entry.compress_size, entry.file_size, len(name), 0)
        local = b"PK\3\4" + common + name
        stream = data[at + len(local) : at + len(local) + entry.compress_size]
        if entry.header_offset != at or data[at : at + len(local)] != local or not _one_stream(stream):
            return False
        directory += b"PK\1\2" + struct.pack("<BB", 20, _UNIX) + common + struct.pack("<HHHLL", 0, 0, 0, _MODE, at) + name
        at += len(local) + len(stream)
    return data[at:-_SEAL_SIZE] == directory + _end(len(entries), len(directory), at) and seal_holds(data)


def _one_stream(stream: bytes) -> bool:
    """Whether a compressed file ends where its bytes end."""
    reader = zlib.decompressobj(-zlib.MAX_WBITS)
    reader.decompress(stream)
    return reader.eof and not reader.unused_data


def _end(count: int, size: int, at: int) -> bytes:
    """The records behind the directory, which begins at `at`; more files than two bytes count need the longer kind too."""
    long = b""
    if count > _FEW:
        long = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, at) + struct.pack("<4sLQL", b"PK\6\7", 0, at + size, 1)
    return long + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, min(count, _FEW), min(count, _FEW), size, at, _SEAL_SIZE)


def problems(archive: zipfile.ZipFile | Folder) -> list[tuple[str, str]]:
    """(what is wrong, where): missing, unlisted, twice, changed, rows, total, evidence, chain, verdicts."""
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
    return found or _counts(archive, manifest) + _evidence(archive, listed) + _chain(archive) + _verdicts(archive)


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


def _verdicts(archive: zipfile.ZipFile | Folder) -> list[tuple[str, str]]:
    """The sheet of verdicts tells those of the log whose content is here."""
    told = ("seq", "finding_id", "kind", "state", "rule")
    logged = [["" if row[name] is None else str(row[name]) for name in told] for row in rows_of(archive, ACTION_LOG) if "actor" in row]
    return [] if [[row[name] for name in told] for row in _table(archive, "verdicts.csv")] == logged else [("verdicts", "verdicts.csv")]


def rows_of(archive: zipfile.ZipFile | Folder, name: str) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file of the pack."""
    return [json.loads(line) for line in archive.read(name).decode("utf-8").split("\n") if line]


def visible(name: str) -> str:
    """A name whose characters that move or hide others on a terminal are told by their numbers."""
    return "".join(c if c.isprintable() else f"<U+{ord(c):04X}>" for c in name)


def main(arguments: list[str]) -> int:
    """0: whole; 1: something is wrong; 2: no pack."""
    place = Path(arguments[0]) if arguments else Path(__file__).parent
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that has no Chinese characters still gets the answer.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if place.is_dir():
            names, found = Folder(place).namelist(), problems(Folder(place))
        else:
            with zipfile.ZipFile(place) as archive:
                names, found = archive.namelist(), problems(archive)
                if not found and not as_written(archive):
                    found = [("archive", place.name)]
    except DAMAGED as error:
        print(f"不是证据包 / not an evidence pack: {visible(place.name)} ({type(error).__name__})")
        return 2
    print("证据包完整 / the pack is whole" if not found else "证据包有误 / the pack is not whole")
    for kind, name in found:
        print(f"{kind}: {visible(name)}")
    if SIGNATURE in names:
        print("签名未核对 / the signature was not checked (dunaudit verify --public-key)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
