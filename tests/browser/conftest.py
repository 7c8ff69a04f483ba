"""A real browser: Debian's Chromium, without a window or a network."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start the browser, or fail with the package to install."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.fail(
            "There is no Chromium. Install it (Debian: apt-get install chromium), or leave the "
            "page unproven: make verify WITHOUT=browser",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=found,
            env={  # else it writes into the developer's home
                **{name: value for name, value in os.environ.items() if name[:4] != "XDG_"},
                "HOME": str(tmp_path_factory.mktemp("home")),
            },
            args=[
                *(["--no-sandbox"] if os.geteuid() == 0 else []),  # root cannot have a sandbox
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-dev-shm-usage",
            ],
        )
        yield started
        started.close()
