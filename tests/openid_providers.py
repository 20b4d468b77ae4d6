"""OpenID providers on loopback: a real one (oidc-provider-mock), and one whose every answer a test decides."""

import json
import threading
import time
import urllib.parse
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

CLIENT = "doorward-test"


@contextmanager
def real_provider() -> Iterator[str]:
    """Run oidc-provider-mock, which vouches for whoever is named, and give its issuer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that it still uses
        from oidc_provider_mock import run_server_in_thread
    with run_server_in_thread(require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


def log_in_there(url: str, subject: str) -> str:
    """Do what a person does at the real provider's page, and return where it sends the browser."""
    body = urllib.parse.urlencode({"sub": subject}).encode()
    opener = urllib.request.build_opener(_NoRedirect)
    reply = opener.open(urllib.request.Request(url, data=body))
    with reply:
        assert reply.status in (302, 303), reply.status
        return str(reply.headers["Location"])


class _NoRedirect(urllib.request.HTTPErrorProcessor):
    """Gives a redirect back as it is."""

    def http_response(self, request: Any, response: Any) -> Any:
        """Return every answer."""
        return response

    https_response = http_response


@dataclass(slots=True)
class Forged:
    """A provider made of bytes. ``claims`` and ``document`` may be changed; ``asked`` says what it was asked."""

    issuer: str
    key: ECKey = field(default_factory=lambda: new_key("first"))
    shown_keys: list[ECKey] = field(default_factory=list)
    claims: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    #: Overrides an answer: path -> (status, headers, body).
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    nonce: str = ""

    def token(self, **claims: Any) -> str:
        """Return a token signed by its key; a claim of None is left out."""
        now = int(time.time())
        stated = {
            "iss": self.issuer,
            "sub": "subject-1",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 600,
        }
        merged = stated | ({"nonce": self.nonce} if self.nonce else {}) | self.claims | claims
        kept = {name: value for name, value in merged.items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": str(self.key.kid)}, kept, self.key)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Return what is said under a path."""
        if path in self.answers:
            return self.answers[path]
        documents: dict[str, Callable[[], Any]] = {
            "/.well-known/openid-configuration": lambda: (
                {
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/keys",
                }
                | self.document
            ),
            "/keys": lambda: {
                "keys": [one.as_dict(private=False) for one in self.shown_keys or [self.key]]
            },
            "/token": lambda: {
                "access_token": "x",
                "token_type": "Bearer",
                "id_token": self.token(),
            },
        }
        if path not in documents:
            return 404, {}, b""
        kind = {"Content-Type": "application/json"}
        return 200, kind, json.dumps(documents[path]()).encode()


def new_key(name: str) -> ECKey:
    """Return a key of that id."""
    return ECKey.generate_key("P-256", {"kid": name, "use": "sig", "alg": "ES256"})


@contextmanager
def forged_provider() -> Iterator[Forged]:
    """Run a provider that says what the test wants."""
    made = Forged("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer."""
            made.asked.append(self.path)
            status, headers, body = made.answer(self.path.partition("?")[0])
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            """Take a form, and answer."""
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = dict(urllib.parse.parse_qsl(body))
            made.forms.append(form | {"Authorization": self.headers.get("Authorization", "")})
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
