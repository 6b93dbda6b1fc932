"""Build softkv-core with the kernels in C.

A wheel is for one platform, and for every Python on it: for this platform, or the one that the environment variable
SOFTKV_PLATFORM names, a key of PLATFORMS in softkv_attention/kernels/native/build.py. With "any", the wheel has no
kernels in C, and NumPy answers. That is also so on a platform that is not in PLATFORMS, and where the compiler's
package cannot be installed. If the compiler fails, so does the build.

An editable installation builds the library beside its sources. Without SOFTKV_PLATFORM the code in it is for this
machine's processor alone, which takes a fifth of the time.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.errors import ExecError

HERE = Path(__file__).parent.resolve()
# `softkv_attention` itself imports NumPy, which a build lacks.
sys.path.insert(0, str(HERE / "softkv_attention" / "kernels"))
native: Any = import_module("native.build")

REQUESTED = os.environ.get("SOFTKV_PLATFORM", "")


class Build(build_py):
    """Copies the modules, and builds the library of kernels beside them."""

    def run(self) -> None:
        """Build, and keep the tag of the wheel's platform in `Wheel.platform`."""
        super().run()
        root = HERE if self.editable_mode else Path(self.build_lib)
        directory = root / "softkv_attention" / "kernels" / "native"
        # A former build for another platform may have left its library.
        for library in () if self.editable_mode else directory.glob("softkv-kernels.*"):
            library.unlink()
        platform = self._build_library(directory)
        if not self.editable_mode:
            Wheel.platform = platform

    def _build_library(self, directory: Path) -> str:
        """Build the library into a directory, and return the tag of its platform; "any" if there is no library."""
        name = REQUESTED or native.this_platform()
        if REQUESTED == "any" or (not REQUESTED and name not in native.PLATFORMS):
            return "any"
        try:
            native.obtain(name, directory, for_this_processor=self.editable_mode and not REQUESTED)
        except ModuleNotFoundError as error:
            if REQUESTED:
                raise
            self.warn(f"The kernels in C were not built, so NumPy will answer, more slowly: {error}")
            return "any"
        except (OSError, CalledProcessError) as error:
            without = "To install without them, so that NumPy answers, more slowly, set SOFTKV_PLATFORM=any."
            raise ExecError(f"The kernels in C for {name} could not be built: {error}. {without}") from error
        return str(native.PLATFORMS[name].tag)


class Wheel(bdist_wheel):
    """Names the wheel: its library is loaded by ctypes, so it fits every Python of a platform."""

    platform = "any"

    def get_tag(self) -> tuple[str, str, str]:
        """Return the tags of Python, of its binary interface and of the platform."""
        return "py3", "none", self.platform
