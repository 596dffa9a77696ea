"""A real TensorBoard without TensorFlow, and a real browser that looks at its page."""

import configparser
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLUGIN = "data/plugin/attention"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
    "--hide-scrollbars",
]
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>/usr/share/fonts/truetype/dejavu</dir>
  <include ignore_missing="yes">/etc/fonts/conf.d</include>
</fontconfig>
"""


def until(ask, seconds=10.0):
    """What `ask` gives once it is true; a browser and a server need a moment."""
    end = time.monotonic() + seconds
    while not (given := ask()):
        if time.monotonic() > end:
            raise TimeoutError(f"nothing after {seconds} s")
        time.sleep(0.02)
    return given


def installed(folder):
    """A folder for PYTHONPATH: this tree's entry points as installed, no TensorFlow."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    info = folder / "keras_s2s-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: keras-s2s\nVersion: 0\n")
    entries = parser["options.entry_points"]["tensorboard_plugins"]
    (info / "entry_points.txt").write_text(f"[tensorboard_plugins]{entries}\n")
    for name in ("tensorflow", "keras"):
        (folder / f"{name}.py").write_text("raise ImportError('not here')\n")
    return folder


@contextlib.contextmanager
def tensorboard(logdir, folder, *flags):
    """The address of a TensorBoard process on a socket of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "tensorboard.main",
        "--logdir",
        str(logdir),
        "--port",
        str(port),
    ]
    command += ["--host", "127.0.0.1", "--reload_interval", "1", *flags]
    path = os.pathsep.join([str(installed(folder / "site")), str(ROOT)])
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": path}, stdout=log, stderr=log
        )
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: process.poll() is not None or answers(f"{address}/data/plugins_listing"), 60)
        assert process.poll() is None, (folder / "log").read_text()
        yield address
    finally:
        process.terminate()
        process.wait(20)


def answers(address):
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.read()
    except OSError:
        return None


def lettering(folder):
    """Environment in which the page has DejaVu's letters: pictures are compared across machines."""
    fonts = folder / "fonts.conf"
    fonts.write_text(FONTS, encoding="utf-8")
    return {"FONTCONFIG_FILE": str(fonts)}


@contextlib.contextmanager
def chromium(folder, width=1280, height=900):
    """A Selenium driver of a headless Chromium; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    steered = shutil.which("chromedriver")
    if not browser or not steered:
        pytest.skip("no browser: install Debian's chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (
        *FLAGS,
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},{height}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option(
        "prefs", {"download.default_directory": str(folder), "download.prompt_for_download": False}
    )
    service = webdriver.ChromeService(steered, env=os.environ | lettering(folder))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()


def sized(driver, width, height):
    """Makes the page so large, light, whatever the window is."""
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    coloured(driver, "light")


def coloured(driver, scheme):
    """Has the system ask for light or dark pages."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


class Page:
    """What a person does with the page."""

    def __init__(self, driver, address):
        self.driver = driver
        driver.get(address)
        self.settle()

    def settle(self):
        """Waits for the record asked for and for the pictures of its heads."""
        ask = "return document.querySelector('main')?.dataset.shown && !document.querySelector"
        ask += "('main > .error:not([hidden])') && document.querySelector('.heads').dataset.painted"
        until(lambda: self.run(ask))
        self.frames()

    def frames(self):
        wait = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
        self.driver.execute_async_script(wait)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        return self.driver.find_element("css selector", selector)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def act(self, work):
        """Does something and waits until the page has answered it."""
        before = self.run("return document.querySelector('main').dataset.shown")
        work()
        until(lambda: self.run("return document.querySelector('main').dataset.shown") != before)
        self.frames()

    def choose(self, label, value):
        script = "const s = document.querySelector(`select[aria-label='${arguments[0]}']`);"
        script += "s.value = arguments[1]; s.dispatchEvent(new Event('change', {bubbles: true}))"
        self.act(lambda: self.run(script, label, value))

    def click(self, selector):
        self.act(self.one(selector).click)

    def keys(self, selector, keys):
        self.one(selector).send_keys(keys)
        self.frames()

    def errors(self):
        """What the console says is wrong, and forgets it."""
        return [entry for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
