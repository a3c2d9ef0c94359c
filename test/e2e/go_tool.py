"""go_tool -- `go tool pprof` for tests that are about something else."""
import pytest

from golang import Missing, go_since, pprof_of
from test_go_tool import Client, number_of, total_of


@pytest.fixture(scope='session')
def go():
    try:
        return pprof_of(go_since((1, 19)))
    except Missing as e:
        pytest.skip(str(e))


def pprof(go, tmp_path, *argv):
    """What it prints; it complains of nothing."""
    return Client(go, tmp_path, True).says(*argv)


def bytes_of(text):
    """The total of what it printed."""
    return number_of(total_of(text))
