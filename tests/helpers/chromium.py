"""A headless Chromium, where there is one."""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator

import pytest


@contextlib.contextmanager
def open_browser(width: int = 1100, height: int = 900) -> Iterator:
    """A Selenium driver with a page of this size; skips where Chromium, its driver or Selenium is missing."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if not chromium or not driver:
        pytest.skip("needs Debian's chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{word}")
    options.add_argument("--autoplay-policy=no-user-gesture-required")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        resize(browser, width, height)
        yield browser
    finally:
        browser.quit()


def resize(browser, width: int, height: int) -> None:
    """Show pages at this size; a narrow one as on a phone."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def wait_for(condition: Callable[[], object], seconds: float) -> object:
    """The condition's value once it is true; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.3)
    return value


def errors(browser) -> list[str]:
    """What the page's console holds of errors."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def too_wide(browser) -> bool:
    """Whether one would have to scroll sideways."""
    return browser.execute_script("return document.documentElement.scrollWidth > window.innerWidth")
