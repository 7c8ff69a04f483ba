"""`make mutation`: change the domain in one place at a time, and check that a test fails.

mutmut makes the changes: an operator, a number, a word, an argument, a case. Its own command
changes functions only, not properties or code outside functions, which is half of the model. Here
whole modules are changed, the checks in `Annotated` included. Each mutant runs in a fork of this
process, which has loaded the libraries, against the tests named below.
"""

import difflib
import logging
import os
import resource
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import libcst as cst
import libcst.matchers as m
import pytest
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

ROOT = Path(__file__).parents[1]
SHARED = ROOT / "src" / "shared"
DOMAIN = SHARED / "notebook_vending"
LOG = ROOT / ".local" / "mutation.log"
# The quick and direct tests of each module.
TESTS = {
    "lifecycle/decision": ["test_decision"],
    "lifecycle/differences": ["test_notebook", "test_update_scenarios"],
    "notebooks/notebook": ["test_notebook", "test_notebook_request"],
    "requests/cfn_request": ["test_cfn_request"],
    "requests/notebook_request": ["test_notebook_request"],
    "requests/request_order": ["test_ledger"],
    "requests/stack_ids": ["test_cfn_request"],
    "drift/rules": ["test_drift_rules"],
    "notebooks/limits": ["test_limits"],
    "requests/answer": ["test_answer"],
    "aws/errors": ["test_errors"],
}
# Processor time. The slowest mutants need five, and a busy machine must not look like a hang.
CPU_SECONDS = 30
SECONDS = 300  # for a mutant that waits forever

# The reasons why no test can detect a mutant, by the changed line.
EXPLAINED = {
    "converter.register_structure_hook(only_text)": "cattrs reads the function's type",
    "checking.register_structure_hook(only_text)": "cattrs reads the function's type",
    "converter().get_structure_hook(None)": "only the first request takes longer",
    "_checking_converter(Limits.from_environment()).get_structure_hook(None)": (
        "only the first request takes longer"
    ),
    "raise_on_status=None,": "as good as False",
    'response = _http.request("put", url, body=answer, headers={"Content-Type": ""})': (
        "urllib3 writes methods in capitals"
    ),
    'response = _http.request("PUT", url, body=answer, headers={"content-type": ""})': (
        "names of headers are the same in any case"
    ),
    'response = _http.request("PUT", url, body=answer, headers={"CONTENT-TYPE": ""})': (
        "names of headers are the same in any case"
    ),
}

# mypy checks these, or they have no effect once a module is loaded.
_NOT_MUTATED = (
    m.Decorator()
    | m.Import()
    | m.ImportFrom()
    | m.Subscript(value=m.Name("Literal"))
    | m.Assign(value=m.Subscript(value=m.Name("Literal") | m.Name("Callable")))
    | m.Call(func=m.Name("cast") | m.Name("isinstance") | m.Name("len"))
)
_CHECKED = m.Annotation(m.Subscript(value=m.Name("Annotated")))


@dataclass(frozen=True)
class Mutant:
    """A module with one change."""

    line: int
    code: str
    change: str
    """The lines as they were and as they are, marked as in a diff."""


def main(paths: Sequence[str]) -> int:
    """Run the mutants of the given modules, or of all; return 1 if an unexplained one survives."""
    modules = [
        str(Path(path).resolve().relative_to(DOMAIN).with_suffix("")) for path in paths
    ] or list(TESTS)
    _load_the_libraries([test for module in modules for test in TESTS[module]])
    table, survivors, unexplained = [], [], 0
    for module in modules:
        source = (DOMAIN / f"{module}.py").read_text()
        _expect_to_pass(module, source)
        outcomes: Counter[str] = Counter()
        for mutant in mutants(source):
            outcome = _run(module, mutant.code)
            outcomes[outcome] += 1
            if outcome == "survived":
                reason = EXPLAINED.get(mutant.change.rpartition("+")[2].strip())
                unexplained += reason is None
                about = f" ({reason})" if reason else ""
                where = (DOMAIN / f"{module}.py").relative_to(ROOT)
                survivors.append(f"{where}:{mutant.line}{about}\n{mutant.change}\n")
            if sys.stderr.isatty():
                print(f"\r{module} {outcomes.total()} ", end="", file=sys.stderr, flush=True)  # noqa: T201 - progress
        _expect_to_pass(module, source)  # else it was not the mutation that failed the tests
        table.append((module, outcomes))
    print(*survivors, sep="\n")  # noqa: T201 - the report
    print(f"{'module':24}{'mutants':>9}{'killed':>9}{'timeouts':>9}{'survived':>9}{'score':>9}")  # noqa: T201
    for module, outcomes in [*table, ("all", sum((each for _, each in table), Counter()))]:
        killed, late, all_ = outcomes["killed"], outcomes["timeout"], outcomes.total()
        score = f"{(killed + late) / all_:.1%}"
        print(f"{module:24}{all_:9}{killed:9}{late:9}{outcomes['survived']:9}{score:>9}")  # noqa: T201
    return bool(unexplained)


def mutants(source: str) -> Iterator[Mutant]:
    """Yield the mutants of a module, each with one change."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    positions = wrapper.resolve(PositionProvider)
    seen = {source}
    for node in _mutated_nodes(wrapper.module):
        for changed in _changes(node):
            code = wrapper.module.deep_replace(node, changed).code
            if code not in seen:
                seen.add(code)
                yield Mutant(positions[node].start.line, code, _difference(source, code))


def _mutated_nodes(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    if m.matches(node, _NOT_MUTATED):
        return
    children: Sequence[cst.CSTNode] = node.children
    if isinstance(node, cst.Annotation):
        # Types have no effect, but the checks after a type in `Annotated` have.
        children = node.annotation.slice[1:] if m.matches(node, _CHECKED) else ()
    else:
        yield node
    for child in children:
        yield from _mutated_nodes(child)


def _changes(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            yield from operator(node)
    if isinstance(node, cst.FormattedStringText):  # mutmut changes only whole strings
        yield node.with_changes(value=f"XX{node.value}XX")


def _difference(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def _load_the_libraries(tests: Sequence[str]) -> None:
    """Run the tests once, so that forks need not import pytest, moto and boto3 again."""
    if _run_tests(tests) != pytest.ExitCode.OK:
        sys.exit("the tests fail without any change")
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.setLevel(logging.NOTSET)  # else the levels would outlive the modules
    # Every folder that imports the domain, so that none keeps the unchanged one.
    ours = tuple(f"{ROOT / folder}/" for folder in ("src", "tests", "emulator", "simulation"))
    for name, loaded in [*sys.modules.items()]:
        if name != __name__ and str(getattr(loaded, "__file__", "")).startswith(ours):
            del sys.modules[name]


def _run_tests(tests: Sequence[str]) -> int:
    files = (str(ROOT / "tests" / "unit" / f"{test}.py") for test in tests)
    # Plain assertions save the time to explain a difference that is never read.
    return pytest.main(["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", *files])


def _expect_to_pass(module: str, source: str) -> None:
    if _run(module, source) != "survived":
        sys.exit(f"the tests of {module} fail without any change: {LOG.relative_to(ROOT)}")


def _run(module: str, code: str) -> str:
    """Run a module's tests against changed code; return killed, timeout or survived."""
    child = os.fork()
    if not child:
        _be_tested(module, code)
    _, status = os.waitpid(child, 0)
    match os.waitstatus_to_exitcode(status):
        case pytest.ExitCode.OK:
            return "survived"
        case signalled if -signalled in (signal.SIGXCPU, signal.SIGALRM):
            return "timeout"
        case pytest.ExitCode.TESTS_FAILED | pytest.ExitCode.INTERRUPTED:  # interrupted on import
            return "killed"
        case status:
            sys.exit(f"the tests of {module} did not run, {status}: {LOG.relative_to(ROOT)}")


def _be_tested(module: str, code: str) -> None:
    """Run the tests in this forked process, and exit."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    signal.alarm(SECONDS)
    with LOG.open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    status: int = pytest.ExitCode.INTERRUPTED
    try:
        path = DOMAIN / f"{module}.py"
        name = ".".join(path.relative_to(SHARED).with_suffix("").parts)
        _replace(name, path, code)
        status = _run_tests(TESTS[module])
    except Exception:  # a module that cannot be imported
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _replace(name: str, path: Path, code: str) -> None:
    sys.path[:0] = [str(SHARED.parent), str(SHARED)]
    spec = spec_from_file_location(name, path)
    assert spec
    sys.modules[name] = module = module_from_spec(spec)
    exec(compile(code, path, "exec"), vars(module))  # noqa: S102 - our own code, changed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
