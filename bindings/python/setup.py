"""Builds the shared library with cargo and puts it into the wheel.

OUTLAST_LIBRARY names a library that was built before; CARGO_TARGET_DIR is obeyed.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py
from wheel.bdist_wheel import bdist_wheel

NAME = "liboutlast.dylib" if sys.platform == "darwin" else "liboutlast.so"
WORKSPACE = Path(__file__).resolve().parent.parent.parent


def build_library() -> Path:
    given = os.environ.get("OUTLAST_LIBRARY")
    if given:
        return Path(given)
    command = ["cargo", "build", "--release", "--locked", "-p", "outlast-ffi", "--message-format=json-render-diagnostics"]
    done = subprocess.run(command, cwd=WORKSPACE, stdout=subprocess.PIPE, check=True)
    for line in done.stdout.splitlines():
        message = json.loads(line)
        for file in message.get("filenames", []):
            if file.endswith(NAME):
                return Path(file)
    raise SystemExit(f"cargo did not say where {NAME} is")


class BuildWithLibrary(build_py):
    def run(self) -> None:
        super().run()
        target = Path(self.build_lib) / "outlast" / "_native"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(build_library(), target / NAME)


class PlatformWheel(bdist_wheel):
    """For this platform, but for every Python: nothing is compiled against it."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


class WithLibrary(Distribution):
    def has_ext_modules(self) -> bool:
        return True


setup(cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel}, distclass=WithLibrary)
