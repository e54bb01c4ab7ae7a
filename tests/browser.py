"""A headless Chromium that tests drive over its own debugging pipe: no driver, no package, and skipped where there is none."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from queue import Queue
from threading import Thread

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--hide-scrollbars", "--remote-debugging-pipe", "--force-color-profile=srgb",
)  # fmt: skip
_PATIENCE = 60.0


def find_browser() -> str | None:
    """Return the path of a Chromium on this machine, if there is one."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Browser:
    """One page of a Chromium; ``problems`` collects what it logs as a warning or an error, and uncaught exceptions."""

    def __init__(self, folder: Path) -> None:
        self.downloads = folder / "downloads"
        self.problems: list[str] = []
        self._n_sent, self._session = 0, None
        self._process, self._to, self._from = _start(folder)
        self._messages: Queue[dict | None] = Queue()
        Thread(target=self._listen, daemon=True).start()
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads), eventsEnabled=True)

    def close(self) -> None:
        """End the browser."""
        self._to.close()
        self._process.terminate()
        self._process.wait(_PATIENCE)

    def send(self, method: str, **params: object) -> dict:
        """Give a command of the DevTools protocol and return its result."""
        self._n_sent += 1
        number, message = self._n_sent, {"id": self._n_sent, "method": method, "params": params}
        if self._session and not method.startswith(("Target.", "Browser.", "SystemInfo.")):
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        while (answer := self._next()).get("id") != number:
            pass
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def open(self, page: Path, *, width: int = 1280, height: int = 900, scheme: str = "light", media: str = "") -> None:
        """Open a file at a width, light or dark, as on the screen or as printed, and wait until it is loaded."""
        self.problems.clear()
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.send("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.send("Page.navigate", url=page.as_uri())
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def run(self, expression: str) -> object:
        """Return the value of a JavaScript expression; a promise is awaited."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in answer, (expression, answer)
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until a JavaScript expression is true."""
        end = time.monotonic() + _PATIENCE
        while not self.run(expression):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.02)

    def processor_seconds(self) -> dict[int, float]:
        """Return the processor time of each of the browser's processes."""
        return {item["id"]: item["cpuTime"] for item in self.send("SystemInfo.getProcessInfo")["processInfo"]}

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press and release a key."""
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def downloaded(self, name: str) -> Path:
        """Wait until a file is downloaded."""
        path, end = self.downloads / name, time.monotonic() + _PATIENCE
        while not path.exists():
            assert time.monotonic() < end, f"never downloaded: {name}"
            time.sleep(0.02)
        return path

    def screenshot(self, out: Path, *, whole: bool = True) -> None:
        """Write what the page looks like, all of it or what fits the window."""
        answer = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        out.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self) -> bytes:
        """Return the page as it is printed."""
        return base64.b64decode(self.send("Page.printToPDF", printBackground=False, preferCSSPageSize=True)["data"])

    def _next(self) -> dict:
        message = self._messages.get(timeout=_PATIENCE)
        assert message is not None, "the browser has ended"
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(params["exceptionDetails"]))
        elif message.get("method") == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning", "assert"}:
            self.problems.append(json.dumps(params["args"]))
        elif message.get("method") == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.problems.append(params["entry"]["text"])
        return message

    def _listen(self) -> None:
        rest = b""
        while chunk := os.read(self._from, 1 << 20):
            *messages, rest = (rest + chunk).split(b"\0")
            for message in messages:
                self._messages.put(json.loads(message))
        self._messages.put(None)


def _start(folder: Path) -> tuple[subprocess.Popen, object, int]:
    """Start the browser; it reads commands from its descriptor 3 and answers on 4."""
    browser = find_browser()
    assert browser is not None
    command_end, to_browser = os.pipe()
    from_browser, answer_end = os.pipe()
    line = f'exec "$@" 3<&{command_end} 4>&{answer_end}'
    process = subprocess.Popen(
        ["bash", "-c", line, "browser", browser, *_OPTIONS, f"--user-data-dir={folder / 'profile'}"],
        pass_fds=(command_end, answer_end),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(command_end)
    os.close(answer_end)
    return process, os.fdopen(to_browser, "wb"), from_browser
