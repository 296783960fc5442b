# SPDX-License-Identifier: BSD-3-Clause
"""The plugin ecr against moto, which answers AWS's real APIs, with a real docker-registry as its data side; and against a
server that plays an AWS in trouble."""
from servers import *

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAMOTO", "AWS_SECRET_ACCESS_KEY": "moto/secret+key"}
TARGET = "AmazonEC2ContainerRegistry_V20150921."


def start_moto(case):
    folder = os.path.join(case.shared, "moto")
    done = subprocess.run(["sh", os.path.join(TESTS, "registries", "moto.sh"), "install", folder])
    if done.returncode == 77:
        skip_all("moto cannot be had here")
    assert done.returncode == 0
    process = subprocess.Popen([folder + "/moto_server", "-H", "127.0.0.1", "-p", "0"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, universal_newlines=True, env={"PATH": os.environ["PATH"]})
    said = []
    for line in process.stderr:  # ends when the server does
        said.append(line)
        place = re.search(r"Running on (http://127\.0\.0\.1:\d+)", line)
        if place:
            break
    else:
        raise AssertionError("".join(said))
    thread = threading.Thread(target=lambda: [None for _ in process.stderr], daemon=True)
    thread.start()

    def stop():
        process.terminate()
        process.wait()
        thread.join()
        process.stderr.close()

    case.addClassCleanup(stop)
    return place.group(1)


class Moto(Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="descpipe-registries-")
        cls.addClassCleanup(shutil.rmtree, cls.shared, True)
        cls.url = start_moto(cls)

    def setUp(self):
        super().setUp()
        self.environment.update(KEYS)
        urllib.request.urlopen(urllib.request.Request(self.url + "/moto-api/reset", method="POST", data=b""))
        self.options = {"region": "eu-north-1", "endpoint": self.url, "sts-endpoint": self.url}

    def aws(self, action, body, region="eu-north-1"):
        """Asks moto as anybody would: it checks no signatures, but reads the region out of one."""
        request = urllib.request.Request(self.url, data=json.dumps(body).encode(), headers={
            "X-Amz-Target": TARGET + action, "Content-Type": "application/x-amz-json-1.1",
            "Authorization": "AWS4-HMAC-SHA256 Credential=X/20260101/%s/ecr/aws4_request, SignedHeaders=host, Signature=0" % region})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def repositories(self, region="eu-north-1"):
        return {r["repositoryName"]: r for r in self.aws("DescribeRepositories", {}, region)["repositories"]}

    def test_the_account_comes_from_aws(self):
        answer = self.ask("ecr", "normalize", "joe/shear:1", options=self.options).one
        self.assertEqual(answer.reference, "123456789012.dkr.ecr.eu-north-1.amazonaws.com/joe/shear:1", answer)

    def test_a_token_that_has_ended_is_told_and_not_kept(self):
        reference = "123456789012.dkr.ecr.eu-north-1.amazonaws.com/joe/shear:1"
        asked = self.ask("ecr", "credentials", reference, "pull", options=self.options)
        self.assertEqual(asked.one.username, "AWS")
        self.assertLess(int(asked.one.expires), time.time() * 1000)  # moto's tokens ended in 2015
        self.assertIn("is the clock right?", asked.stderr)
        kept = [name for _, _, names in os.walk(self.environment["XDG_CACHE_HOME"]) for name in names if name.startswith("token")]
        self.assertEqual(kept, [])

    def test_a_repository_is_made_once(self):
        reference = "123456789012.dkr.ecr.eu-north-1.amazonaws.com/joe/shear:1"
        for _ in range(2):  # the second time it is there already
            answer = self.ask("ecr", "ensure", reference, options=self.options).one
            self.assertEqual(answer.kind, 0, answer)
        made = self.repositories()["joe/shear"]
        self.assertEqual((made["imageTagMutability"], made["imageScanningConfiguration"]["scanOnPush"]), ("MUTABLE", False))
        answer = self.ask("ecr", "ensure", reference.replace("shear", "strict"),
                          options={**self.options, "immutable-tags": "true", "scan-on-push": "true"}).one
        made = self.repositories()["joe/strict"]
        self.assertEqual((made["imageTagMutability"], made["imageScanningConfiguration"]["scanOnPush"]), ("IMMUTABLE", True))
        self.ask("ecr", "ensure", reference.replace("shear", "never"), options={**self.options, "create-repositories": "false"})
        self.assertNotIn("joe/never", self.repositories())

    def test_the_region_of_a_reference_counts(self):
        reference = "123456789012.dkr.ecr.us-west-2.amazonaws.com/joe/shear:1"
        self.assertEqual(self.ask("ecr", "ensure", reference, options=self.options).one.kind, 0)
        self.assertIn("joe/shear", self.repositories("us-west-2"))
        self.assertNotIn("joe/shear", self.repositories("eu-north-1"))

    def test_a_role_of_sts(self):
        files = {"AWS_CONFIG_FILE": self.write("config", "[profile r]\nrole_arn=arn:aws:iam::123456789012:role/sky\n"
                                                         "credential_source=Environment\n")}
        asked = self.ask("ecr", "credentials", "123456789012.dkr.ecr.eu-north-1.amazonaws.com/joe/shear:1", "push",
                         options={**self.options, "profile": "r"}, **files)
        self.assertIn("role arn:aws:iam::123456789012:role/sky by AWS_ACCESS_KEY_ID", asked.one.origin or str(asked.one))
        self.assert_hidden(asked, KEYS["AWS_SECRET_ACCESS_KEY"])

    def test_the_data_side_is_a_registry(self):
        # The registry knows the password that moto's token holds.
        password = self.ask("ecr", "credentials", "123456789012.dkr.ecr.eu-north-1.amazonaws.com/x:1", "pull",
                            options=self.options).one.password
        table = os.path.join(self.folder, "htpasswd")
        subprocess.run(["htpasswd", "-iBc", "-C", "4", table, "AWS"], input=password.encode(), check=True, stderr=subprocess.DEVNULL)
        registry = DockerRegistry(self, auth={"htpasswd": {"realm": "ecr", "path": table}})
        basic = {"Authorization": "Basic " + base64.b64encode(("AWS:" + password).encode()).decode()}
        options = {**self.options, "data-host": registry.host}
        reference = self.ask("ecr", "normalize", "joe/shear:1", options=options).one.reference
        self.assertEqual(reference, registry.host + "/joe/shear:1")
        self.assertEqual(self.ask("ecr", "ensure", reference, options=options).one.kind, 0)
        self.assertIn("joe/shear", self.repositories())
        manifest, config = push_small_image(registry.url, "joe/shear", "1", headers=basic)
        asked = self.ask("ecr", "resolve", reference, options=options)
        self.assertEqual((asked.one.manifest, asked.one.config), (manifest, config), asked.one)
        self.assertEqual(self.ask("ecr", "tags", reference, options=options).one.texts, ["1"])
        self.assert_hidden(asked, password)


class Trouble(Case):
    """What moto does not do."""

    def setUp(self):
        super().setUp()
        self.environment.update(KEYS)
        self.script = []
        self.server = Server(self, self.answer)
        self.options = {"region": "eu-north-1", "endpoint": self.server.url}

    def answer(self, request):
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def credentials(self):
        asked = self.ask("ecr", "credentials", "123456789012.dkr.ecr.eu-north-1.amazonaws.com/x:1", "pull", options=self.options)
        self.assert_hidden(asked, KEYS["AWS_SECRET_ACCESS_KEY"], "hidden-token")
        return asked.one

    def good(self):
        return as_json(200, {"authorizationData": [{"authorizationToken": base64.b64encode(b"AWS:hidden-token").decode(),
                                                    "expiresAt": time.time() + 43200}]})

    def error(self, status, code, words="so it is"):
        return as_json(status, {"__type": code, "message": words})

    def test_busy_is_asked_again(self):
        self.script = [self.error(400, "ThrottlingException"), (503, {}, "<html>"), self.good()]
        self.assertEqual(self.credentials().username, "AWS")
        self.assertEqual(len(self.server.requests), 3)

    def test_always_busy_ends(self):
        self.script = [(429, {"Retry-After": "0"}, "")]
        self.assert_failed(self.credentials(), LATER, "GetAuthorizationToken", self.server.url, "try again later")
        self.assertLess(len(self.server.requests), 10)

    def test_no_is_not_repeated_and_names_the_keys(self):
        for code, hint in [("UnrecognizedClientException", "aws configure"), ("ExpiredTokenException", "have ended"),
                           ("InvalidSignatureException", "clock"), ("AccessDeniedException", "permission")]:
            with self.subTest(code=code):
                del self.server.requests[:]
                self.script = [self.error(400, code, "for\r\nthese \x1b[31m reasons")]
                answer = self.credentials()
                self.assert_failed(answer, NEEDS_LOGIN, code, hint, "AWS_ACCESS_KEY_ID in the environment", "reasons")
                self.assertNotIn("\x1b", answer.message)
                self.assertEqual(len(self.server.requests), 1)

    def test_answers_that_are_none(self):
        for reply in [(200, {}, "hello"), (200, {}, "[]"), (200, {}, '{"authorizationData":[]}'), (200, {}, "{" * 100000),
                      (200, {}, "x" * (300 << 10)), (200, {}, ""), (204, {}, "")]:
            with self.subTest(reply=reply[2][:20]):
                self.script = [reply]
                self.assertEqual(self.credentials().kind, REFUSED)

    def test_a_redirect_gets_no_signature(self):
        thief = Server(self, lambda request: self.good())
        self.script = [(307, {"Location": thief.url + "/"}, "")]
        self.assertNotEqual(self.credentials().kind, 0)
        self.assertEqual(thief.requests, [])

    def test_who_may_not_create_may_still_push(self):
        self.script = [self.error(400, "AccessDeniedException", "not CreateRepository")]
        asked = self.ask("ecr", "ensure", "123456789012.dkr.ecr.eu-north-1.amazonaws.com/x:1", options=self.options)
        self.assertEqual(asked.one.kind, 0)
        self.assertIn("CreateRepository", asked.stderr)

    def test_a_token_that_the_registry_refuses_is_fetched_anew(self):
        self.script = [self.good()]
        data = Server(self, lambda request: (401, {"WWW-Authenticate": 'Basic realm="x"'}, ""))
        options = {**self.options, "data-host": data.host}
        for _ in range(2):
            asked = self.ask("ecr", "resolve", data.host + "/x:1", options=options)
            self.assert_failed(asked.one, NEEDS_LOGIN)
            self.assert_hidden(asked, "hidden-token")
        self.assertEqual(len(self.server.requests), 2)

    def test_an_endpoint_that_is_not_there(self):
        self.options["endpoint"] = "http://127.0.0.1:1"
        self.script = [None]
        self.assert_failed(self.credentials(), CANNOT_ASK, "GetAuthorizationToken", "check the network")

    def test_an_authority_of_the_sites_own(self):
        authority = Authority(os.path.join(self.folder, "authority"))
        secured = Server(self, self.answer, authority.sign("aws"))
        self.script = [self.good()]
        self.options["endpoint"] = secured.url
        answer = self.credentials()
        self.assertNotEqual(answer.kind, 0)
        self.assertIn("AWS_CA_BUNDLE", answer.hint)
        self.assertEqual(secured.requests, [])
        self.options["ca"] = authority.ca
        self.assertEqual(self.credentials().username, "AWS")
        del self.options["ca"]
        self.environment["AWS_CA_BUNDLE"] = authority.ca
        shutil.rmtree(self.environment["XDG_CACHE_HOME"])
        self.assertEqual(self.credentials().username, "AWS")
        self.assertEqual(len(secured.requests), 2)

    def test_login_is_no_business_of_people(self):
        answer = self.ask("ecr", "login", "123456789012.dkr.ecr.eu-north-1.amazonaws.com", "AWS", stdin="x\n").one
        self.assert_failed(answer, UNSUPPORTED, "aws configure")


if __name__ == "__main__":
    main()
