"""A server with an OpenAI-compatible API (``/completions``, ``/chat/completions``), such as llama.cpp, vLLM, Ollama.

A request that keeps failing after several tries is recorded as a failure of its completion, never as an empty one.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

from lilliput.errors import UserError
from lilliput.runtime.settings import Settings
from lilliput.verbs.completers.base import Asked, GeneratorSource, Made, Note, Speed
from lilliput.verbs.kept import key_of
from lilliput.version import VERSION

KEYS = ("LILLIPUT_API_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the API key; the first one set counts. It is sent, but never written."""

LARGEST_ANSWER = 64 * 2**20
"""Maximum bytes of an answer; longer ones are refused, so that no server can fill the memory."""

MOST_STOPS = 4
"""Maximum number of stop strings that OpenAI's servers take; answers are always cut here as well."""

REFUSED = {
    401: "the server requires a valid key",
    403: "the server denies access",
    404: "the server has no such address or model",
}
"""Status codes after which no other request could succeed."""


@dataclass(frozen=True)
class Patience:
    """Retry policy.

    Attributes:
        tries: tries of each request.
        first: seconds before the second try; each further wait doubles, unless the server names its own.
        longest: longest wait in seconds.
        answer: timeout of an answer in seconds.
    """

    tries: int = 5
    first: float = 1.0
    longest: float = 60.0
    answer: float = 600.0


class _Failed(Exception):
    """A request failed."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuse redirects: the key goes only to the given address."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow no redirect."""


class EndpointCompleter:
    """A server; see :class:`~lilliput.verbs.completers.base.Completer`.

    Args:
        source: the server's address, and the model's name there.
        patience: the retry policy.
        note: called occasionally when a request is retried.
    """

    def __init__(self, source: GeneratorSource, patience: Patience | None = None, note: Note | None = None) -> None:
        self.source, self.patience = source, patience or Patience()
        self.url = _checked(source.model)
        self._key = next((os.environ[name] for name in KEYS if os.environ.get(name)), None)
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._tokens, self._seconds = 0, 0.0
        self._ended = threading.Event()
        self._note, self._telling, self._told_until = note, threading.Lock(), 0.0
        self.served = source.served or self._first_model()
        self.name = self.served
        self.identity = key_of("endpoint", self.url, self.served, VERSION)
        self.facts = {"kind": "endpoint", "url": self.url, "model": self.served, "chat_template": None}
        if source.chat:
            self.facts["chat_template"] = "the server's own"

    def bytes(self) -> None:
        """See :class:`~lilliput.verbs.completers.base.Completer`: a server does not say."""

    def complete(self, asked: Sequence[Asked], settings: Settings) -> list[list[Made]]:
        """See :class:`~lilliput.verbs.completers.base.Completer`; ``settings.batch`` requests at a time."""
        jobs = [
            (one, replace(settings, n=1, seed=seed_of(settings.seed, sample)))
            for one in asked
            for sample in range(settings.n)
        ]
        begun = time.monotonic()
        made = self._side_by_side(jobs, settings.batch)
        self._seconds += time.monotonic() - begun
        self._tokens += sum(one.tokens or 0 for one in made)
        return [made[first : first + settings.n] for first in range(0, len(made), settings.n)]

    def speed(self, asked: Sequence[Asked], settings: Settings) -> Speed:
        """See :class:`~lilliput.verbs.completers.base.Completer`; only the overall rate is known."""
        rate = self._tokens / self._seconds if self._tokens and self._seconds else None
        seen = "no tokens were counted" if rate is None else f"{rate:.1f} tokens/s came back in all"
        method = (
            f"not measured: a server's reading, writing, waiting and network cannot be told apart from outside; in "
            f"this run {seen}, {settings.batch} requests at a time"
        )
        return Speed(None, None, 0, None, method)

    def _side_by_side(self, jobs: Sequence[tuple[Asked, Settings]], width: int) -> list[Made]:
        """Run ``jobs``, ``width`` at a time, in threads that neither an interrupt nor an error waits for."""
        places = iter(range(len(jobs)))
        found: SimpleQueue[tuple[int, Made | BaseException]] = SimpleQueue()

        def work() -> None:
            for place in places:
                try:
                    found.put((place, self._one(*jobs[place])))
                except BaseException as error:
                    found.put((place, error))
                if self._ended.is_set():
                    return

        for _ in range(min(width, len(jobs))):
            threading.Thread(target=work, daemon=True).start()
        made: dict[int, Made] = {}
        try:
            while len(made) < len(jobs):
                place, one = found.get()
                if isinstance(one, BaseException):
                    raise one
                made[place] = one
        except BaseException:
            self._ended.set()
            raise
        return [made[place] for place in range(len(jobs))]

    def _one(self, asked: Asked, settings: Settings) -> Made:
        body: dict[str, Any] = {
            "model": self.served,
            "max_tokens": settings.max_new_tokens,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "seed": settings.seed,
        }
        if settings.stops:
            body["stop"] = list(settings.stops[:MOST_STOPS])
        if self.source.chat:
            body["messages"] = [{"role": "user", "content": asked.text}]
        else:
            body["prompt"] = asked.text
        try:
            answer = self._asked("/chat/completions" if self.source.chat else "/completions", body)
            return _made(answer, self.source.chat, settings.stops)
        except _Failed as error:
            return Made("", None, "failed", str(error), is_model_s=False)

    def _first_model(self) -> str:
        try:
            listed = self._asked("/models", None)
            return str(listed["data"][0]["id"])
        except (_Failed, KeyError, IndexError, TypeError) as error:
            reason = str(error) if isinstance(error, _Failed) else "its answer to /models lists no model"
            raise UserError(
                f"cannot list its models: {reason}.",
                where=self.url,
                remedy="Check that the server runs and that its address ends in /v1, or name the model with --served.",
            ) from error

    def _asked(self, path: str, body: Mapping[str, Any] | None) -> Any:
        """The JSON value that the server answers with.

        Raises:
            _Failed: there is no valid answer after all tries.
            UserError: the server refuses every request.
        """
        wait = self.patience.first
        for attempt in range(1, self.patience.tries + 1):
            try:
                return self._answer(path, body)
            except urllib.error.HTTPError as error:
                said = _said(error)
                if error.code in REFUSED:
                    raise UserError(
                        f"{REFUSED[error.code]} ({error.code}{said}).",
                        where=self.url + path,
                        remedy=f"Check the address, --served, and the environment variable {KEYS[0]}.",
                    ) from error
                reason = f"the server answered {error.code}{said}"
                if error.code != 429 and error.code < 500:
                    raise _Failed(reason) from error
                named = error.headers.get("Retry-After", "")
                wait = float(named) if re.fullmatch(r"\d{1,4}(\.\d+)?", named) else wait
            except (OSError, http.client.HTTPException) as error:
                reason = f"no answer ({type(error).__name__}: {getattr(error, 'reason', None) or error})"
            if attempt < self.patience.tries:
                pause = min(wait, self.patience.longest)
                self._tell(f"{self.url}: {reason}; retrying in {pause:g} s", pause)
                if self._ended.wait(pause):
                    break
                wait *= 2
        raise _Failed(f"{reason}, {self.patience.tries} times")

    def _tell(self, text: str, pause: float) -> None:
        """Report ``text``, unless another request reported within its own pause."""
        with self._telling:
            now = time.monotonic()
            if self._note is None or self._ended.is_set() or now < self._told_until:
                return
            self._told_until = now + pause
            self._note(text)

    def _answer(self, path: str, body: Mapping[str, Any] | None) -> Any:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, content, headers)
        last = time.monotonic() + self.patience.answer
        with self._opener.open(request, timeout=self.patience.answer) as response:
            read = _whole(response.read1, last)
        try:
            return json.loads(read.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise _Failed(f"the answer is not JSON: {read[:60]!r}") from error


def open_completer(source: GeneratorSource, note: Note | None = None) -> EndpointCompleter:
    """Connect to the server at ``source.model``; ``note`` is called when it keeps the user waiting.

    Raises:
        UserError: the address is invalid, or the server cannot be reached or does not list its models.
    """
    return EndpointCompleter(source, note=note)


def _whole(read: Callable[[int], bytes], last: float) -> bytes:
    """The whole answer, unless it is too long or takes too long."""
    parts, size = [], 0
    while part := read(1 << 20):
        parts.append(part)
        size += len(part)
        if size > LARGEST_ANSWER:
            raise _Failed(f"the answer is longer than {LARGEST_ANSWER:,} bytes")
        if time.monotonic() > last:
            raise _Failed("the answer did not end in time")
    return b"".join(parts)


def _made(answer: Any, chat: bool, stops: Sequence[str]) -> Made:
    try:
        choice = answer["choices"][0]
        text = choice["message"]["content"] if chat else choice["text"]
        text = "" if text is None and chat else text
    except (KeyError, IndexError, TypeError):
        text, choice = None, {}
    if not isinstance(text, str):
        raise _Failed(f"the answer has no completion: {json.dumps(answer)[:80]}")
    usage = answer.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    finish = choice.get("finish_reason")
    cut = cut_at(text, stops)
    return Made(
        cut,
        tokens if type(tokens) is int else None,
        "stop" if cut != text else finish if isinstance(finish, str) else "",
    )


def seed_of(seed: int, sample: int) -> int:
    """The 31-bit seed of one of several completions, each of which is requested separately.

    Hashed, because ``seed + sample`` would repeat most of the completions of the next seed.
    """
    return int.from_bytes(hashlib.sha256(f"{seed} {sample}".encode()).digest()[:4], "big") >> 1


def cut_at(text: str, stops: Sequence[str]) -> str:
    """``text`` up to the stop string that is completed first, as when local generators stop."""
    ends = [(start + len(stop), start) for stop in stops if (start := text.find(stop)) >= 0]
    return text[: min(ends)[1]] if ends else text


def _checked(url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine or parts.query or parts.fragment or parts.username:
        raise UserError(
            f"{url!r} is not a server address.",
            remedy=f"Give one such as http://localhost:8080/v1; a key goes into the environment variable {KEYS[0]}.",
        )
    return url.rstrip("/")


def _said(error: urllib.error.HTTPError) -> str:
    """The server's message on its refusal, on one line."""
    try:
        text = error.read(2000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""
    line = " ".join(text.split())[:120]
    return f": {line}" if line else ""
