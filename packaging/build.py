"""Builds the folder that is shipped to people without Python, and tries it out.

    python3 packaging/build.py

The result is dist/trunkline with the programs `trunkline` (window) and `trunkline-server` (command line), for the
system on which it was built.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bootstrap import PYTHON, ROOT, WINDOWS, SetupError, check_python, prepare_environment, say

RESULT = ROOT / "dist" / "trunkline"
SUFFIX = ".exe" if WINDOWS else ""
SERVER = RESULT / f"trunkline-server{SUFFIX}"


def main() -> int:
    """Build and try; the exit code is 0 only when the built server has started and answered."""
    try:
        check_python()
        prepare_environment(["postgres", "ship"])
        build()
        try_server()
    except SetupError as error:
        print(f"\nTrunkline could not be built: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in RESULT.rglob("*") if path.is_file() and not path.is_symlink())
    say(f"Built {RESULT} ({size / 1e6:.0f} MB).")
    return 0


def build() -> None:
    """Run PyInstaller on the spec."""
    command = [str(PYTHON), "-m", "PyInstaller", "--noconfirm", "--clean", "--log-level", "WARN"]
    folders = ["--distpath", str(ROOT / "dist"), "--workpath", str(ROOT / "build")]
    if subprocess.call([*command, *folders, str(ROOT / "packaging" / "trunkline.spec")], cwd=ROOT) != 0:
        raise SetupError("PyInstaller failed; its reason is above.")


def try_server() -> None:
    """The built server makes a database, starts with a media process, says that it is ready and ends in order."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        document = json.dumps({"system": {"sip_tls_port": 0}})
        imported = subprocess.run(
            [str(SERVER), "import", "-", "--data", str(data)],
            input=document,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if imported.returncode != 0:
            raise SetupError(f"the built program cannot import a configuration:\n{imported.stderr}")
        with subprocess.Popen(
            [str(SERVER), "serve", "--data", str(data), "--sip", "127.0.0.1:50699"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            process.terminate()
            code = process.wait(60)
    if '"ready"' not in line or (code != 0 and not WINDOWS):
        raise SetupError(f"the built server did not start and end in order (exit code {code}, it said {line!r}).")


if __name__ == "__main__":
    sys.exit(main())
