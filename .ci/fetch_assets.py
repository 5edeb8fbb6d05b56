"""Fetch the JavaScript libraries of reports from the npm registry: ``python .ci/fetch_assets.py``.

``torch_gptff/report/assets/assets.json`` names packages, versions, integrity hashes and the files taken from each. With
``--check``, files are compared with those in the repository, and none is written.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import tarfile
import urllib.request
from pathlib import Path

ASSETS = Path(__file__).parents[1] / "torch_gptff" / "report" / "assets"
REGISTRY = "https://registry.npmjs.org"


def fetched(package: str, version: str, integrity: str) -> bytes:
    """The archive of a package, whose hash is that of ``integrity``."""
    with urllib.request.urlopen(f"{REGISTRY}/{package}/-/{package}-{version}.tgz") as answer:
        archive = answer.read()
    digest = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if digest != integrity:
        raise SystemExit(f"{package} {version} has the hash {digest}, and assets.json names {integrity}")
    return bytes(archive)


def main(check: bool) -> None:
    for asset in json.loads((ASSETS / "assets.json").read_text(encoding="utf-8")):
        archive = fetched(asset["package"], asset["version"], asset["integrity"])
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            for name, inside in asset["files"].items():
                member = files.extractfile(inside)
                if member is None:
                    raise SystemExit(f"{asset['package']} {asset['version']} has no file {inside}")
                content = member.read()
                if not check:
                    (ASSETS / name).write_bytes(content)
                elif (ASSETS / name).read_bytes() != content:
                    raise SystemExit(f"{name} is not the file of {asset['package']} {asset['version']}")
        print(f"{asset['package']} {asset['version']}: {', '.join(asset['files'])}")


if __name__ == "__main__":
    main("--check" in sys.argv[1:])
