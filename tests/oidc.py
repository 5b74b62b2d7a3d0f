"""A small OpenID Connect provider on loopback: discovery, authorisation code with PKCE, signed identity tokens, keys."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "dunaudit", "a secret of the test"


class Provider:
    """Whoever comes is `person`: his claims go into the token."""

    def __init__(self) -> None:
        self.person: dict[str, Any] = {}
        self.address = ""
        self._key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self._codes: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.address, "authorization_endpoint": f"{self.address}/authorize", "token_endpoint": f"{self.address}/token", "jwks_uri": f"{self.address}/keys",
            "response_types_supported": ["code"], "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"], "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }  # fmt: skip

    def keys(self) -> dict[str, Any]:
        return {"keys": [self._key.as_dict(private=False)]}

    def authorise(self, asked: dict[str, str]) -> str:
        assert asked["client_id"] == CLIENT and asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked, dict(self.person)
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, given: dict[str, str], authorization: str) -> dict[str, Any]:
        asked, person = self._codes.pop(given["code"])
        client = base64.b64decode(authorization.removeprefix("Basic ")).decode() if authorization else f"{given.get('client_id')}:{given.get('client_secret')}"
        assert client.replace("+", " ").replace("%20", " ") == f"{CLIENT}:{SECRET}" and given["redirect_uri"] == asked["redirect_uri"]
        assert base64.urlsafe_b64encode(sha256(given["code_verifier"].encode()).digest()).rstrip(b"=").decode() == asked["code_challenge"]
        now = int(time.time())
        claims = {"iss": self.address, "aud": CLIENT, "sub": str(person.get("email")), "iat": now, "exp": now + 300, "nonce": asked.get("nonce"), **person}
        return {"access_token": secrets.token_urlsafe(8), "token_type": "Bearer", "expires_in": 300, "id_token": jwt.encode({"alg": "RS256", "kid": "one"}, claims, self._key)}


@contextmanager
def provider() -> Iterator[Provider]:
    """The provider, answering."""
    made = Provider()

    class Handler(BaseHTTPRequestHandler):
        def _json(self, told: dict[str, Any]) -> None:
            body = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            at = urlsplit(self.path)
            if at.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", made.authorise(dict(parse_qsl(at.query))))
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self._json(made.keys() if at.path == "/keys" else made.metadata())

        def do_POST(self) -> None:
            given = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self._json(made.token(given, self.headers.get("Authorization", "")))

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join(10)
