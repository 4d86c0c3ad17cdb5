"""Runs the PLC's sample programs: a function block in the part of SCL that they use, cyclically, on a PLC's memory.

Known are IF, CASE, assignments, TON timers, expressions of Bool, integers and Time, and members of one data block. What
is not known, not declared, or of another type than it must be, is an error and not guessed at.
"""

import operator
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from .scl_memory import INTEGERS, Memory, SclError, Tag, Time, of_type

TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|\(\*.*?\*\)|\{[^}]*\})|(?P<time>T\#\d+m?s\b)|(?P<number>\d+(\.\d+)?)"""
    r"""|(?P<quoted>"[^"]+")|(?P<local>\#\w+)|(?P<word>[A-Za-z_]\w*)|(?P<sign>:=|<>|<=|>=|[-+=<>();:,.])""",
    re.DOTALL,
)
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "OR": operator.or_, "AND": operator.and_, "=": operator.eq, "<>": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge, "+": operator.add, "-": operator.sub,
}  # fmt: skip
# From the weakest to the strongest
LEVELS = (("OR",), ("AND",), ("=", "<>"), ("<", "<=", ">", ">="), ("+", "-"))

Get = Callable[[], Any]
Do = Callable[[], None]


class Ton:
    """An on-delay timer: Q is set once IN has stood for PT."""

    def __init__(self) -> None:
        self.q = False
        self._since: int | None = None

    def call(self, given: bool, preset: Time, now_ms: int) -> None:
        begun = now_ms if self._since is None else self._since
        self._since = begun if given else None
        self.q = given and now_ms - begun >= preset


def tokens(text: str) -> list[str]:
    """The words and signs of a source."""
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise SclError(f"not understood: {text[at : at + 40]!r}")
        at = match.end()
        if match.lastgroup != "skip":
            found.append(match.group())
    return [*found, ""]


class FunctionBlock:
    """One instance of a function block. Set `inputs`, call `cycle` again and again, read with `[name]`."""

    def __init__(self, text: str, memory: Memory) -> None:
        self._tokens, self._at = tokens(text), 0
        self._memory = memory
        self._types: dict[str, str] = {}
        self._sections: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._now_ms = 0
        while self._peek != "VAR_INPUT":
            self._next()
        while self._peek != "BEGIN":
            self._declare(self._next())
        self._take("BEGIN")
        self._body = self._statements("END_FUNCTION_BLOCK")

    def cycle(self, now_s: float, **inputs: Any) -> None:
        """Run the program once, with these inputs changed."""
        for name, value in inputs.items():
            if self._sections.get(name) != "VAR_INPUT":
                raise SclError(f"{name} is no input")
            self._store(name, value)
        self._now_ms = round(now_s * 1000)
        self._body()

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def _declare(self, section: str) -> None:
        if section not in ("VAR_INPUT", "VAR_OUTPUT", "VAR"):
            raise SclError(f"not understood: {section}")
        while self._peek != "END_VAR":
            name = self._next()
            self._take(":")
            kind = self._next()
            if kind not in ("Bool", "Time", "TON_TIME", *INTEGERS):
                raise SclError(f"{name} has the unknown type {kind}")
            self._types[name], self._sections[name] = kind, section
            self._values[name] = {"Bool": False, "TON_TIME": Ton(), "Time": Time()}.get(kind, 0)
            if self._peek == ":=":
                self._next()
                self._store(name, self._expression()())
            self._take(";")
        self._take("END_VAR")

    def _statements(self, *ends: str) -> Do:
        """Statements up to one of `ends`, which is taken when it is the only one."""
        made: list[Do] = []
        while self._peek not in ends and not (":" in ends and self._is_label()):
            made.append(self._statement())
        if len(ends) == 1:
            self._next()

        def run() -> None:
            for do in made:
                do()

        return run

    def _statement(self) -> Do:
        first = self._next()
        if first == "IF":
            return self._if()
        if first == "CASE":
            return self._case()
        if first.startswith("#") and self._peek == "(":
            return self._timer(first[1:])
        store = self._target(first)
        self._take(":=")
        value = self._expression()
        self._take(";")
        return lambda: store(value())

    def _if(self) -> Do:
        branches: list[tuple[Get, Do]] = []
        word = "IF"
        while word in ("IF", "ELSIF"):
            condition = self._expression()
            self._take("THEN")
            branches.append((condition, self._statements("ELSIF", "ELSE", "END_IF")))
            word = self._next()
        if word == "ELSE":
            branches.append((lambda: True, self._statements("END_IF")))
        self._take(";")

        def run() -> None:
            for condition, do in branches:
                if of_type("Bool", condition()):
                    return do()

        return run

    def _case(self) -> Do:
        value, branches = self._expression(), dict[int, Do]()
        self._take("OF")
        while self._is_label():
            label = int(self._next())
            self._take(":")
            if label in branches:
                raise SclError(f"label {label} stands twice")
            branches[label] = self._statements(":", "ELSE", "END_CASE")
        self._take("ELSE")
        otherwise = self._statements("END_CASE")
        self._take(";")
        return lambda: branches.get(value(), otherwise)()

    def _timer(self, name: str) -> Do:
        if self._types.get(name) != "TON_TIME":
            raise SclError(f"{name} is no timer")
        self._take("(", "IN", ":=")
        given = self._expression()
        self._take(",", "PT", ":=")
        preset = self._expression()
        self._take(")", ";")

        timer: Ton = self._values[name]
        return lambda: timer.call(of_type("Bool", given()), of_type("Time", preset()), self._now_ms)

    def _target(self, first: str) -> Callable[[Any], None]:
        if first.startswith('"'):
            return partial(self._memory.write, self._tag(first))
        name = first.removeprefix("#")
        if not first.startswith("#") or self._sections.get(name) not in ("VAR", "VAR_OUTPUT"):
            raise SclError(f"{first} cannot be assigned to")
        return partial(self._store, name)

    def _expression(self, level: int = 0) -> Get:
        if level == len(LEVELS):
            return self._factor()
        left = self._expression(level + 1)
        while self._peek in LEVELS[level]:
            left = partial(_operate, self._next(), left, self._expression(level + 1))
        return left

    def _factor(self) -> Get:
        word = self._next()
        if word == "NOT":
            operand = self._factor()
            return lambda: not of_type("Bool", operand())
        if word == "(":
            inner = self._expression()
            self._take(")")
            return inner
        if word in ("TRUE", "FALSE"):
            return lambda: word == "TRUE"
        if found := re.fullmatch(r"T#(\d+)(ms|s)", word):
            return lambda: Time(int(found[1]) * (1 if found[2] == "ms" else 1000))
        if word.isdecimal():
            return lambda: int(word)
        if word.startswith('"'):
            return partial(self._memory.read, self._tag(word))
        name = word.removeprefix("#")
        if not word.startswith("#") or name not in self._types:
            raise SclError(f"{word!r} is not declared")
        if self._types[name] == "TON_TIME":
            self._take(".", "Q")
            return lambda: self._values[name].q
        return lambda: self._values[name]

    def _tag(self, name: str) -> Tag:
        if self._peek == ".":
            self._next()
            name += f".{self._next()}"
        return self._memory.tag(name)

    def _store(self, name: str, value: Any) -> None:
        self._values[name] = of_type(self._types[name], value)

    @property
    def _peek(self) -> str:
        return self._tokens[self._at]

    def _is_label(self) -> bool:
        return self._peek.isdecimal() and self._tokens[self._at + 1] == ":"

    def _next(self) -> str:
        word = self._peek
        if not word:
            raise SclError("the source ends too early")
        self._at += 1
        return word

    def _take(self, *words: str) -> None:
        for word in words:
            if (found := self._next()) != word:
                raise SclError(
                    f"{found!r} stands where {word!r} must: {' '.join(self._tokens[self._at - 6 : self._at])}"
                )


def _operate(sign: str, left: Get, right: Get) -> Any:
    one, other = left(), right()
    wanted = bool if sign in ("OR", "AND") else type(one)
    if type(one) is not wanted or type(other) is not wanted or (wanted is bool and sign not in ("OR", "AND")):
        raise SclError(f"{one!r} {sign} {other!r}")
    return wanted(OPERATORS[sign](one, other)) if sign in "+-" else OPERATORS[sign](one, other)
