"""What imports the backend in unusual places: sub-interpreters, threads all at once, children of a process; and modules
that a system may not have."""

import ast
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def python(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    variables = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"} | environment
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)


# os._exit: Python 3.12 itself crashes at its end where a sub-interpreter has imported hashlib (tried without ours).
IN_A_SUB_INTERPRETER = """
import os
import sys
try:
    import _interpreters as interpreters  # Python 3.13
except ImportError:
    import _xxsubinterpreters as interpreters

def inside(module):
    interpreter = interpreters.create()
    code = f'''
import sys
sys.path[:] = {sys.path}
try:
    import {module}
except ImportError as error:
    print("ImportError:", error, flush=True)
else:
    print("imported", flush=True)
'''
    interpreters.run_string(interpreter, code)
    interpreters.destroy(interpreter)

order, module = sys.argv[1:]
if order == "after":
    import mytensor
inside(module)
inside(module)
import mytensor as mt
print("main:", (mt.ones(3) * 2).sum().item())
inside(module)
print("main:", (mt.ones(3) * 2).sum().item(), flush=True)
os._exit(0)
"""


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="sub-interpreters are CPython's")
@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("module", ["mytensor_backend", "mytensor._build_check, mytensor"])
def test_a_sub_interpreter_gets_an_import_error_and_the_main_one_works_on(order, module):
    run = python(IN_A_SUB_INTERPRETER, order, module)
    assert run.returncode == 0, run.stderr
    refused = "ImportError: mytensor_backend works in a process's main interpreter alone"
    lines = run.stdout.splitlines()
    assert [line.startswith(refused) for line in lines] == [True, True, False, True, False], run.stdout
    assert lines[2] == lines[4] == "main: 6.0"
    assert all("WSGIApplicationGroup" in line for line in lines if line.startswith("ImportError"))


def test_threads_may_all_import_it_at_once():
    program = """
import sys, threading
sys.setswitchinterval(1e-5)
barrier, totals = threading.Barrier(16), []
def work():
    barrier.wait()
    import mytensor as mt
    totals.append((mt.ones(50) * 2).sum().item())
threads = [threading.Thread(target=work) for _ in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(totals)
"""
    run = python(program)
    assert run.returncode == 0 and run.stdout.strip() == str([100.0] * 16), run.stderr


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("is_used_before", [False, True])
def test_children_of_a_process_compute(tmp_path, method, is_used_before):
    program = tmp_path / "program.py"
    program.write_text(
        f"""
import multiprocessing
import mytensor as mt

def work(number):
    x = mt.full((64, 64), float(number), requires_grad=True)
    (x @ x).sum().backward()
    return x.grad.sum().item()

if __name__ == "__main__":
    if {is_used_before}:
        work(1)  # starts this process's threads
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        print(pool.map(work, [1, 2, 3]))
"""
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    run = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == str([float(2 * 64**3 * number) for number in (1, 2, 3)])


# ---------------------------------------------------------------------------------------------------------------------
# What not every system has
# ---------------------------------------------------------------------------------------------------------------------

# Python's modules and names of which its documentation says "Availability: Unix".
UNIX_MODULES = {"crypt", "curses", "fcntl", "grp", "nis", "posix", "pty", "pwd", "readline", "resource", "spwd"}
UNIX_MODULES |= {"syslog", "termios", "tty"}
UNIX_NAMES = {
    "os": {"fork", "forkpty", "geteuid", "getgid", "getloadavg", "getpgid", "getuid", "killpg", "mkfifo", "nice"}
    | {"openpty", "pipe2", "pread", "pwrite", "sched_getaffinity", "setsid", "statvfs", "sysconf", "uname", "wait3"},
    "signal": {"SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "alarm", "pthread_sigmask", "setitimer"},
}
SOURCES = [*sorted((ROOT / "mytensor").rglob("*.py")), ROOT / "setup.py"]


def met_at_import(node: ast.AST):
    """What runs when a module is imported: all but the insides of functions, and what a missing module cannot fail."""
    if isinstance(node, ast.Try) and any("ImportError" in ast.unparse(handler.type) for handler in node.handlers):
        return
    yield node
    is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    inside = (node.body if isinstance(node.body, list) else [node.body]) if is_function else []
    for child in ast.iter_child_nodes(node):
        if child not in inside:
            yield from met_at_import(child)


def needs_unix(text: str) -> list[str]:
    found = []
    for node in met_at_import(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in UNIX_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = {alias.name for alias in node.names} & UNIX_NAMES.get(node.module, set())
            found += [node.module] * (node.module.partition(".")[0] in UNIX_MODULES) + sorted(names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found += [node.attr] * (node.attr in UNIX_NAMES.get(node.value.id, ()))
    return found


def test_what_needs_unix_is_seen():
    assert needs_unix("import os, fcntl\nfrom signal import SIGALRM\nx = os.getuid()\n") == [
        "fcntl",
        "SIGALRM",
        "getuid",
    ]
    assert needs_unix("def f(x=os.fork()):\n    import fcntl\nclass A:\n    import pwd\n") == ["fork", "pwd"]
    assert needs_unix("try:\n    import fcntl\nexcept ImportError:\n    fcntl = None\n") == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_source_needs_unix_to_be_imported(path):
    assert needs_unix(path.read_text(encoding="utf-8")) == []


BLOCKED = f"import sys\nsys.modules.update(dict.fromkeys({sorted(UNIX_MODULES - {'posix'})}))\n"


def test_the_build_says_wsl2_where_there_is_no_unix(tmp_path):
    shutil.copy(ROOT / "setup.py", tmp_path)
    program = (
        BLOCKED + "sys.argv = ['setup.py', 'build_ext']\nimport runpy\nrunpy.run_path('setup.py', run_name='__main__')"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode != 0 and "Traceback" not in run.stderr
    assert run.stderr.splitlines()[-1] == ("mytensor_backend was not built: Windows itself is not supported; use WSL2.")


def test_an_import_says_wsl2_on_windows():
    program = BLOCKED + "sys.modules['mytensor_backend'] = None\nsys.platform = 'win32'\n"
    program += "sys.path.insert(0, sys.argv[1])\nimport _build_check\n"
    run = python(program + "_build_check.load_backend()", str(ROOT / "mytensor"), PYTHONPATH="", PYTHONSAFEPATH="1")
    assert "Traceback" in run.stderr and run.stderr.splitlines()[-1].startswith("ImportError: mytensor does not work")
    assert "use WSL2" in run.stderr.splitlines()[-1]


def test_the_package_is_imported_whole_without_them():
    """Everything of mytensor that needs no further package."""
    modules = "mytensor, mytensor.exercise, mytensor.training, mytensor.compare.memory_peaks, mytensor.check"
    program = f"{BLOCKED}import {modules}\n"
    run = python(program + "print('imported')")
    assert run.stdout == "imported\n", run.stderr
