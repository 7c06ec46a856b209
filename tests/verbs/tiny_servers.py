"""A server with OpenAI's interface in a thread; each test decides its answers."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "tiny"


def completion(text, tokens=1, finish="stop"):
    """An answer to ``/completions``."""
    return 200, {"choices": [{"text": text, "finish_reason": finish}], "usage": {"completion_tokens": tokens}}


def chat(text):
    """An answer to ``/chat/completions``."""
    return 200, {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}


class Server:
    """A running server: the requests it got and the answers it gives.

    Args:
        answer: ``answer(path, body, number)`` returns status and JSON value (or bytes) for the request of that number.
    """

    def __init__(self, answer):
        self.answer, self.url = answer, ""
        self.asked, self.headers = [], []
        self._turn = threading.Lock()

    def respond(self, path, body, headers):
        with self._turn:
            if body is None:
                return 200, {"data": [{"id": MODEL}]}
            self.asked.append((path, body))
            self.headers.append(headers)
            return self.answer(path, body, len(self.asked))


@contextmanager
def served(answer):
    """Run a :class:`Server` within the context."""
    server = Server(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply(*server.respond(self.path, None, self.headers))

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.reply(*server.respond(self.path, body, dict(self.headers)))

        def reply(self, status, value, headers=()):
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            for name, text in dict(headers).items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
