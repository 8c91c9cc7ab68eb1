"""A package index of the test's own on loopback, and wheels to put into it."""

import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


def wheel(name: str, version: str, source: str) -> bytes:
    """A wheel with one module."""
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": source,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in files) + f"{about}/RECORD,,\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in {**files, f"{about}/RECORD": record}.items():
            archive.writestr(path, text)
    return packed.getvalue()


class PackageIndex:
    """Serves wheels as a simple index (PEP 503). `fetched`: the wheels that somebody took, in order."""

    def __init__(self, *wheels: tuple[str, str, str]) -> None:
        self.wheels = {
            f"{name}-{version}-py3-none-any.whl": wheel(name, version, text) for name, version, text in wheels
        }
        self.fetched: list[str] = []
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, data = index.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/zip")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/simple"

    def answer(self, path: str) -> tuple[int, bytes]:
        """The page of a project, or a wheel."""
        name = path.strip("/").rpartition("/")[2]
        if path.endswith("/"):
            files = [file for file in self.wheels if file.startswith(f"{name}-")]
            return 200 if files else 404, "".join(f'<a href="/files/{file}">{file}</a>\n' for file in files).encode()
        if name not in self.wheels:
            return 404, b""
        self.fetched.append(name)
        return 200, self.wheels[name]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
