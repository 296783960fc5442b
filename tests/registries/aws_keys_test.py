# SPDX-License-Identifier: BSD-3-Clause
"""The plugin ecr and where AWS keys come from, against a server that plays ECR, STS, a container's endpoint and a machine's
metadata service. Every signed request is checked by botocore, which knows nothing of ours.
"""
import datetime
import stat
import urllib.parse

from servers import *

try:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
except ImportError:
    skip_all("there is no botocore for this Python (Debian: python3-botocore)")

IDS = {"AKIAENV": "env/secret+1", "AKIAFILE": "file-secret", "ASIAPROC": "process-secret", "ASIAWEB": "web-secret",
       "ASIAROLE": "role-secret", "ASIATWO": "second-role-secret", "ASIAPOD": "pod-secret", "ASIAEC2": "machine-secret",
       "AKIAOPT": "option-secret"}
TOKENS = {"ASIAPROC": "process-session", "ASIAWEB": "web-session", "ASIAROLE": "role-session", "ASIATWO": "two-session",
          "ASIAPOD": "pod-session", "ASIAEC2": "machine-session"}
SECRETS = list(IDS.values()) + list(TOKENS.values()) + ["web-identity-token", "pod-authorization", "imds-token", "ecr-password"]
HOST = "123456789012.dkr.ecr.eu-north-1.amazonaws.com"
REFERENCE = HOST + "/joe/shear:1"


def soon(hours=12):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def authorization(hours=12):
    token = base64.b64encode(b"AWS:ecr-password").decode()
    return {"authorizationData": [{"authorizationToken": token, "expiresAt": time.time() + hours * 3600,
                                   "proxyEndpoint": "https://" + HOST}]}


def keys_xml(key):
    return "<R><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken>" \
           "<Expiration>%s</Expiration></Credentials></R>" % (key, IDS[key], TOKENS[key], soon(1))


def keys_json(key, token="Token"):
    return {"Code": "Success", "AccessKeyId": key, "SecretAccessKey": IDS[key], token: TOKENS[key], "Expiration": soon(6)}


class Keys(Case):
    def setUp(self):
        super().setUp()
        self.actions, self.signers, self.wrong = [], [], []
        self.hours = 12
        self.server = Server(self, self.answer)
        self.options = {"region": "eu-north-1", "endpoint": self.server.url, "sts-endpoint": self.server.url}

    def check_signature(self, request):
        """Signs the same request with botocore and compares."""
        given = request.headers.get("authorization", "")
        parts = dict(part.split("=", 1) for part in given.replace("AWS4-HMAC-SHA256 ", "").split(", "))
        key, _, region, service, _ = parts["Credential"].split("/")
        signed = parts["SignedHeaders"].split(";")
        token = TOKENS.get(key)
        again = AWSRequest(method=request.method, url=self.server.url + request.path, data=request.body,
                           headers={name: request.headers[name] for name in signed})
        again.context["timestamp"] = request.headers["x-amz-date"]
        signer = SigV4Auth(Credentials(key, IDS.get(key, "?"), None), service, region)
        canonical = signer.canonical_request(again)
        expected = signer.signature(signer.string_to_sign(again, canonical), again)
        for name in request.headers:
            if name.startswith("x-amz-") and name not in signed:
                self.wrong.append("%s is not signed" % name)
        if token != request.headers.get("x-amz-security-token"):
            self.wrong.append("the session token of %s is %s" % (key, request.headers.get("x-amz-security-token")))
        if expected != parts["Signature"] or "host" not in signed or "content-type" not in signed:
            self.wrong.append("botocore signs %s otherwise:\n%s" % (given, canonical))
        self.signers.append((key, service, region))

    def answer(self, request):
        if request.path == "/":
            target = request.headers.get("x-amz-target", "")
            if target:
                self.check_signature(request)
                self.actions.append(target.split(".")[1])
                if target == "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken":
                    return as_json(200, authorization(self.hours))
                if target == "SpencerFrontendService.GetAuthorizationToken":
                    return as_json(200, {"authorizationData": authorization()["authorizationData"][0]})
            form = dict(urllib.parse.parse_qsl(request.body.decode()))
            self.actions.append(form.get("Action", "?") + " " + form.get("RoleArn", ""))
            self.form = form
            if form.get("Action") == "AssumeRoleWithWebIdentity" and form["WebIdentityToken"] == "web-identity-token":
                return 200, {"Content-Type": "text/xml"}, keys_xml("ASIAWEB")
            if form.get("Action") == "AssumeRole":
                self.check_signature(request)
                return 200, {}, keys_xml("ASIATWO" if form["RoleArn"].endswith("two") else "ASIAROLE")
        if request.path == "/pod" and request.headers.get("authorization") == "pod-authorization":
            return as_json(200, keys_json("ASIAPOD"))
        if request.path == "/latest/api/token" and request.method == "PUT":
            self.ttl = request.headers["x-aws-ec2-metadata-token-ttl-seconds"]
            return 200, {}, "imds-token"
        if request.path.startswith("/latest/meta-data/iam/security-credentials/"):
            if request.headers.get("x-aws-ec2-metadata-token") != "imds-token":
                return 401, {}, ""
            role = request.path.rsplit("/", 1)[1]
            return (200, {}, "sky-role\n") if role == "" else as_json(200, keys_json("ASIAEC2"))
        return 403, {}, "<E><Error><Code>AccessDenied</Code><Message>not so</Message></Error></E>"

    def login(self, options=None, reference=REFERENCE, purpose="pull", **environment):
        asked = self.ask("ecr", "credentials", reference, purpose, options={**self.options, **(options or {})}, **environment)
        self.assertEqual(self.wrong, [])
        self.assert_hidden(asked, *SECRETS)
        return asked.one

    def assert_login(self, answer, origin):
        self.assertEqual((answer.username, answer.password), ("AWS", "ecr-password"), answer)
        self.assertEqual(answer.origin, "AWS: " + origin)
        self.assertGreater(int(answer.expires), (time.time() + 11 * 3600) * 1000)

    def files(self, config="", credentials=""):
        return {"AWS_CONFIG_FILE": self.write("config", config), "AWS_SHARED_CREDENTIALS_FILE": self.write("credentials", credentials)}

    def test_keys_of_the_environment(self):
        answer = self.login(AWS_ACCESS_KEY_ID="AKIAENV", AWS_SECRET_ACCESS_KEY=IDS["AKIAENV"])
        self.assert_login(answer, "AWS_ACCESS_KEY_ID in the environment")
        self.assertEqual(self.signers, [("AKIAENV", "ecr", "eu-north-1")])

    def test_keys_of_the_options(self):
        answer = self.login({"access-key-id": "AKIAOPT", "secret-access-key": "{secret: HIDDEN}"}, HIDDEN=IDS["AKIAOPT"])
        self.assert_login(answer, "the option `access-key-id`")
        self.assertEqual(self.signers, [("AKIAOPT", "ecr", "eu-north-1")])

    def test_keys_of_a_profile(self):
        files = self.files(credentials="[sky]\naws_access_key_id=AKIAFILE\naws_secret_access_key=file-secret\n")
        answer = self.login({"profile": "sky"}, AWS_ACCESS_KEY_ID="AKIAENV", AWS_SECRET_ACCESS_KEY="x", **files)
        self.assert_login(answer, "profile 'sky' in " + files["AWS_SHARED_CREDENTIALS_FILE"])

    def test_the_default_profile_in_the_home(self):
        os.mkdir(self.home + "/.aws")
        self.write("home/.aws/credentials", "[default]\naws_access_key_id=AKIAFILE\naws_secret_access_key=file-secret\n")
        self.write("home/.aws/config", "[default]\nregion=eu-north-1\n")
        del self.options["region"]
        answer = self.login()
        self.assert_login(answer, "profile 'default' in %s/.aws/credentials" % self.home)

    def test_a_process_with_the_users_environment(self):
        program = self.write("keys.sh", """#!/bin/sh
[ "$1 $2" = "for my sky" ] && [ "$SKY" = blue ] || exit 3
printf '{"Version": 1, "AccessKeyId": "ASIAPROC", "SecretAccessKey": "process-secret",\\n "SessionToken": "process-session"}\\n'
""", 0o700)
        files = self.files(config="[profile p]\ncredential_process = %s for \"my sky\"\n" % program)
        answer = self.login({"profile": "p"}, SKY="blue", **files)
        self.assert_login(answer, "credential_process of profile 'p' in " + files["AWS_CONFIG_FILE"])

    def test_a_process_that_fails_is_named_and_not_quoted(self):
        table = [("exit 4", "exit status 4: the vault is closed"), ("echo process-secret", "no JSON object"),
                 ("echo '{\"Version\": 1}'", "lacks AccessKeyId"), ("yes process-secret", "prints more than 64 KiB")]
        for body, part in table:
            with self.subTest(body=body):
                program = self.write("bad.sh", "#!/bin/sh\necho 'the vault is closed' >&2\n%s\n" % body, 0o700)
                files = self.files(config="[profile p]\ncredential_process = %s\n" % program)
                self.assert_failed(self.login({"profile": "p"}, **files), NEEDS_LOGIN, part, "bad.sh", "name another place")

    def test_a_web_identity(self):
        token = self.write("token", "web-identity-token\n")
        answer = self.login(AWS_WEB_IDENTITY_TOKEN_FILE=token, AWS_ROLE_ARN="arn:aws:iam::1:role/web",
                            AWS_ROLE_SESSION_NAME="sky-1")
        self.assert_login(answer, "the web identity of role arn:aws:iam::1:role/web (%s)" % token)
        self.assertEqual(self.form["RoleSessionName"], "sky-1")
        self.assertEqual(self.signers, [("ASIAWEB", "ecr", "eu-north-1")])  # the question to STS is not signed

    def test_roles_one_after_the_other(self):
        files = self.files(config="[profile a]\nrole_arn=arn:aws:iam::1:role/one\nsource_profile=b\n"
                                  "[profile c]\nrole_arn=arn:aws:iam::2:role/two\nsource_profile=a\nexternal_id=e&x\n",
                           credentials="[b]\naws_access_key_id=AKIAFILE\naws_secret_access_key=file-secret\n")
        answer = self.login({"profile": "c"}, **files)
        self.assertIn("role arn:aws:iam::2:role/two by profile 'b'", answer.origin)
        self.assertEqual(self.actions, ["AssumeRole arn:aws:iam::1:role/one", "AssumeRole arn:aws:iam::2:role/two",
                                        "GetAuthorizationToken"])
        self.assertEqual(self.form["ExternalId"], "e&x")
        self.assertEqual([s[:2] for s in self.signers], [("AKIAFILE", "sts"), ("ASIAROLE", "sts"), ("ASIATWO", "ecr")])

    def test_a_containers_endpoint(self):
        token = self.write("authorization", "pod-authorization\n")
        answer = self.login(AWS_CONTAINER_CREDENTIALS_FULL_URI=self.server.url + "/pod",
                            AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=token)
        self.assert_login(answer, "the container's AWS endpoint %s/pod" % self.server.url)
        answer = self.login({"renew-before": "2m"}, AWS_CONTAINER_CREDENTIALS_FULL_URI=self.server.url + "/pod",
                            AWS_CONTAINER_AUTHORIZATION_TOKEN="pod-authorization")
        self.assertEqual(answer.password, "ecr-password")

    def test_the_metadata_service_by_version_2_only(self):
        answer = self.login(AWS_EC2_METADATA_DISABLED="", AWS_EC2_METADATA_SERVICE_ENDPOINT=self.server.url + "/")
        self.assert_login(answer, "this machine's AWS metadata service (%s)" % self.server.url)
        self.assertEqual(self.ttl, "60")
        self.assertEqual(self.server.requests[0].method, "PUT")

    def test_a_metadata_service_without_version_2_is_not_asked_by_version_1(self):
        old = Server(self, lambda request: (404, {}, "") if request.method == "PUT" else (200, {}, "role"))
        answer = self.login(AWS_EC2_METADATA_DISABLED="", AWS_EC2_METADATA_SERVICE_ENDPOINT=old.url)
        self.assert_failed(answer, NEEDS_LOGIN, "no AWS keys")
        self.assertEqual({request.method for request in old.requests}, {"PUT"})

    def test_no_keys_anywhere(self):
        self.assert_failed(self.login(), NEEDS_LOGIN, "no AWS keys: none in the environment, no default profile", "aws configure")
        self.assertEqual(self.server.requests, [])

    def test_the_public_registry_is_read_as_anybody(self):
        answer = self.login(reference="public.ecr.aws/desc/shear:1")
        self.assertEqual((answer.kind, answer.username), (0, None), answer)
        self.assert_failed(self.login(reference="public.ecr.aws/desc/shear:1", purpose="push"), NEEDS_LOGIN, "no AWS keys")
        answer = self.login(reference="public.ecr.aws/desc/shear:1", AWS_ACCESS_KEY_ID="AKIAENV",
                            AWS_SECRET_ACCESS_KEY=IDS["AKIAENV"])
        self.assertEqual(answer.password, "ecr-password")
        self.assertEqual(self.signers, [("AKIAENV", "ecr-public", "us-east-1")])

    def test_the_account_is_asked_of_aws_when_nobody_says_it(self):
        asked = self.ask("ecr", "normalize", "joe/shear:1", options=self.options, AWS_ACCESS_KEY_ID="AKIAENV",
                         AWS_SECRET_ACCESS_KEY=IDS["AKIAENV"])
        self.assertEqual(asked.one.reference, REFERENCE)

    # ---- tokens are kept ----

    def cached(self):
        return [os.path.join(folder, name) for folder, _, names in os.walk(self.environment["XDG_CACHE_HOME"]) for name in names]

    def keyed(self, **more):
        return self.login(AWS_ACCESS_KEY_ID="AKIAENV", AWS_SECRET_ACCESS_KEY=IDS["AKIAENV"], **more)

    def test_many_who_ask_at_once_ask_aws_once(self):
        asked = self.ask("ecr", "credentials", REFERENCE, "pull", options=self.options, times=50, AWS_ACCESS_KEY_ID="AKIAENV",
                         AWS_SECRET_ACCESS_KEY=IDS["AKIAENV"])
        self.assertEqual([answer.password for answer in asked.all], ["ecr-password"] * 50)
        self.assertEqual(self.actions, ["GetAuthorizationToken"])

    def test_a_token_is_kept_between_runs_for_the_user_alone(self):
        self.keyed()
        self.keyed()
        self.assertEqual(self.actions, ["GetAuthorizationToken"])
        files = self.cached()
        self.assertEqual(len(files), 1)
        self.assertEqual(stat.S_IMODE(os.stat(files[0]).st_mode), 0o600)
        self.assertNotIn("AKIA", os.path.basename(files[0]))

    def test_a_token_belongs_to_its_keys(self):
        self.keyed()
        self.login({"access-key-id": "AKIAOPT", "secret-access-key": "{secret: HIDDEN}"}, HIDDEN=IDS["AKIAOPT"])
        self.assertEqual(len(self.cached()), 2)
        self.assertEqual([s[0] for s in self.signers], ["AKIAENV", "AKIAOPT"])

    def test_a_token_near_its_end_is_renewed(self):
        self.hours = 0.5  # less than the hour of `renew-before`
        self.keyed()
        self.hours = 12
        self.assertGreater(int(self.keyed().expires), (time.time() + 11 * 3600) * 1000)
        self.keyed()
        self.assertEqual(self.actions, ["GetAuthorizationToken"] * 2)

    def test_a_kept_token_that_others_could_touch_is_not_used(self):
        def write(path, text):
            with open(path, "w") as file:
                file.write(text)

        for harm in (lambda path: os.chmod(path, 0o644), lambda path: write(path, "{"), lambda path: write(path, "{}"),
                     lambda path: os.truncate(path, 0),
                     lambda path: (os.unlink(path), os.symlink("/etc/passwd", path))):
            self.keyed()
            del self.actions[:]
            harm(self.cached()[0])
            self.assertEqual(self.keyed().password, "ecr-password")
            self.assertEqual(self.actions, ["GetAuthorizationToken"])

    # ---- hostile files ----

    def test_hostile_files_are_refused_by_line(self):
        table = [("credentials", "[default]\nAKIAFILE\n", "line 2"), ("credentials", "[default\n", "line 1"),
                 ("config", "x = file-secret\n", "line 1"), ("config", "[a]\n" * 3000 + "[b]\nfile-secret", "line 3002")]
        for name, text, part in table:
            with self.subTest(text=text[:20]):
                answer = self.login(**self.files(**{name: text}))
                self.assert_failed(answer, REFUSED, part, "/" + name)

    def test_files_that_are_no_files(self):
        folder, pipe = os.path.join(self.folder, "folder"), os.path.join(self.folder, "pipe")
        os.mkdir(folder)
        os.mkfifo(pipe)
        for path in (folder, pipe, "/dev/zero"):
            with self.subTest(path=path):
                self.assert_failed(self.login(AWS_SHARED_CREDENTIALS_FILE=path), NEEDS_LOGIN, path)

    def test_a_token_file_that_holds_no_token(self):
        for text in ("", "two\nlines", "x" * 70000):
            with self.subTest(text=text[:10]):
                token = self.write("token", text)
                answer = self.login(AWS_WEB_IDENTITY_TOKEN_FILE=token, AWS_ROLE_ARN="arn")
                self.assert_failed(answer, NEEDS_LOGIN, token)


if __name__ == "__main__":
    main()
