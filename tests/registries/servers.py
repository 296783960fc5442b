# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the registry plugins share: asking a plugin, servers on loopback, certificates, real services.

Everything lives in one temporary folder and ends with the test; nothing has a fixed port.
"""
import base64
import collections
import hashlib
import http.server
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

ASK = sys.argv[1] if len(sys.argv) > 1 else ""
BUILD = sys.argv[2] if len(sys.argv) > 2 else ""
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# DESCPIPE_FAILED_ kinds
REFUSED, UNKNOWN, CANNOT_ASK, NEEDS_LOGIN, NOT_FOUND, LATER, CANCELLED, UNSUPPORTED = range(1, 9)


def skip_all(why):
    """No such service here: a skip, or a failure where CI promises it."""
    print("skipped:", why)
    sys.exit(1 if os.environ.get("CI") else 77)


class Answer:
    """One block of what `ask` prints."""

    def __init__(self, text):
        self.lines = collections.OrderedDict()
        self.texts = []
        for line in text.splitlines():
            name, _, value = line.partition(": ")
            if name == "text":
                self.texts.append(value)
            else:
                self.lines[name] = value

    def __getattr__(self, name):
        return self.lines.get(name.replace("_", "-"))

    @property
    def kind(self):
        return int(self.lines["failed"]) if "failed" in self.lines else 0

    def __repr__(self):
        return "\n".join("%s: %s" % line for line in self.lines.items()) + "".join("\ntext: " + t for t in self.texts)


class Asked:
    """All that one run of `ask` did. `output` is everything a person could see."""

    def __init__(self, done):
        self.status = done.returncode
        self.stdout, self.stderr = done.stdout, done.stderr
        self.all = [Answer(block) for block in done.stdout.split("\n\n") if block.strip()]
        self.output = done.stderr + "".join(
            line for line in done.stdout.splitlines(True) if not line.startswith("password: "))

    @property
    def one(self):
        assert len(self.all) == 1, "%r\n%s" % (self.all, self.stderr)
        return self.all[0]


class Case(unittest.TestCase):
    """A folder, an environment without anything of the caller's, and `ask`."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="descpipe-registries-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.home = os.path.join(self.folder, "home")
        os.mkdir(self.home)
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.home, "AWS_EC2_METADATA_DISABLED": "true",
                            "XDG_CACHE_HOME": os.path.join(self.folder, "cache")}

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    @staticmethod
    def read_json(path):
        with open(path) as file:
            return json.load(file)

    def ask(self, plugin, *words, options=None, times=1, stdin="", **environment):
        argv = [ASK, plugin]
        for key, value in (options or {}).items():
            argv += ["-o", "%s=%s" % (key, value)]
        if times > 1:
            argv += ["-n", str(times)]
        # A test under valgrind or a sanitizer says so through these.
        kept = {name: os.environ[name] for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS") if name in os.environ}
        done = subprocess.run(argv + list(words), env={**kept, **self.environment, **environment}, input=stdin, timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        self.assertIn(done.returncode, (0, 1, 3), done.stderr)
        return Asked(done)

    def assert_failed(self, answer, kind, *parts):
        self.assertEqual(answer.kind, kind, answer)
        for part in parts:
            self.assertIn(part, "%s %s" % (answer.message, answer.hint), answer)

    def assert_hidden(self, asked, *secrets):
        """None of these is in anything that a person or a log sees."""
        for secret in secrets:
            self.assertNotIn(secret, asked.output)


class Server:
    """An HTTP server on loopback that answers as `answer(request)` says and remembers what it was asked."""

    def __init__(self, case, answer, tls=None):
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_one(self):
                length = int(self.headers.get("Content-Length") or 0)
                self.body = self.rfile.read(length)
                with outer.lock:
                    outer.requests.append(Request(self))
                    reply = answer(outer.requests[-1])
                status, headers, body = reply
                body = body if isinstance(body, bytes) else body.encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_HEAD = do_PATCH = do_DELETE = handle_one

        self.lock = threading.Lock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls[:2])
            if len(tls) > 2:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(tls[2])
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.host = "127.0.0.1:%d" % self.port
        self.url = "%s://%s" % ("https" if tls else "http", self.host)
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        case.addCleanup(self.server.server_close)
        case.addCleanup(self.server.shutdown)


class Request:
    def __init__(self, handler):
        self.method, self.path = handler.command, handler.path
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = handler.body


def as_json(status, document, **headers):
    return status, {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}, json.dumps(
        document)


def run(*argv, **options):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=300, **options)
    assert done.returncode == 0, "%s: %s" % (" ".join(argv), done.stdout)
    return done.stdout


class Authority:
    """A certificate authority of the test's own, and what it signs for 127.0.0.1 and localhost."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.ca, self.ca_key = self.path("ca.crt"), self.path("ca.key")
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.ca_key, "-out", self.ca, "-days", "2",
            "-subj", "/CN=the tests' authority")

    def path(self, name):
        return os.path.join(self.folder, name)

    def sign(self, name, subject="/CN=localhost"):
        key, request, certificate = self.path(name + ".key"), self.path(name + ".csr"), self.path(name + ".crt")
        names = self.path("names")
        with open(names, "w") as file:
            file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", subject)
        run("openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial", "-out",
            certificate, "-days", "2", "-extfile", names)
        return certificate, key


class DockerRegistry:
    """Debian's docker-registry with a configuration of the test's own; `url` is where it listens."""

    def __init__(self, case, name="registry", tls=None, auth=None):
        program = shutil.which("docker-registry") or shutil.which("docker-registry", path="/usr/bin")
        if program is None:
            skip_all("there is no docker-registry on this machine (Debian: docker-registry)")
        folder = os.path.join(case.folder, name)
        os.makedirs(folder)
        self.start(case, program, folder, tls, auth)
        self.host = "127.0.0.1:%d" % self.port
        self.url = "%s://%s" % ("https" if tls else "http", self.host)

    def start(self, case, program, folder, tls, auth):
        settings = {"version": "0.1", "log": {"level": "info"}, "storage": {"filesystem": {"rootdirectory": folder + "/data"},
                                                                          "delete": {"enabled": True}},
                    "http": {"addr": "127.0.0.1:0", "secret": "x"}}
        if tls:
            settings["http"]["tls"] = {"certificate": tls[0], "key": tls[1]}
            if len(tls) > 2:
                settings["http"]["tls"]["clientcas"] = [tls[2]]
        if auth:
            settings["auth"] = auth
        path = os.path.join(folder, "config.yml")
        with open(path, "w") as file:
            json.dump(settings, file)  # JSON is YAML
        self.log = os.path.join(folder, "log")
        with open(self.log, "w") as log:
            process = subprocess.Popen([program, "serve", path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                       universal_newlines=True)
        # It says on its log where it listens; reading on keeps the pipe from filling.
        ready = threading.Event()
        self.port = 0

        def follow():
            with open(self.log, "a") as log:
                for line in process.stderr:
                    log.write(line)
                    log.flush()
                    place = re.search(r"listening on 127\.0\.0\.1:(\d+)", line)
                    if place:
                        self.port = int(place.group(1))
                        ready.set()
            ready.set()

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()

        def stop():
            process.terminate()
            process.wait()
            thread.join()
            process.stderr.close()

        case.addCleanup(stop)
        ready.wait(60)
        if self.port == 0:
            with open(self.log) as log:
                raise AssertionError(log.read())


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def push_small_image(url, repository, tag, context=None, headers=None, content=b"hello"):
    """Puts an image of one layer into a registry by plain HTTP; returns (manifest digest, config digest)."""

    def call(method, path, data=None, kind="application/octet-stream"):
        request = urllib.request.Request(url + path if path.startswith("/") else path, data=data, method=method,
                                         headers={"Content-Type": kind, **(headers or {})})
        return urllib.request.urlopen(request, context=context, timeout=60)

    def put_blob(data):
        location = call("POST", "/v2/%s/blobs/uploads/" % repository, b"").headers["Location"]
        location += ("&" if "?" in location else "?") + "digest=" + digest_of(data)
        call("PUT", location, data)
        return {"mediaType": "", "size": len(data), "digest": digest_of(data)}

    layer = {**put_blob(content), "mediaType": "application/vnd.docker.image.rootfs.diff.tar"}
    document = json.dumps({"architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z", "config": {},
                           "rootfs": {"type": "layers", "diff_ids": [digest_of(content)]}}).encode()
    config = {**put_blob(document), "mediaType": "application/vnd.docker.container.image.v1+json"}
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}).encode()
    call("PUT", "/v2/%s/manifests/%s" % (repository, tag), manifest, kind)
    return digest_of(manifest), config["digest"]


def main():
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:], verbosity=2)
