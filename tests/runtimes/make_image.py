# SPDX-License-Identifier: BSD-3-Clause
"""One layer (FOLDER/layer.tar) → FOLDER/probe.tar, as `docker save` writes it, and FOLDER/layout, an OCI layout."""
import hashlib, io, json, os, platform, sys, tarfile

os.chdir(sys.argv[1])
layer = open("layer.tar", "rb").read()
config = json.dumps({
    "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "amd64"), "os": "linux",
    "config": {"Env": ["PATH=/image/bin:/bin", "FROM_IMAGE=yes", "MINE=image", "DESC_SIZE=99"], "Entrypoint": ["/bin/false"],
               "Cmd": ["also", "not"], "WorkingDir": "/etc"},
    "history": [{"created_by": "the tests of descpipe"}],  # ch-image wants one
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


name = digest(config)[7:] + ".json"
manifest = json.dumps([{"Config": name, "RepoTags": ["descpipe/probe:1"], "Layers": ["layer.tar"]}]).encode()
with tarfile.open("probe.tar", "w") as archive:
    for entry, content in (("layer.tar", layer), (name, config), ("manifest.json", manifest)):
        info = tarfile.TarInfo(entry)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))


def blob(content, media_type):
    os.makedirs("layout/blobs/sha256", exist_ok=True)
    with open("layout/blobs/sha256/" + digest(content)[7:], "wb") as file:
        file.write(content)
    return {"mediaType": media_type, "digest": digest(content), "size": len(content)}


oci = "application/vnd.oci.image."
written = blob(json.dumps({
    "schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "config": blob(config, oci + "config.v1+json"),
    "layers": [blob(layer, oci + "layer.v1.tar")]}).encode(), oci + "manifest.v1+json")
written["annotations"] = {"org.opencontainers.image.ref.name": "1"}
with open("layout/index.json", "w") as file:
    json.dump({"schemaVersion": 2, "manifests": [written]}, file)
with open("layout/oci-layout", "w") as file:
    file.write('{"imageLayoutVersion": "1.0.0"}')
