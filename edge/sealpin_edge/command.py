"""Programs of the system's: run to their end, their last words kept."""

import subprocess
from collections.abc import Sequence

from .errors import EnvironmentFault

LAST_LINES = 5


def run_program(command: Sequence[str], *, given: bytes = b"", timeout_s: float | None = None, hint: str = "") -> bytes:
    """Run a program and return what it printed. Raises EnvironmentFault, its last words in `found`, when it fails."""
    try:
        # Without a shell; what comes from outside stands after the program's own words
        done = subprocess.run(list(command), input=given, capture_output=True, timeout=timeout_s, check=False)  # noqa: S603
    except FileNotFoundError:
        raise EnvironmentFault(f"{command[0]} is not installed here", hint=hint) from None
    except subprocess.TimeoutExpired:
        raise EnvironmentFault(f"{command[0]} does not end", allowed=f"{timeout_s:g} s", hint=hint) from None
    if done.returncode:
        told = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise EnvironmentFault(
            f"{command[0].rpartition('/')[2]} failed",
            where=" ".join(command),
            found="\n".join(told[-LAST_LINES:]) or f"exit code {done.returncode}",
            hint=hint,
        )
    return done.stdout
