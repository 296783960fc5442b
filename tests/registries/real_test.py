# SPDX-License-Identifier: BSD-3-Clause
"""The plugin oci against a real docker-registry: plain, with htpasswd over TLS of an authority of its own, with client
certificates, and with tokens that the test's own token service signs."""
import urllib.parse

from servers import *

for program in ("openssl", "htpasswd"):
    if shutil.which(program) is None:
        skip_all("there is no %s on this machine (Debian: openssl, apache2-utils)" % program)
PASSWORD = 'sky"blue\\ü9'


def encode(document):
    raw = document if isinstance(document, bytes) else json.dumps(document, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class Real(Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="descpipe-registries-")
        cls.addClassCleanup(shutil.rmtree, cls.shared, True)
        cls.authority = Authority(os.path.join(cls.shared, "authority"))
        cls.certificate, cls.key = cls.authority.sign("server")

    def trust(self):
        return ssl.create_default_context(cafile=self.authority.ca)

    def htpasswd(self):
        path = os.path.join(self.folder, "htpasswd")
        done = subprocess.run(["htpasswd", "-iBc", "-C", "4", path, "joe"], input=PASSWORD.encode(), stderr=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0)
        return {"htpasswd": {"realm": "the sky", "path": path}}

    def basic(self):
        return {"Authorization": "Basic " + base64.b64encode(("joe:" + PASSWORD).encode()).decode()}

    def docker_config(self, host, password=PASSWORD, **more):
        self.write("home/.docker/config.json", json.dumps(
            {"auths": {host: {"auth": base64.b64encode(("joe:" + password).encode()).decode()}}, **more}))

    # ---- plain ----

    def test_plain_on_this_machine(self):
        registry = DockerRegistry(self)
        manifest, config = push_small_image(registry.url, "joe/shear", "1.0")
        push_small_image(registry.url, "joe/shear", "1.1")
        answer = self.ask("oci", "resolve", registry.host + "/joe/shear:1.0").one
        self.assertEqual((answer.manifest, answer.config, answer.platform), (manifest, config, "linux/amd64"), answer)
        self.assertEqual(answer.created, "1767323045000")
        self.assertEqual(sorted(self.ask("oci", "tags", registry.host + "/joe/shear").one.texts), ["1.0", "1.1"])
        by_digest = self.ask("oci", "resolve", registry.host + "/joe/shear@" + manifest).one
        self.assertEqual(by_digest.config, config)
        answer = self.ask("oci", "resolve", registry.host + "/joe/shear:2.0").one
        self.assert_failed(answer, NOT_FOUND, "1.0", "1.1")
        probe = self.ask("oci", "probe", options={"host": registry.host}).one
        self.assertEqual((probe.reached, probe.login, probe.encryption), ("yes", "none (anonymous)", "none (plain http)"))
        credential = self.ask("oci", "credentials", registry.host + "/joe/shear:1.0", "pull").one
        self.assertEqual((credential.username, credential.access), (None, "1"), credential)

    def test_a_project_takes_the_place_of_the_owner(self):
        registry = DockerRegistry(self)
        manifest, _ = push_small_image(registry.url, "sky/shear", "1.0")
        options = {"host": registry.host, "project": "sky"}
        reference = self.ask("oci", "normalize", "joe/shear:1.0", options=options).one.reference
        self.assertEqual(self.ask("oci", "resolve", reference, options=options).one.manifest, manifest)

    # ---- htpasswd over TLS ----

    def secured(self):
        registry = DockerRegistry(self, tls=(self.certificate, self.key), auth=self.htpasswd())
        self.image = push_small_image(registry.url, "joe/shear", "1.0", self.trust(), self.basic())
        self.reference = registry.host + "/joe/shear:1.0"
        self.options = {"host": registry.host, "ca": self.authority.ca}
        return registry

    def resolve(self, options=None, **environment):
        asked = self.ask("oci", "resolve", self.reference, options=options if options is not None else self.options, **environment)
        self.assert_hidden(asked, PASSWORD, base64.b64encode(("joe:" + PASSWORD).encode()).decode())
        return asked.one

    def test_every_place_a_login_may_be_kept_in(self):
        registry = self.secured()
        auths = json.dumps({"auths": {registry.host: {"username": "joe", "password": PASSWORD}}})
        own = self.write("own.json", auths)
        helper = self.write("bin/docker-credential-sky", "#!/bin/sh\nread host\n[ \"$1 $host\" = 'get %s' ] && cat %s\n" % (
            registry.host, self.write("said", json.dumps({"ServerURL": registry.host, "Username": "joe", "Secret": PASSWORD}))),
            0o700)
        helped = {"PATH": os.path.dirname(helper) + ":" + self.environment["PATH"]}
        for where, options, environment, config, origin in [
                ("options", {"username": "joe", "password": "{secret: HIDDEN}"}, {"HIDDEN": PASSWORD}, None, "the option"),
                ("DOCKER_AUTH_CONFIG", {}, {"DOCKER_AUTH_CONFIG": auths}, None, "DOCKER_AUTH_CONFIG"),
                ("CI_REGISTRY", {}, {"CI_REGISTRY": registry.host, "CI_REGISTRY_USER": "joe", "CI_REGISTRY_PASSWORD": PASSWORD},
                 None, "CI_REGISTRY_USER"),
                ("docker-config", {"docker-config": own}, {}, None, own),
                ("DOCKER_CONFIG", {}, {"DOCKER_CONFIG": self.folder + "/other"}, "other/config.json", "other/config.json"),
                ("home", {}, {}, "home/.docker/config.json", ".docker/config.json"),
                ("credHelpers", {}, helped, {"credHelpers": {registry.host: "sky"}}, "docker-credential-sky"),
                ("credsStore", {}, helped, {"credsStore": "sky"}, "docker-credential-sky"),
        ]:
            with self.subTest(where=where):
                if isinstance(config, dict):
                    self.write("home/.docker/config.json", json.dumps(config))
                elif config:
                    self.write(config, auths)
                all_options = {**self.options, **options}
                self.assertEqual(self.resolve(all_options, **environment).manifest, self.image[0])
                credential = self.ask("oci", "credentials", self.reference, "push", options=all_options, **environment).one
                self.assertEqual((credential.username, credential.password), ("joe", PASSWORD))
                self.assertIn(origin, credential.origin)
                self.assertEqual(credential.ca, self.authority.ca)
                shutil.rmtree(self.home + "/.docker", True)

    def test_a_wrong_login_is_named_by_its_place(self):
        registry = self.secured()
        self.assert_failed(self.resolve(), NEEDS_LOGIN, "without a login")
        self.docker_config(registry.host, "wrong-password")
        asked = self.ask("oci", "resolve", self.reference, options=self.options)
        self.assert_failed(asked.one, NEEDS_LOGIN, "joe", self.home + "/.docker/config.json")
        self.assert_hidden(asked, "wrong-password", base64.b64encode(b"joe:wrong-password").decode())

    def test_a_login_is_not_given_to_another_registry(self):
        self.secured()
        thief = Server(self, lambda request: (401, {"WWW-Authenticate": 'Basic realm="x"'}, ""))
        self.ask("oci", "resolve", thief.host + "/joe/shear:1", HIDDEN=PASSWORD,
                 options={**self.options, "username": "joe", "password": "{secret: HIDDEN}"})
        self.assertGreater(len(thief.requests), 0)
        self.assertEqual([r.headers.get("authorization") for r in thief.requests], [None] * len(thief.requests))

    def test_the_authority_is_found_or_named(self):
        registry = self.secured()
        self.docker_config(registry.host)
        folder = os.path.join(self.folder, "certs.d", registry.host)
        os.makedirs(folder)
        shutil.copy(self.authority.ca, folder + "/ca.crt")
        options = {"certificates": os.path.dirname(folder)}
        self.assertEqual(self.resolve(options).manifest, self.image[0])
        home = os.path.join(self.home, ".config/docker/certs.d", registry.host)
        shutil.copytree(folder, home)
        self.assertEqual(self.resolve({}).manifest, self.image[0])
        shutil.rmtree(home)
        stranger = Authority(os.path.join(self.folder, "stranger"))
        answer = self.resolve({"host": registry.host, "ca": stranger.ca})
        self.assertNotEqual(answer.kind, 0)
        self.assert_failed(answer, answer.kind, stranger.ca)
        answer = self.resolve({"host": registry.host, "plain-http": "false"})
        self.assertNotEqual(answer.kind, 0)
        self.assertEqual(self.resolve({"host": registry.host, "unverified-tls": "true"}).manifest, self.image[0])

    def test_login_tries_then_keeps_and_logout_forgets(self):
        registry = self.secured()
        config = self.home + "/.docker/config.json"
        asked = self.ask("oci", "login", registry.host, "joe", options=self.options, stdin="wrong-one\n")
        self.assert_failed(asked.one, NEEDS_LOGIN)
        self.assert_hidden(asked, "wrong-one")
        self.assertFalse(os.path.exists(config))
        asked = self.ask("oci", "login", registry.host, "joe", options=self.options, stdin=PASSWORD + "\n")
        self.assertEqual(asked.one.kind, 0, asked.one)
        self.assertIn(config, asked.one.texts[0])
        self.assert_hidden(asked, PASSWORD)
        self.assertEqual(os.stat(config).st_mode & 0o777, 0o600)
        kept = self.read_json(config)["auths"][registry.host]["auth"]
        self.assertEqual(base64.b64decode(kept).decode(), "joe:" + PASSWORD)
        self.assertEqual(self.resolve().manifest, self.image[0])
        self.assertEqual(self.ask("oci", "logout", registry.host, options=self.options).one.kind, 0)
        self.assertNotIn(registry.host, self.read_json(config).get("auths", {}))
        self.assert_failed(self.ask("oci", "logout", registry.host, options=self.options).one, NOT_FOUND)

    # ---- client certificates ----

    def test_our_own_certificate(self):
        ours = self.authority.sign("us", "/CN=joe")
        registry = DockerRegistry(self, tls=(self.certificate, self.key, self.authority.ca))
        context = self.trust()
        context.load_cert_chain(*ours)
        manifest, _ = push_small_image(registry.url, "joe/shear", "1.0", context)
        self.reference = registry.host + "/joe/shear:1.0"
        options = {"host": registry.host, "ca": self.authority.ca, "client-certificate": ours[0], "client-key": ours[1]}
        self.assertEqual(self.resolve(options).manifest, manifest)
        without = self.resolve({"host": registry.host, "ca": self.authority.ca})
        self.assert_failed(without, NEEDS_LOGIN, "'%s' wants a certificate of ours" % registry.host, "`client-key`")
        stranger = Authority(os.path.join(self.folder, "stranger")).sign("stranger", "/CN=nobody")
        other = self.resolve({**options, "client-certificate": stranger[0], "client-key": stranger[1]})
        self.assert_failed(other, NEEDS_LOGIN, "does not take our certificate '%s'" % stranger[0])
        self.assert_failed(self.resolve({**options, "client-key": "/nowhere/key"}), REFUSED, "'client-key': cannot read '/nowhere/key'")
        self.assert_failed(self.resolve({**options, "ca": "/nowhere/ca"}), REFUSED, "'ca': cannot read '/nowhere/ca'")
        folder = os.path.join(self.folder, "certs.d", registry.host)
        os.makedirs(folder)
        shutil.copy(self.authority.ca, folder + "/ca.crt")
        shutil.copy(ours[0], folder + "/client.cert")
        self.assert_failed(self.resolve({"certificates": os.path.dirname(folder)}), REFUSED, "has no key beside it")
        shutil.copy(ours[1], folder + "/client.key")
        self.assertEqual(self.resolve({"certificates": os.path.dirname(folder)}).manifest, manifest)

    def test_a_certificate_that_is_wanted_in_other_words(self):
        options = {"ca": self.authority.ca}
        asks_above = Server(self, lambda request: (400, {"Content-Type": "text/html"}, "<html>No required SSL certificate was sent</html>"),
                            tls=(self.certificate, self.key))
        self.reference = asks_above.host + "/joe/shear:1.0"
        self.assert_failed(self.resolve({**options, "host": asks_above.host}), REFUSED, "answered 400", "`client-certificate`")
        older = Server(self, lambda request: (200, {}, ""), tls=(self.certificate, self.key, self.authority.ca))
        older.server.socket.context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.reference = older.host + "/joe/shear:1.0"
        self.assert_failed(self.resolve({**options, "host": older.host}), CANNOT_ASK, "broke off the TLS handshake", "`client-certificate`")

    # ---- tokens ----

    def token_answer(self, request):
        url = urllib.parse.urlsplit(request.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        given = request.headers.get("authorization", "")
        known = given == self.basic()["Authorization"] or form.get("password") == PASSWORD or \
            form.get("refresh_token") == "identity-token"
        if (given or form) and not known:
            return as_json(401, {"errors": [{"code": "UNAUTHORIZED", "message": "who?"}]})
        access = []
        for scope in (query.get("scope") or form.get("scope") or "").split():
            kind, name, actions = scope.split(":")
            allowed = [action for action in actions.split(",") if known or (action == "pull" and name.startswith("open/"))]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        certificate = run("openssl", "x509", "-in", self.certificate, "-outform", "PEM")
        der = "".join(line for line in certificate.splitlines() if not line.startswith("-"))
        head = encode({"typ": "JWT", "alg": "RS256", "x5c": [der]})
        claims = encode({"iss": "the tests", "sub": "joe", "aud": "the registry", "exp": now + 300, "nbf": now - 10, "iat": now,
                         "jti": "1", "access": access})
        done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=(head + "." + claims).encode(),
                              stdout=subprocess.PIPE, check=True)
        token = "%s.%s.%s" % (head, claims, encode(done.stdout))
        return as_json(200, {"token": token, "access_token": token, "expires_in": 300})

    def with_tokens(self):
        self.service = Server(self, self.token_answer, tls=(self.certificate, self.key))
        registry = DockerRegistry(self, tls=(self.certificate, self.key), auth={"token": {
            "realm": self.service.url + "/token", "service": "the registry", "issuer": "the tests",
            "rootcertbundle": self.authority.ca}})
        self.options = {"host": registry.host, "ca": self.authority.ca}
        for repository in ("joe/shear", "open/shear"):
            scope = urllib.parse.quote("repository:%s:pull,push" % repository)
            request = urllib.request.Request(self.service.url + "/token?service=x&scope=" + scope, headers=self.basic())
            token = json.load(urllib.request.urlopen(request, context=self.trust()))["token"]
            self.image = push_small_image(registry.url, repository, "1.0", self.trust(), {"Authorization": "Bearer " + token})
        del self.service.requests[:]
        return registry

    def test_tokens(self):
        registry = self.with_tokens()
        self.reference = registry.host + "/open/shear:1.0"
        self.assertEqual(self.resolve().manifest, self.image[0])
        self.reference = registry.host + "/joe/shear:1.0"
        self.assert_failed(self.resolve(), NEEDS_LOGIN)
        self.docker_config(registry.host)
        self.assertEqual(self.resolve().manifest, self.image[0])
        self.assertEqual(self.ask("oci", "tags", registry.host + "/joe/shear", options=self.options).one.texts, ["1.0"])
        self.docker_config(registry.host, "wrong-password")
        self.assert_failed(self.resolve(), NEEDS_LOGIN, "joe")

    def test_an_identity_token(self):
        registry = self.with_tokens()
        self.write("home/.docker/config.json", json.dumps(
            {"auths": {registry.host: {"auth": base64.b64encode(b"joe:").decode(), "identitytoken": "identity-token"}}}))
        self.reference = registry.host + "/joe/shear:1.0"
        self.assertEqual(self.resolve().manifest, self.image[0])
        self.assertIn("POST", {request.method for request in self.service.requests})
        asked = self.ask("oci", "resolve", self.reference, options=self.options)
        self.assert_hidden(asked, "identity-token")

    def test_login_is_tried_at_the_token_service(self):
        registry = self.with_tokens()
        asked = self.ask("oci", "login", registry.host, "joe", options=self.options, stdin="wrong-one\n")
        self.assert_failed(asked.one, NEEDS_LOGIN)
        self.assertFalse(os.path.exists(self.home + "/.docker/config.json"))
        asked = self.ask("oci", "login", registry.host, "joe", options=self.options, stdin=PASSWORD + "\n")
        self.assertEqual(asked.one.kind, 0, asked.one)


if __name__ == "__main__":
    main()
