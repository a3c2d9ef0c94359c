"""What all tests here share: hosts under the library, requests, profiles through the linter."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'lint'))
sys.path.insert(0, HERE)
# Never write beside the sources what is not in .gitignore.
sys.dont_write_bytecode = True

import failing  # noqa: E402
import hosts  # noqa: E402
from conformance import original, ours, server  # noqa: E402,F401


@pytest.fixture(scope='session', autouse=True)
def plugins():
    hosts.build_plugins()


@pytest.fixture
def start():
    """start(ARGV, OPTION=value...) -- a Host; all of them are stopped when the test is over."""
    running = []

    def start_one(argv, **how):
        host = hosts.Host(argv, **how)
        running.append(host)
        return host
    yield start_one
    for host in reversed(running):
        host.stop()


@pytest.fixture
def start_failing():
    """start_failing(ARGV, RULE..., OPTION=value...) -- a FailingHost; all of them are stopped, too."""
    running = []

    def start_one(argv, *rules, **how):
        running.append(failing.FailingHost(argv, *rules, **how))
        return running[-1]
    yield start_one
    for host in running:
        host.stop()


@pytest.fixture(scope='module')
def module_start():
    """The same for a host that the tests of a file share."""
    running = []

    def start_one(argv, **how):
        host = hosts.Host(argv, **how)
        running.append(host)
        return host
    yield start_one
    for host in reversed(running):
        host.stop()
