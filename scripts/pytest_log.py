"""A plugin of pytest for scripts/gpu.py: what became of each test, a line of JSON as it comes, in MYTENSOR_TEST_LOG.

Unlike a report that is written at the end, it is there for a run that was cut short; the tests that should have been
run are in it too.
"""

import json
import os


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # the one process that hears of all tests
        config.pluginmanager.register(Log(config.rootpath, os.environ["MYTENSOR_TEST_LOG"]))


class Log:
    def __init__(self, root, path):
        self.root, self.path = root, path
        self.is_collected = False

    def write(self, test, outcome, seconds=0.0, output=""):
        file, _, name = test.partition("::")
        line = {"file": str((self.root / file).resolve()), "test": name, "outcome": outcome}
        with open(self.path, "a", encoding="utf-8") as log:
            print(json.dumps(line | {"seconds": seconds, "output": output}), file=log)

    def pytest_xdist_node_collection_finished(self, ids):
        if not self.is_collected:  # all processes find the same
            self.is_collected = True
            for test in ids:
                self.write(test, "collected")

    def pytest_collectreport(self, report):
        if report.failed:
            self.write(report.nodeid, "failed", output=report.longreprtext)

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or not report.passed:
            self.write(report.nodeid, report.outcome, report.duration, report.longreprtext if report.failed else "")
