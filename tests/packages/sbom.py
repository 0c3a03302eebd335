"""The list of components of an image: whether it is CycloneDX, and whether it names what is in the image. sbom.py FILE"""

import json
import pathlib
import sys
import tomllib

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

text = pathlib.Path(sys.argv[1]).read_text()
mistake = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
assert mistake is None, mistake
document = json.loads(text)
components = {component["name"]: component for component in document["components"]}
lock = tomllib.loads((pathlib.Path(__file__).parent.parent.parent / "Cargo.lock").read_text())["package"]
locked = {(package["name"], package["version"]): package.get("checksum") for package in lock}
for component in document["components"]:
    if component["purl"].startswith("pkg:cargo/"):
        assert component["hashes"][0]["content"] == locked[component["name"], component["version"]], component
        assert component["licenses"], component
# What is linked, what comes from Debian, and what only tests and builds use.
for name in ["rustls", "aws-lc-sys", "tikv-jemalloc-sys", "tokio", "libc6", "libgcc-s1", "ca-certificates"]:
    assert name in components, name
for name in ["criterion", "proptest", "rcgen", "serde_derive", "load"]:
    assert name not in components, name
assert document["metadata"]["component"]["name"] == "paystream"
print(f"ok: {len(components)} components, by the schema of CycloneDX 1.6")
