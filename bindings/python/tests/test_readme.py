"""Every example of the README runs, against the loopback cloud."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
REGION = "https://objectstorage.us-phoenix-1.oraclecloud.com"


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example(cloud: Any, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = EXAMPLES[number].replace(REGION, cloud.endpoint)
    for module in re.findall(r"^(?:import|from) (tqdm|rich|oci|requests|httpx)", code, flags=re.M):
        pytest.importorskip(module)
    arguments = cloud.login()
    # The examples name the profile only; everything else is the environment's.
    monkeypatch.setenv("OCI_CLI_CONFIG_FILE", arguments["config_file"])
    monkeypatch.setenv("OCI_CONFIG_FILE", arguments["config_file"])
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".oci").mkdir()
    profile = Path(arguments["config_file"]).read_text()
    (tmp_path / ".oci/config").write_text(profile)
    monkeypatch.setenv("OCI_CLI_ENDPOINT", cloud.endpoint)
    cloud.control("bucket", {"name": "backups"})
    monkeypatch.chdir(tmp_path)
    Path("db.tar").write_bytes(b"backup" * 1000)
    code = code.replace('"LAB"', repr(arguments["profile"]))
    exec(compile(f"import outlast\n{code}", f"README.md, example {number + 1}", "exec"), {})
