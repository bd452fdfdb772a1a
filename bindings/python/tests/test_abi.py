"""The generated table is the header's, and the layouts are the compiler's."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from outlast import _abi

ROOT = Path(__file__).resolve().parents[3]


def test_the_table_is_what_the_header_says() -> None:
    tool = ROOT / "bindings/python/tools/abi.py"
    assert subprocess.run([sys.executable, tool, "--check"]).returncode == 0, "run bindings/python/tools/abi.py"


def test_every_exported_function_has_a_type() -> None:
    ledger = (ROOT / "include/symbols.txt").read_text().splitlines()
    assert set(_abi.FUNCTIONS) == {line for line in ledger if line and not line.startswith("#")}


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_layouts_are_those_of_the_compiler(tmp_path: Path) -> None:
    structs = [kind for kind in vars(_abi).values() if isinstance(kind, type) and issubclass(kind, ctypes.Structure)]
    structs = [kind for kind in structs if kind is not ctypes.Structure]
    lines = ["#include <stdio.h>", '#include "outlast.h"', "int main(void) {"]
    expected = []
    for kind in structs:
        for name, _ in kind._fields_:
            lines.append(f'  printf("%zu\\n", offsetof({kind.__name__}, {name}));')
            expected.append(getattr(kind, name).offset)
        lines.append(f'  printf("%zu\\n", sizeof({kind.__name__}));')
        expected.append(ctypes.sizeof(kind))
    source = tmp_path / "layout.c"
    source.write_text("\n".join([*lines, "  return 0;", "}", ""]))
    program = tmp_path / "layout"
    subprocess.run(["cc", "-I", ROOT / "include", source, "-o", program], check=True)
    found = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    assert [int(number) for number in found] == expected
