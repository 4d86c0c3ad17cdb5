"""Every failure that sealpin tells a user about.

    SealpinError            exit code 1: a check found problems
      InputError            exit code 2: a file, option or configuration is wrong
      EnvironmentFault      exit code 3: something around us is missing or broken (disk, network, package)
        PlcFault              the PLC does not answer, or not as it should
          PlcRefused            the PLC answered and did not do as asked: the connection is as good as before
        NoJudgement           the model gave nothing that a part can be judged by
        CameraFault           no photo, or not in time
        Unavailable           a server cannot be reached or is out of order: worth another try
          NotTaken              a server answered, but did not take this item: worth another try, after others
      Refused               a server took the item and will never accept it: not worth another try

A message says what was wrong, where, what was found, what is allowed, what to do, and the next command. The programs
print it without a traceback; anything else that escapes is a defect in sealpin.
"""

import shlex
from pathlib import Path

MAX_FAULTS_SHOWN = 20


def quote(name: object) -> str:
    """A name or path as it is typed in a command that is told: one word for a shell, and no option."""
    text = str(name)
    return shlex.quote(f"./{text}" if isinstance(name, Path) and text.startswith("-") else text)


# What the system's own words for it leave open, and what says nothing at all
_IN_WORDS: dict[type[BaseException], str] = {
    FileNotFoundError: "there is no such file",
    IsADirectoryError: "a folder, where a file should be",
    NotADirectoryError: "a file, where a folder should be",
    PermissionError: "no right to do this here",
    TimeoutError: "no answer in time",
    EOFError: "it ends too early",
    MemoryError: "not enough memory",
}


def in_words(error: BaseException) -> str:
    """What an exception that is none of ours says, in a line of words: no class of Python's, no error number."""
    said = error.strerror if isinstance(error, OSError) else ""
    told = next((words for kind, words in _IN_WORDS.items() if isinstance(error, kind)), "")
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if told and (said or not lines):
        return told
    # Of a library's own there may be no word but its class
    return said or (lines[0] if lines else type(error).__name__)


def printable(text: str) -> str:
    """A text in one line: control characters, and bytes of a name that are no text, made visible."""
    shown = text.encode(errors="backslashreplace").decode()
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in shown)


class SealpinError(Exception):
    """Base of all errors meant for a user.

    `where` is a file, key, address or object. `hint` is the next command as it is typed, in CAPITALS what must be
    filled in; what to do that is no command is `advice`.
    """

    exit_code = 1

    def __init__(
        self, problem: str, *, where: str = "", found: str = "", allowed: str = "", advice: str = "", hint: str = ""
    ) -> None:
        self.problem, self.where, self.found, self.allowed = problem, where, found, allowed
        self.advice, self.hint = advice, hint
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [f"{printable(self.where)}: {self.problem}" if self.where else self.problem]
        told = {"found": self.found, "allowed": self.allowed, "advice": self.advice, "next": self.hint}
        for label, text in told.items():
            first, *more = map(printable, text.split("\n"))
            lines += [f"  {label + ':':<9}{first}", *(f"{'':11}{line}" for line in more)] if text else []
        return "\n".join(lines)


class InputError(SealpinError):
    """The user's file, option or configuration cannot be used as it is."""

    exit_code = 2


class EnvironmentFault(SealpinError):
    """What surrounds the program is missing or broken: disk, network, PLC, camera, package."""

    exit_code = 3


class PlcFault(EnvironmentFault):
    """The PLC does not answer, or not as it should. The station tries again for ever."""


class PlcRefused(PlcFault):
    """The PLC answered, and will not do this: a place that it does not have, or does not let anybody reach."""


class CameraFault(EnvironmentFault):
    """The camera gave no photo, or not in time. The part is NOT INSPECTED."""


class NoJudgement(EnvironmentFault):
    """The model gave numbers that are none: nothing that a part can be judged by. The part is NOT INSPECTED."""


class Unavailable(EnvironmentFault):
    """A server cannot be reached or is out of order; what it should have got is kept and sent later.

    `retry_after_s` is how long the server wants to be left alone, 0 when it does not say.
    """

    retry_after_s = 0.0


class NotTaken(Unavailable):
    """A server answered, but did not take this item. It may be the server's trouble or the item's: later, again."""


class Refused(SealpinError):
    """A server will never accept this item; it is set aside, counted and kept."""


def raise_all(faults: "list[InputError]", hint: str = "") -> None:
    """Raise the faults found in one pass over the input as one InputError; nothing when there are none.

    `hint` is the next command when there are several, or the only one has none of its own.
    """
    if len(faults) == 1:
        faults[0].hint = faults[0].hint or hint
        raise faults[0]
    if faults:
        shown = "\n".join(str(fault) for fault in faults[:MAX_FAULTS_SHOWN])
        more = f"\n... and {len(faults) - MAX_FAULTS_SHOWN} more" if len(faults) > MAX_FAULTS_SHOWN else ""
        raise InputError(f"{len(faults)} problems:\n{shown}{more}", hint=hint)
