# SPDX-License-Identifier: BSD-3-Clause
"""A token service for tests: GET and POST, logins from its command line, tokens signed with a given key (RS256).

    token_service.py KEY CERTIFICATE USER PASSWORD LOG

Prints its port. Source: distribution's token authentication specification.
"""
import base64
import http.server
import json
import subprocess
import sys
import time
import urllib.parse

KEY, CERTIFICATE, USER, PASSWORD, LOG = sys.argv[1:6]


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def certificate_der():
    lines = [line.strip() for line in open(CERTIFICATE) if not line.startswith("-")]
    return "".join(lines)


STALE = set()  # scopes that got their expired token already


def life_s(scopes):
    """Repositories called "late" get tokens that have expired, those called "stale" one such at first."""
    names = [scope.split(":")[1].rsplit("/")[-1] for scope in scopes]
    expired = "late" in names or ("stale" in names and str(scopes) not in STALE)
    STALE.add(str(scopes))
    return -3600 if expired else 300


def sign(service, scopes, user):
    now = int(time.time())
    access = []
    for scope in scopes:
        kind, name, actions = scope.split(":", 2)
        allowed = [a for a in actions.split(",") if user == USER or name.startswith("public/") and a == "pull"]
        access.append({"type": kind, "name": name, "actions": allowed})
    header = {"typ": "JWT", "alg": "RS256", "x5c": [certificate_der()]}
    claims = {"iss": "tests", "sub": user, "aud": service, "exp": now + life_s(scopes), "nbf": now - 7200, "iat": now,
              "jti": str(time.monotonic_ns()), "access": access}
    text = encode(json.dumps(header).encode()) + "." + encode(json.dumps(claims).encode())
    done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", KEY], input=text.encode(), capture_output=True,
                          check=True)
    return text + "." + encode(done.stdout)


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def give(self, parameters, user):
        scopes = [s for given in parameters.get("scope", []) for s in given.split()]
        with open(LOG, "a") as log:
            print(self.command, user or "-", " ".join(scopes), file=log, flush=True)
        token = sign(parameters.get("service", [""])[0], scopes, user)
        self.answer(200, {"token": token, "access_token": token, "expires_in": 300})

    def do_GET(self):
        parameters = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        login = self.headers.get("Authorization", "")
        user = ""
        if login:
            if base64.b64decode(login.split()[1]).decode() != USER + ":" + PASSWORD:
                self.answer(401, {"details": "incorrect username or password"})
                return
            user = USER
        self.give(parameters, user)

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        word = form.get("refresh_token", form.get("password", [""]))[0]
        if word != PASSWORD:
            self.answer(401, {"details": "incorrect token"})
            return
        self.give(form, USER)

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
print(server.server_address[1], flush=True)
server.serve_forever()
