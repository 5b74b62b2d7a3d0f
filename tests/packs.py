"""Packs that somebody tampers with."""

from __future__ import annotations

import json
import zipfile
from hashlib import sha256
from pathlib import Path

from analyzer import export, pack_verifier
from analyzer.tables import zip_bytes


def rewritten(pack: Path, target: Path, change: dict[str, bytes | None], sealed: bool = True) -> Path:
    """The pack with other members (None: without one), by somebody who also mends the sum of the archive."""
    with zipfile.ZipFile(pack) as old:
        files = {name: old.read(name) for name in old.namelist()} | change
    packed = zip_bytes({name: data for name, data in files.items() if data is not None})
    target.write_bytes(pack_verifier.sealed(packed) if sealed else packed)
    return target


def mended(pack: Path, target: Path, change: dict[str, bytes], **manifest: object) -> Path:
    """The pack with other members, by somebody who mends every sum."""
    with zipfile.ZipFile(pack) as archive:
        told = json.loads(archive.read(export.MANIFEST)) | manifest
    told["files"] |= {name: {"sha256": sha256(data).hexdigest(), "bytes": len(data)} for name, data in change.items()}
    text = json.dumps(told).encode()
    return rewritten(pack, target, {**change, export.MANIFEST: text, "manifest.sha256": f"{sha256(text).hexdigest()}  manifest.json\n".encode()})
