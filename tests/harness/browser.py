"""Chromium, driven as a person drives it: what is read and pressed is found by its words and roles."""

import base64
import shutil
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import ElementNotInteractableException, NoSuchElementException, StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys as Press
from selenium.webdriver.remote.webelement import WebElement

from .process import HANGS_S, wait_for

CHROMIUM, DRIVER = "chromium", "chromedriver"
PHONE, DESKTOP = (390, 844), (1440, 900)
# While an element is drawn again it may go between being found and being pressed.
PASSES = (NoSuchElementException, StaleElementReferenceException, ElementNotInteractableException)


def quoted(words: str) -> str:
    """As XPath has texts."""
    return "concat(" + ", '\"', ".join(f'"{part}"' for part in words.split('"')) + ', "")'


class Browser:
    def __init__(self, folder: Path):
        for program in (CHROMIUM, DRIVER):
            assert shutil.which(program), f"{program} is not installed: run deploy/install-deps dashboard"
        self.folder, self.starts = folder, 0
        self.driver = wait_for(f"chromium starts; its driver's log is {folder}/chromedriver.log", self._start, interval_s=1)
        self.driver.set_script_timeout(HANGS_S)
        self.driver.set_page_load_timeout(HANGS_S)
        self.size(*DESKTOP)

    def _start(self) -> webdriver.Chrome | None:
        """None when it took longer than the driver waits: on a busy machine that happens."""
        self.starts += 1
        options = Options()
        options.binary_location = shutil.which(CHROMIUM)
        for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--force-color-profile=srgb",
                     f"--user-data-dir={self.folder / f'profile-{self.starts}'}", "--lang=en"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = Service(shutil.which(DRIVER), log_path=str(self.folder / "chromedriver.log"))
        try:
            return webdriver.Chrome(service=service, options=options)
        except WebDriverException:
            service.stop()
            return None

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.quit()

    # --- looks ---------------------------------------------------------------------------------------
    def size(self, width: int, height: int) -> None:
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700})

    def scheme(self, name: str) -> None:
        """"dark" or "light"."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": name}]})

    def screenshot(self, path: Path) -> None:
        """The whole page, however long; of a question what is in sight."""
        self.driver.execute_script("scrollTo(0, 0)")
        self.until_drawn()
        is_asking = bool(self.driver.find_elements(By.XPATH, "//dialog"))
        size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssVisualViewport" if is_asking else "cssContentSize"]
        size = {"width": size.get("width") or size["clientWidth"], "height": size.get("height") or size["clientHeight"]}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {
            "format": "png", "captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 5000), "scale": 1}})
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def until_drawn(self) -> None:
        self.driver.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))")

    # --- reading -------------------------------------------------------------------------------------
    def text(self) -> str:
        return self.driver.execute_script("return document.body.innerText")

    def see(self, *words: str, timeout_s: float = HANGS_S) -> str:
        """Waits until all of these words are on the page."""
        def there() -> str:
            shown = self.text()
            return shown if all(each in shown for each in words) else ""
        try:
            return wait_for(f"the page shows {words}", there, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows:\n{self.text()}\nand has logged {self.complaints()}") from error

    def see_no_more(self, *words: str) -> None:
        wait_for(f"the page no longer shows {words}", lambda: not any(each in self.text() for each in words))

    def complaints(self) -> list[str]:
        """What the browser has logged as wrong since the last call: faults of the script, and what the Content-Security-Policy stopped."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE" and "WebSocket" not in entry["message"]]

    # --- doing ---------------------------------------------------------------------------------------
    def open(self, address: str) -> None:
        self.driver.get(address)

    def find(self, path: str) -> WebElement:
        def there() -> WebElement | None:
            found = [each for each in self.driver.find_elements(By.XPATH, path) if each.is_displayed()]
            return found[0] if found else None
        def fresh() -> WebElement | None:
            try:
                return there()
            except PASSES:
                return None
        return wait_for(f"the page has {path}", fresh)

    def press(self, name: str, inside: str = "") -> None:
        """A button or link by its words or its label; `inside`: only within such an element."""
        path = (f"{inside}//*[self::button or self::a or self::summary][starts-with(normalize-space(.), {quoted(name)}) "
                f"or @aria-label={quoted(name)}]")
        def pressed() -> bool:
            try:
                self.find(path).click()
                return True
            except (*PASSES, WebDriverException):
                return False
        wait_for(f"{name} can be pressed", pressed)

    def write(self, label: str, text: str) -> None:
        """Into the field of that label, in place of what is there."""
        field = self.find(f"//input[@id=//label[starts-with(normalize-space(.), {quoted(label)})]/@for or @aria-label={quoted(label)}]")
        field.send_keys(Press.CONTROL, "a")
        field.send_keys(Press.DELETE, text)

    def type(self, *keys: str) -> None:
        """To whatever has the focus."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self) -> str:
        """The words, or the label, of what has the focus."""
        return self.driver.execute_script("const at = document.activeElement; return at.getAttribute('aria-label') || at.innerText || at.id || at.tagName")

    def go(self, hash_: str) -> None:
        """To another view."""
        self.driver.execute_script("location.hash = arguments[0]", hash_)

    def login(self, username: str = "", password: str = "", sees: str = "Needs you") -> None:
        """`sees`: what the view shows that opens then."""
        if username:
            self.write("User name", username)
            self.write("Password", password)
        self.press("Log in")
        self.see(sees)
