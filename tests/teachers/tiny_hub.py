"""A model hub in a thread, which answers the requests that ``huggingface_hub`` makes to download a model."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from huggingface_hub import constants

COMMIT = "0" * 40


def blob_id(content):
    """Git's hash of a blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def hub_with(folder, model, cache, monkeypatch):
    """Serve ``folder`` as ``model``, as the only hub in this context; ``cache`` is an empty folder."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            place = unquote(self.path.split("?")[0])
            file = folder / place.rpartition("/")[2]
            if place.startswith(f"/api/models/{model}/revision/"):
                files = [{"rfilename": file.name} for file in folder.iterdir()]
                self.reply(200, json.dumps({"id": model, "sha": COMMIT, "siblings": files}).encode())
            elif place.startswith(f"/api/models/{model}/tree/"):
                contents = {file.name: file.read_bytes() for file in folder.iterdir()}
                files = [
                    {"type": "file", "path": name, "size": len(content), "oid": blob_id(content)}
                    for name, content in contents.items()
                ]
                self.reply(200, json.dumps(files).encode())
            elif place.startswith(f"/{model}/resolve/") and file.is_file():
                self.reply(200, file.read_bytes())
            else:
                self.reply(404, b"")

        def do_HEAD(self):
            self.do_GET()

        def reply(self, status, content):
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{blob_id(content)}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_port}"
    with monkeypatch.context() as patch, server:
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        patch.setattr(constants, "ENDPOINT", address)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
