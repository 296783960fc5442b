# SPDX-License-Identifier: BSD-3-Clause
"""The plugin dockerhub against a server that plays Docker Hub: registry and token service with TLS of the test's own
authority, and its limits on pulls."""
import urllib.parse

from servers import *

if shutil.which("openssl") is None:
    skip_all("there is no openssl on this machine")
KIND = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z", "config": {},
                     "rootfs": {"type": "layers", "diff_ids": []}}).encode()
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": KIND, "layers": [], "config": {
    "mediaType": "application/vnd.docker.container.image.v1+json", "size": len(CONFIG), "digest": digest_of(CONFIG)}}).encode()


class Hub(Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="descpipe-registries-")
        cls.addClassCleanup(shutil.rmtree, cls.shared, True)
        cls.authority = Authority(os.path.join(cls.shared, "authority"))
        cls.tls = cls.authority.sign("hub")

    def setUp(self):
        super().setUp()
        self.left, self.limit_headers, self.private = 76, True, False
        self.service = Server(self, self.give_token, self.tls)
        self.hub = Server(self, self.answer, self.tls)
        self.options = {"endpoint": self.hub.url, "ca": self.authority.ca}

    def give_token(self, request):
        given = request.headers.get("authorization")
        if given not in (None, "Basic " + base64.b64encode(b"joe:personal-token").decode()):
            return as_json(401, {"details": "incorrect username or password"})
        return as_json(200, {"token": "joes-token" if given else "anybodys-token", "expires_in": 300})

    def limits(self, request):
        joe = request.headers.get("authorization") == "Bearer joes-token"
        if not self.limit_headers:
            return {}
        return {"ratelimit-limit": "200;w=21600" if joe else "100;w=21600",
                "ratelimit-remaining": "%d;w=21600" % (199 if joe else self.left),
                "docker-ratelimit-source": "3f2a-joe" if joe else "192.0.2.7"}

    def answer(self, request):
        given = request.headers.get("authorization")
        if given not in ("Bearer anybodys-token", "Bearer joes-token") or (self.private and given != "Bearer joes-token"):
            scope = 'scope="repository:library/ubuntu:pull"' if "ubuntu" in request.path else 'scope="repository:x/y:pull"'
            return 401, {"WWW-Authenticate": 'Bearer realm="%s/token",service="registry.docker.io",%s' % (self.service.url, scope)}, ""
        if request.path == "/v2/":
            return 200, {}, "{}"
        limited = given != "Bearer joes-token" and self.left == 0
        if "/manifests/" in request.path:
            if limited and "ratelimitpreview" not in request.path:
                headers = {**self.limits(request), "Content-Type": "application/json", "Retry-After": "86400"}
                return 429, headers, json.dumps({"errors": [{"code": "TOOMANYREQUESTS",
                                                             "message": "You have reached your pull rate limit."}]})
            headers = {**self.limits(request), "Content-Type": KIND, "Docker-Content-Digest": digest_of(MANIFEST),
                       "Content-Length": str(len(MANIFEST))}
            return 200, headers, MANIFEST
        if "/blobs/" in request.path:
            return 200, {"Content-Type": "application/octet-stream"}, CONFIG
        return 404, {}, ""

    def login_as_joe(self):
        self.write("home/.docker/config.json", json.dumps(
            {"auths": {"https://index.docker.io/v1/": {"auth": base64.b64encode(b"joe:personal-token").decode()}}}))

    def test_an_official_image_for_anybody(self):
        answer = self.ask("dockerhub", "resolve", "docker.io/library/ubuntu:22.04", options=self.options).one
        self.assertEqual(answer.manifest, digest_of(MANIFEST), answer)
        scopes = [dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(r.path).query)).get("scope") for r in self.service.requests]
        self.assertIn("repository:library/ubuntu:pull", scopes)
        self.assertEqual({r.headers.get("authorization") for r in self.service.requests}, {None})

    def test_an_account_of_dockers_own_config(self):
        self.private = True
        reference = "docker.io/joe/shear:1"
        answer = self.ask("dockerhub", "resolve", reference, options=self.options).one
        self.assert_failed(answer, NEEDS_LOGIN)
        self.login_as_joe()
        asked = self.ask("dockerhub", "resolve", reference, options=self.options)
        self.assertEqual(asked.one.manifest, digest_of(MANIFEST), asked.one)
        self.assert_hidden(asked, "personal-token", "joes-token")
        credential = self.ask("dockerhub", "credentials", reference, "pull", options=self.options).one
        self.assertEqual((credential.username, credential.password, credential.endpoint),
                         ("joe", "personal-token", self.hub.url))

    def test_the_endpoint_is_dockers_when_nobody_says_otherwise(self):
        credential = self.ask("dockerhub", "credentials", "docker.io/joe/shear:1", "pull").one
        self.assertEqual((credential.endpoint, credential.access), ("https://registry-1.docker.io", "0"))

    def test_login_is_kept_as_docker_keeps_it(self):
        asked = self.ask("dockerhub", "login", "docker.io", "joe", options=self.options, stdin="wrong-token\n")
        self.assert_failed(asked.one, NEEDS_LOGIN)
        self.assert_hidden(asked, "wrong-token")
        asked = self.ask("dockerhub", "login", "index.docker.io", "joe", options=self.options, stdin="personal-token\n")
        self.assertEqual(asked.one.kind, 0, asked.one)
        with open(self.home + "/.docker/config.json") as file:
            auths = json.load(file)["auths"]
        self.assertEqual(list(auths), ["https://index.docker.io/v1/"])
        self.assertEqual(self.ask("dockerhub", "logout", "docker.io", options=self.options).one.kind, 0)

    def test_the_limit_is_told(self):
        probe = self.ask("dockerhub", "probe", options=self.options).one
        self.assertEqual((probe.login, probe.limit),
                         ("none (anonymous)", "100 pulls in 6 h for this address (192.0.2.7), 76 left"), probe)
        self.login_as_joe()
        probe = self.ask("dockerhub", "probe", options=self.options).one
        self.assertEqual(probe.limit, "200 pulls in 6 h for this account (3f2a-joe), 199 left", probe)
        self.limit_headers = False
        self.assertEqual(self.ask("dockerhub", "probe", options=self.options).one.limit, "none told")
        self.assertEqual({r.method for r in self.hub.requests if "manifests" in r.path}, {"HEAD"})  # costs no pull

    def test_a_reached_limit_says_whose_and_what_helps(self):
        self.left = 0
        answer = self.ask("dockerhub", "resolve", "docker.io/library/ubuntu:22.04", options=self.options).one
        self.assert_failed(answer, LATER, "100 pulls in 6 h for this address (192.0.2.7), 0 left", "descpipe login docker.io",
                           "within 6 h")
        self.login_as_joe()
        answer = self.ask("dockerhub", "resolve", "docker.io/library/ubuntu:22.04", options=self.options).one
        self.assertEqual(answer.manifest, digest_of(MANIFEST), answer)


if __name__ == "__main__":
    main()
