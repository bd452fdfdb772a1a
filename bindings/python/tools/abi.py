#!/usr/bin/env python3
"""Writes outlast/_abi.py from include/outlast.h; with --check it only says whether that is up to date.

The header is generated and regular: constants, structs of plain fields, function types and prototypes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADER = HERE.parent.parent.parent / "include" / "outlast.h"
TARGET = HERE.parent / "outlast" / "_abi.py"

PLAIN = {
    "size_t": "c_size_t",
    "uint8_t": "c_uint8",
    "uint32_t": "c_uint32",
    "int32_t": "c_int32",
    "uint64_t": "c_uint64",
    "int64_t": "c_int64",
    "double": "c_double",
    "outlast_status": "c_int32",
}


def main() -> int:
    text = generate(HEADER.read_text())
    if "--check" in sys.argv:
        return 0 if TARGET.read_text() == text else 1
    TARGET.write_text(text)
    return 0


def generate(header: str) -> str:
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    code = re.sub(r"//[^\n]*", "", code)
    structs = dict(re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", code, flags=re.S))
    callbacks = re.findall(r"typedef (\w+) \(\*(\w+)\)\((.*?)\);", code, flags=re.S)
    plain = code
    for name in structs:
        plain = re.sub(rf"typedef struct {name} \{{.*?\}} {name};", "", plain, flags=re.S)
    plain = plain.split("static inline")[0]
    # Preprocessor lines and the linkage block end nothing.
    plain = re.sub(r"^#.*$|extern \"C\" \{", "", plain, flags=re.M)
    functions = re.findall(r"^((?:const )?(?:struct )?\w+ \**)(outlast_\w+)\(([^;{}]*?)\);", plain, flags=re.M)
    callback_names = {name for _, name, _ in callbacks}

    def kind(text: str) -> str:
        text = " ".join(text.replace("const ", "").replace("struct ", "").split())
        stars = text.count("*")
        base = text.replace("*", "").strip()
        if stars == 0:
            return PLAIN.get(base, base)
        if base == "char" and stars == 1:
            return "c_void_p"
        if base in ("void", "uint8_t") and stars == 1:
            return "c_void_p"
        if base in structs and stars == 1:
            return f"POINTER({base})"
        if base in PLAIN and stars == 1:
            return f"POINTER({PLAIN[base]})"
        # Opaque handles are numbers; a place for one is a pointer to such a number.
        return "c_void_p" if stars == 1 else "POINTER(c_void_p)"

    def split(text: str) -> tuple[str, str]:
        match = re.fullmatch(r"(.*?)(\w+)", " ".join(text.split()))
        assert match, text
        return match[1], match[2]

    lines = [
        '"""The C ABI as ctypes sees it. Generated from include/outlast.h by tools/abi.py; change it there."""',
        "",
        "# fmt: off",
        "# mypy: ignore-errors",
        "from ctypes import (CDLL, CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint8,",
        "                    c_uint32, c_uint64, c_void_p)",
        "",
    ]
    for name, value in re.findall(r"^#define (OUTLAST_\w+) \(?(-?\d+)\)?$", code, flags=re.M):
        lines.append(f"{name.removeprefix('OUTLAST_')} = {value}")
    lines.append("")

    done: set[str] = set()
    pending = dict(structs)

    def emit_struct(name: str) -> None:
        if name in done:
            return
        fields = []
        for field in filter(None, (piece.strip() for piece in pending[name].split(";"))):
            type_text, field_name = split(field)
            of = kind(type_text)
            bare = re.sub(r"POINTER\((\w+)\)", r"\1", of)
            if bare in structs:
                emit_struct(bare)
            if of in callback_names:
                of = "c_void_p"
            fields.append(f'        ("{field_name}", {of}),')
        done.add(name)
        lines.extend(["", f"class {name}(Structure):", "    _fields_ = [", *fields, "    ]", ""])

    for name in structs:
        emit_struct(name)
    lines.append("")
    for result, name, arguments in callbacks:
        types = [kind(split(argument)[0]) for argument in arguments.split(",")]
        returned = "None" if result == "void" else kind(result)
        lines.append(f"{name} = CFUNCTYPE({', '.join([returned, *types])})")
    lines += ["", "", "# name: result, arguments", "FUNCTIONS = {"]
    for result, name, arguments in functions:
        names = [] if arguments.strip() == "void" else [split(argument)[0] for argument in arguments.split(",")]
        types = [kind(argument) for argument in names]
        result = result.strip()
        returned = "None" if result == "void" else "c_char_p" if result == "const char *" else kind(result)
        lines.append(f'    "{name}": ({returned}, [{", ".join(types)}]),')
    lines += [
        "}",
        "",
        "",
        "def bind(path):",
        '    """Loads the library at `path` and gives its functions their types."""',
        "    library = CDLL(path)",
        "    for name, (result, arguments) in FUNCTIONS.items():",
        "        function = getattr(library, name)",
        "        function.restype = result",
        "        function.argtypes = arguments",
        "    return library",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
