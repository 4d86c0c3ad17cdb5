"""Would a test notice? Small faults are put into the code that decides, one at a time, and its tests are run.

    python benchmarks/mutation.py [--workers 2] [FILE ...]

Each worker has a copy of the repository. Comparisons, boolean and arithmetic operators, numbers and truth values are
turned, conditions negated, statements left out, returned values replaced by None, and in SQL its operators turned. The
tests that hold a file are those of HELD. A mutant is caught when one of them fails, or does not end in ten times the
processor time that they take otherwise. Wording is not mutated: tests do not hold every word. Nor are `frozen` and
`strict`, which guard against a slip of the programmer, nor a returned truth value but into the other one.

Results are in benchmarks/results/mutation.json; a survivor's `why`, written there by hand, outlives the next run.
"""

import argparse
import ast
import compileall
import importlib.util
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results/mutation.json"
EDGE, DATASET = "edge/sealpin_edge", "training/sealpin_training/dataset"
HELD = {
    f"{EDGE}/tasks/verdict.py": ("edge/test_verdict.py",),
    f"{EDGE}/tasks/finding.py": ("edge/test_verdict.py", "training/dataset/test_boxes.py"),
    f"{EDGE}/tasks/detect.py": ("edge/test_model.py", "edge/test_foreign.py"),
    f"{EDGE}/tasks/classify.py": ("edge/test_classify.py",),
    f"{EDGE}/release/golden.py": ("edge/test_golden.py",),
    f"{EDGE}/delivery/store_schema.py": ("edge/test_store_schema.py", "edge/test_outbox.py"),
    f"{EDGE}/delivery/outbox.py": ("edge/test_outbox_health.py", "edge/test_outbox.py"),
    f"{EDGE}/delivery/courier.py": (
        "edge/delivery/test_waiting.py",
        "edge/delivery/test_outcomes.py",
        "edge/test_delivery.py",
        "edge/test_bad_servers.py",
        "edge/test_courier.py",
    ),
    f"{EDGE}/delivery/lane.py": ("edge/test_lane.py", "edge/test_courier.py", "edge/test_bad_servers.py"),
    f"{EDGE}/plc/handshake.py": ("edge/test_handshake_rules.py", "edge/test_plc.py"),
    "simulation/sealpin_simulation/rules.py": ("edge/test_rules.py", "edge/test_line_rules.py"),
    "export/sealpin_export/gate.py": ("edge/test_verdict.py", "export/test_gate.py"),
    f"{DATASET}/split.py": ("training/dataset/test_split.py",),
    f"{DATASET}/boxes.py": ("training/dataset/test_boxes.py",),
    **{
        f"{DATASET}/formats/{name}.py": tuple(f"training/dataset/test_{tests}.py" for tests in tests)
        for name, tests in {
            "csv": ("readers", "lost", "listings"),
            "coco": ("readers", "lost", "listings", "oddities"),
            "voc": ("readers_voc", "readers", "lost", "listings", "oddities", "convert"),
            "yolo": ("readers", "lost", "yolo", "listings"),
        }.items()
    },
}
# What the tests load from elsewhere, loaded once
PRELOADED = ("pytest", "hypothesis", "numpy", "cv2", "PIL.Image", "click", "psutil", "lxml.etree", "sqlite3", "yaml")
SLOWER = 10
LEAST_CPU_S = 10
WALL_S = 900
TURNED = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==", ast.In: "not in",
    ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is", ast.And: "or", ast.Or: "and", ast.Add: "-", ast.Sub: "+",
    ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "*", ast.Mod: "*", ast.BitOr: "&", ast.BitAnd: "|", ast.LShift: ">>",
    ast.RShift: "<<", ast.Pow: "*",
}  # fmt: skip
SQL = re.compile(r"\s*\w*[\"']+\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|WITH|REPLACE)\b")
SQL_TURNED = {
    "<=": "<", ">=": ">", "<": "<=", ">": ">=", "=": "!=", "!=": "=", "AND": "OR", "OR": "AND", "DESC": "ASC",
    "MIN": "MAX", "MAX": "MIN", "IS NULL": "IS NOT NULL", "IS NOT NULL": "IS NULL", "+": "-", "-": "+",
    "ORDER BY": "-- ORDER BY", "NOT IN": "IN",
}  # fmt: skip
SQL_OPERATOR = re.compile(
    r"<=|>=|!=|(?<![-<>=])[<>=](?![=>])|(?<= )[+-](?= )"
    r"|\b(?:AND|OR(?! (?:REPLACE|IGNORE))|DESC|IS NOT NULL|IS NULL|NOT IN|ORDER BY)\b|\b(?:MIN|MAX)(?=\()"
)


@dataclass(frozen=True)
class Mutant:
    """One change: bytes `start` to `end` of a file are `new` instead of `old`."""

    file: str
    line: int
    start: int
    end: int
    old: str
    new: str


def mutants(file: str) -> Iterator[Mutant]:
    """All mutants of a file, in its order."""
    source = (ROOT / file).read_bytes()
    begins = [0]
    for line in source.splitlines(keepends=True):
        begins.append(begins[-1] + len(line))

    def place(node: ast.AST) -> tuple[int, int]:
        return begins[node.lineno - 1] + node.col_offset, begins[node.end_lineno - 1] + node.end_col_offset

    def change(node: ast.AST, new: str, old: str | None = None) -> Mutant:
        start, end = place(node)
        return Mutant(file, node.lineno, start, end, old or source[start:end].decode(), new)

    def between(left: ast.AST, right: ast.AST, kind: ast.AST) -> Mutant:
        """The operator that stands between two nodes, whatever brackets and line breaks are around it."""
        start, end = place(left)[1], place(right)[0]
        gap = source[start:end].decode()
        old = {ast.NotIn: "not in", ast.IsNot: "is not"}.get(type(kind)) or _SIGNS[type(kind)]
        at = start + len(gap[: gap.index(old)].encode())
        return Mutant(file, left.end_lineno, at, at + len(old), old, TURNED[type(kind)])

    def of(node: ast.AST) -> Iterator[Mutant]:
        match node:
            case ast.Compare(left=left, ops=kinds, comparators=others):
                for kind, one, other in zip(kinds, [left, *others], others, strict=False):
                    yield between(one, other, kind)
            case ast.BoolOp(op=kind, values=values):
                for one, other in pairwise(values):
                    yield between(one, other, kind)
            case ast.BinOp(left=left, op=kind, right=right) if type(kind) in TURNED and not _text(left):
                yield between(left, right, kind)
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
                yield change(node, ast.unparse(operand))
            case ast.Constant(value=bool() as value):
                yield change(node, str(not value))
            case ast.Constant(value=int() | float() as value):
                yield change(node, repr(value + 1))
            case ast.Constant(value=str()) | ast.JoinedStr():
                start, end = place(node)
                text = source[start:end].decode()
                for found in SQL_OPERATOR.finditer(text) if SQL.match(text) else ():
                    new = text[: found.start()] + SQL_TURNED[found[0]] + text[found.end() :]
                    yield change(node, new, text)
            case ast.Return(value=ast.expr() as value) if not (
                isinstance(value, ast.Constant) and isinstance(value.value, bool | None)
            ):
                yield change(node, "return None")
            case ast.Expr(value=ast.Call()) | ast.Raise() | ast.AugAssign() | ast.Continue() | ast.Break():
                yield change(node, "pass")
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
                yield change(node, "pass")
        if isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(
            node.test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant
        ):
            yield change(node.test, f"(not ({ast.unparse(node.test)}))")

    def walk(node: ast.AST) -> Iterator[Mutant]:
        yield from of(node)
        if isinstance(node, ast.JoinedStr):
            return  # Python 3.11 does not know where its parts stand
        if isinstance(node, ast.keyword) and node.arg in ("frozen", "strict", "slots"):
            return
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from walk(child)

    yield from walk(ast.parse(source))


_SIGNS = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.In: "in", ast.Is: "is",
    ast.And: "and", ast.Or: "or", ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//",
    ast.Mod: "%", ast.BitOr: "|", ast.BitAnd: "&", ast.LShift: "<<", ast.RShift: ">>", ast.Pow: "**",
}  # fmt: skip


def _text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def tests(copy: Path, file: str, cpu_s: float) -> str:
    """Run a file's tests in a process of their own: "passed", "failed", or "endless"."""
    child = os.fork()
    if child == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s) + 1, int(cpu_s) + 1))
        os.chdir(copy)
        paths = [str(copy / name) for name in ("edge", "export", "training", ".")]
        sys.path[:0] = paths
        os.environ |= {"PYTHONPATH": ":".join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(nowhere, number)
        import pytest

        options = ["-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed", "0", "--tb", "no"]
        code = 3
        try:
            code = int(pytest.main([*options, *(f"tests/{name}" for name in HELD[file])]))
        finally:
            os._exit(code)
    until = time.monotonic() + WALL_S
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.02)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what it left running
    if os.WIFSIGNALED(status):
        return "endless"
    return "failed" if os.WEXITSTATUS(status) else "passed"


_copy = Path()


def _begin(place: str) -> None:
    """Give this worker its copy of the repository, below the folder `place`."""
    global _copy
    for name in PRELOADED:
        importlib.import_module(name)
    _copy = Path(tempfile.mkdtemp(dir=place))
    ignored = shutil.ignore_patterns(".venv*", ".git", "__pycache__", ".*_cache", ".hypothesis", "demo", "mlruns")
    shutil.copytree(ROOT, _copy, ignore=ignored, dirs_exist_ok=True)
    for name in (".venv", ".venv-peers"):
        if (ROOT / name).exists():
            (_copy / name).symlink_to((ROOT / name).resolve())
    compileall.compile_dir(str(_copy), quiet=2, rx=re.compile(r"/\.venv"))


def _try(mutant: Mutant, cpu_s: float) -> tuple[Mutant, str]:
    path = _copy / mutant.file
    source = (ROOT / mutant.file).read_bytes()
    path.write_bytes(source[: mutant.start] + mutant.new.encode() + source[mutant.end :])
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
    try:
        return mutant, tests(_copy, mutant.file, cpu_s)
    finally:
        path.write_bytes(source)


def _base(file: str) -> float:
    """The processor time of a file's tests as it is. Raises RuntimeError when they do not pass."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if tests(_copy, file, 1000) != "passed":
        raise RuntimeError(f"the tests of {file} do not pass as it is: {' '.join(HELD[file])}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Mutate the files that are named, or all of HELD."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="as in HELD; all of it without")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="mutation.") as place,
        # Not multiprocessing's Pool, whose workers may not start processes: tests do
        ProcessPoolExecutor(options.workers, get_context("fork"), _begin, (place,)) as pool,
    ):
        for file in options.files or HELD:
            began, made = time.monotonic(), list(mutants(file))
            base = pool.submit(_base, file).result()
            survivors, outcomes = [], {"failed": 0, "endless": 0, "passed": 0}
            tried = [pool.submit(_try, one, max(LEAST_CPU_S, SLOWER * base)) for one in made]
            for mutant, outcome in (one.result() for one in as_completed(tried)):
                outcomes[outcome] += 1
                if outcome == "passed":
                    survivors.append(mutant)
                    print(f"{file}:{mutant.line}: {_short(mutant.old)} -> {_short(mutant.new)}", flush=True)
            results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
            whys = {
                (one["old"], one["new"], one["nth"]): one["why"] for one in results.get(file, {}).get("survivors", [])
            }
            listed = []
            for one in sorted(survivors, key=lambda one: one.start):
                nth = sum(other.old == one.old and other.new == one.new and other.start < one.start for other in made)
                told = {"line": one.line, "old": one.old, "new": one.new, "nth": nth}
                listed.append({**told, "why": whys.get((one.old, one.new, nth), "")})
            caught = len(made) - len(survivors)
            results[file] = {
                "mutants": len(made), "caught": caught, "of_them_endless": outcomes["endless"],
                "percent": round(100 * caught / len(made), 1), "tests": list(HELD[file]), "survivors": listed,
            }  # fmt: skip
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            took = time.monotonic() - began
            print(f"{file}: {caught} of {len(made)} caught, {results[file]['percent']} %, {took:.0f} s", flush=True)


def _short(text: str) -> str:
    return " ".join(text.split())[:100]


if __name__ == "__main__":
    main()
