"""Fixtures: a cloud of one's own, somebody signed in, and the scene of the field report."""

import contextlib

import pytest
from loopback import SESSION, Cloud, Lab, Refresher


@pytest.fixture
def start():
    """Starts clouds with flags of the test's choice and ends them after it."""
    with contextlib.ExitStack() as stack:
        yield lambda *flags: stack.enter_context(Cloud(*flags))


@pytest.fixture
def cloud(start):
    return start()


@pytest.fixture
def lab(cloud, tmp_path):
    return Lab(cloud, tmp_path)


@pytest.fixture
def field_report(start, tmp_path):
    """The scene of the field report, for whichever client is to play in it.

    `with field_report() as lab:` starts a cloud whose tokens live `token_life_s` and whose uploads together get
    `bandwidth` bytes per second, signs somebody in (`lab.config_file`, profile `lab.profile["profile"]`,
    `lab.token_file`), and from then on refreshes the token file beside the client every `every_s`. What happened is
    in `lab.cloud.log()` and `lab.cloud.stats()`; `lab.refresher.refreshed` counts the refreshes.
    """

    @contextlib.contextmanager
    def scene(token_life_s=6, every_s=1.5, bandwidth="3M", *flags):
        cloud = start("--token-life", f"{token_life_s}s", "--bandwidth", bandwidth, *flags)
        lab = Lab(cloud, tmp_path)
        with Refresher(cloud, SESSION, every_s) as lab.refresher:
            yield lab

    return scene
