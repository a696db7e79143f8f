"""Runs checks with a given build of the backend, in a process of its own: what test_mutants.py starts.

    python run_checks.py FOLDER CHECK[:KERNEL] ...

FOLDER holds the extension to use. Prints one JSON object: check -> "CheckFailed: ..." if it was rejected, "passed", or
another error.
"""

import json
import pathlib
import sys
import warnings


def main() -> None:
    folder, *requests = sys.argv[1:]
    tests = pathlib.Path(__file__).resolve().parent.parent
    sys.path[:0] = [folder, str(tests), str(tests.parent)]
    import mytensor_backend

    if pathlib.Path(mytensor_backend.__file__).parent != pathlib.Path(folder):
        raise SystemExit(f"the extension in use is {mytensor_backend.__file__}, not the one in {folder}")
    warnings.simplefilter("ignore")
    from framework_ops import FUNCTIONS

    import mytensor as mt
    from mytensor import check

    outcomes = {}
    for request in requests:
        name, _, kernel = request.partition(":")
        if kernel:
            mt.use_kernel(name, kernel)
        try:
            check.examine(name, FUNCTIONS[name])
            outcomes[request] = "passed"
        except Exception as error:
            outcomes[request] = f"{type(error).__name__}: {error}"
        if kernel:
            mt.use_kernel(name, None)
    print(json.dumps(outcomes))


main()
