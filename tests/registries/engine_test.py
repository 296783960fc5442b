# SPDX-License-Identifier: BSD-3-Clause
"""Whole commands of the built program with a real Docker Engine: one pipeline, pushed to, locked at, pulled and run from two
registries that are swapped by one word (ECR by moto with a registry behind it, and a registry with htpasswd)."""
from aws_services_test import KEYS, TARGET, start_moto
from servers import *

PROGRAM = os.path.join(BUILD, "descpipe")
DAEMON = os.path.join(TESTS, "integration", "docker_daemon.sh")
WORD = "blue-sky-42"

for tool in ("htpasswd", "skopeo", "curl"):
    if shutil.which(tool) is None:
        skip_all("there is no %s on this machine" % tool)


class Commands(Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="descpipe-registries-")
        cls.addClassCleanup(shutil.rmtree, cls.shared, True)
        engine = os.path.join(cls.shared, "engine")
        cls.addClassCleanup(subprocess.run, ["sh", DAEMON, "stop", engine], stdout=subprocess.DEVNULL)
        started = subprocess.run(["sh", DAEMON, "start", engine], stdout=subprocess.PIPE, universal_newlines=True)
        if started.returncode == 77:
            skip_all("no Docker Engine can run here")
        assert started.returncode == 0
        cls.socket = os.path.join(engine, "docker.sock")
        cls.moto = start_moto(cls)
        busybox = shutil.which("busybox") or skip_all("there is no busybox on this machine")
        root = os.path.join(cls.shared, "root")
        os.makedirs(root + "/bin")
        shutil.copy(busybox, root + "/bin/busybox")
        for applet in ("sh", "cat", "true", "echo"):
            os.symlink("busybox", root + "/bin/" + applet)
        cls.root = os.path.join(cls.shared, "root.tar")
        run("tar", "-C", root, "-cf", cls.root, ".")

    def engine(self, *words):
        return run("curl", "--silent", "--show-error", "--fail", "--unix-socket", self.socket, *words)

    def htpasswd(self, name, user, password):
        path = os.path.join(self.folder, name)
        subprocess.run(["htpasswd", "-iBc", "-C", "4", path, user], input=password.encode(), check=True, stderr=subprocess.DEVNULL)
        return {"htpasswd": {"realm": name, "path": path}}

    def setUp(self):
        super().setUp()
        self.environment.update(KEYS)
        self.environment["TMPDIR"] = self.folder
        urllib.request.urlopen(urllib.request.Request(self.moto + "/moto-api/reset", method="POST", data=b"")).close()
        options = {"region": "eu-north-1", "endpoint": self.moto}
        self.token = self.ask("ecr", "credentials", "123456789012.dkr.ecr.eu-north-1.amazonaws.com/x:1", "pull",
                              options=options).one.password
        self.ecr = DockerRegistry(self, "ecr", auth=self.htpasswd("ecr-users", "AWS", self.token))
        self.own = DockerRegistry(self, "own", auth=self.htpasswd("own-users", "joe", WORD))
        self.engine("--request", "POST", "--header", "Content-Type: application/x-tar", "--data-binary", "@" + self.root, "--output",
                    "/dev/null", "http://localhost/images/create?fromSrc=-&repo=joe/shear&tag=1.0&changes=ENV%20PATH%3D%2Fbin")
        self.pipeline = self.write("pipeline.yaml", """
pipeline: {name: sky, stages: [shear]}
runtime: {backend: aws, working: ./work, output: ./out}
backends:
  aws:
    scheduler: sequential
    runtime: {use: docker, host: "unix://%s"}
    registry: {use: ecr, region: eu-north-1, endpoint: "%s", data-host: "%s"}
  site:
    scheduler: sequential
    runtime: {use: docker, host: "unix://%s"}
    registry: {use: oci, host: "%s", project: sky}
shear: {image: "joe/shear:1.0", command: [/bin/sh, -c, "echo measured"]}
""" % (self.socket, self.moto, self.ecr.host, self.socket, self.own.host))

    def descpipe(self, *words, status=0, stdin="", **environment):
        done = subprocess.run([PROGRAM, *words], cwd=self.folder, env={**self.environment, **environment}, input=stdin, timeout=200,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        for secret in (self.token, WORD, KEYS["AWS_SECRET_ACCESS_KEY"]):
            self.assertNotIn(secret, done.stdout + done.stderr)
        return done

    def forget_images(self):
        for image in json.loads(self.engine("http://localhost/images/json?all=1")):
            self.engine("--output", "/dev/null", "--request", "DELETE", "http://localhost/images/%s?force=1" % image["Id"])

    def skopeo(self, registry, name, user, password):
        login = self.write("skopeo.json", json.dumps({"auths": {registry.host: {
            "auth": base64.b64encode(("%s:%s" % (user, password)).encode()).decode()}}}))
        return json.loads(run("skopeo", "inspect", "--authfile", login, "--tls-verify=false", "docker://%s/%s" % (registry.host, name)))

    def round_trip(self, backend, registry, name, user, password):
        self.descpipe("push", self.pipeline, "--backend", backend)
        seen = self.skopeo(registry, name, user, password)
        self.forget_images()
        listed = json.loads(self.descpipe("images", self.pipeline, "--backend", backend, "--json").stdout)["images"]
        self.assertEqual([image["manifest_digest"] for image in listed], [seen["Digest"]])
        self.assertEqual(listed[0]["reference"].split("@")[0], "%s/%s" % (registry.host, name))
        self.descpipe("pull", self.pipeline, "--backend", backend)
        self.descpipe("run", self.pipeline, "--no-cache", "--backend", backend)
        self.assert_no_secret_on_disk()
        return seen["Digest"]

    def assert_no_secret_on_disk(self):
        for top in ("work", "out", "home"):
            for folder, _, names in os.walk(os.path.join(self.folder, top)):
                for name in names:
                    with open(os.path.join(folder, name), "rb") as file:
                        text = file.read()
                    for secret in (self.token, KEYS["AWS_SECRET_ACCESS_KEY"]):
                        self.assertNotIn(secret.encode(), text, name)

    def test_one_pipeline_and_two_registries(self):
        at_aws = self.round_trip("aws", self.ecr, "joe/shear:1.0", "AWS", self.token)
        request = urllib.request.Request(self.moto, data=b"{}", headers={
            "X-Amz-Target": TARGET + "DescribeRepositories", "Content-Type": "application/x-amz-json-1.1",
            "Authorization": "AWS4-HMAC-SHA256 Credential=X/20260101/eu-north-1/ecr/aws4_request, SignedHeaders=host, Signature=0"})
        with urllib.request.urlopen(request) as answer:
            self.assertEqual([r["repositoryName"] for r in json.load(answer)["repositories"]], ["joe/shear"])
        # The same pipeline at the other place: names are mapped, nothing in the stages changes.
        self.engine("--output", "/dev/null", "--request", "POST",
                    "http://localhost/images/%s/joe/shear@%s/tag?repo=joe/shear&tag=1.0" % (self.ecr.host, at_aws))
        said = self.descpipe("push", self.pipeline, "--backend", "site", status=4)
        self.assertIn("log in", said.stdout + said.stderr)
        self.descpipe("login", self.own.host, "--username", "joe", "--password-stdin", stdin=WORD + "\n")
        at_site = self.round_trip("site", self.own, "sky/shear:1.0", "joe", WORD)
        self.assertEqual(at_aws, at_site)
        self.descpipe("logout", self.own.host)


if __name__ == "__main__":
    main()
