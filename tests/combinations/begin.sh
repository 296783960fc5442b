# SPDX-License-Identifier: BSD-3-Clause
# Sourced by the tests of this folder, after tests/runtimes/begin.sh: two registries on loopback with a certificate of the test's own,
# one as Docker Hub (a site's mirror of docker.io), one as ECR (moto is AWS's side, docker-registry the images'), with an image each.
# shellcheck shell=sh
# shellcheck disable=SC2154 # tests/runtimes/begin.sh has them

# A layer that no other image shares, so that every pull is one.
make_image() { # NAME
    mkdir -p "$folder/$1/layer/bin" "$folder/$1/layer/etc" "$folder/$1/layer/tmp" "$folder/$1/layer/opt"
    chmod 1777 "$folder/$1/layer/tmp"
    cp "$(command -v busybox)" "$folder/$1/layer/bin/busybox"
    for applet in sh cat seq sort sha256sum wc mkdir chmod; do ln -s busybox "$folder/$1/layer/bin/$applet"; done
    printf 'root:x:0:0:root:/root:/bin/sh\n' >"$folder/$1/layer/etc/passwd"
    printf 'root:x:0:\n' >"$folder/$1/layer/etc/group"
    echo "$1" >"$folder/$1/layer/etc/registry"
    tar --owner=0 --group=0 -C "$folder/$1/layer" -cf "$folder/$1/layer.tar" .
    python3 "$source_folder/tests/runtimes/make_image.py" "$folder/$1"
    rm -rf "$folder/$1/layer"
}

make_certificate() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=descpipe-test -keyout "$folder/ca.key" -out "$folder/ca.crt" 2>/dev/null
    openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout "$folder/server.key" -out "$folder/server.csr" 2>/dev/null
    printf 'subjectAltName=IP:127.0.0.1\n' >"$folder/server.ext"
    openssl x509 -req -in "$folder/server.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -CAcreateserial -days 2 \
        -extfile "$folder/server.ext" -out "$folder/server.crt" 2>/dev/null
    mkdir "$folder/certificates"
    cp "$folder/ca.crt" "$folder/certificates"
    tls="http: {addr: \"127.0.0.1:0\", tls: {certificate: $folder/server.crt, key: $folder/server.key}}"
}

serve_hub() { # → $hub, its HOST:PORT
    serve hub-registry "$tls"
    hub=127.0.0.1:$port
    skopeo copy -q --dest-cert-dir "$folder/certificates" --preserve-digests "oci:$folder/hub/layout:1" "docker://$hub/desc/sky-probe:1"
}

serve_ecr() { # → $ecr, its HOST:PORT, and $aws, the URL of AWS's side
    "$source_folder/tests/registries/moto.sh" install "$folder/moto" || exit $?
    "$folder/moto/moto_server" -H 127.0.0.1 -p 0 2>"$folder/moto/log" >/dev/null &
    servers="$servers $!"
    aws=$(timeout 60 tail -n +1 -F "$folder/moto/log" 2>/dev/null | grep -m 1 -o 'http://127.0.0.1:[0-9]*')
    # The registry knows the password that is in moto's tokens.
    password=$(curl -sf -X POST "$aws" -H 'X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken' \
        -H 'Content-Type: application/x-amz-json-1.1' -d '{}' \
        -H 'Authorization: AWS4-HMAC-SHA256 Credential=X/20260101/eu-north-1/ecr/aws4_request, SignedHeaders=host, Signature=0' |
        python3 -c 'import base64, json, sys; print(base64.b64decode(json.load(sys.stdin)["authorizationData"][0]["authorizationToken"]).decode().split(":", 1)[1])')
    printf '%s' "$password" | htpasswd -iBc -C 4 "$folder/htpasswd" AWS 2>/dev/null
    serve ecr-registry "$tls
auth: {htpasswd: {realm: ecr, path: $folder/htpasswd}}"
    ecr=127.0.0.1:$port
    skopeo copy -q --dest-cert-dir "$folder/certificates" --dest-creds "AWS:$password" --preserve-digests \
        "oci:$folder/ecr/layout:1" "docker://$ecr/desc/sky-probe:1"
}

serve_all() {
    need docker-registry skopeo htpasswd openssl curl python3 busybox debootstrap bwrap
    make_image hub
    make_image ecr
    make_certificate
    serve_hub
    serve_ecr
    # As a site gives its people: where Docker Hub's images are to be asked for, and whom to trust there.
    mkdir -p "$folder/root/config/descpipe" "$folder/root/home/.config/docker/certs.d/$hub"
    cp "$folder/ca.crt" "$folder/root/home/.config/docker/certs.d/$hub"
    echo "mirrors: {docker.io: \"$hub\"}" >"$folder/root/config/descpipe/config.yaml"
    echo "export AWS_ACCESS_KEY_ID=AKIAMOTO AWS_SECRET_ACCESS_KEY=moto/secret+key" >>"$folder/root/environment"
}

# What a backend of each registry says besides its name.
registry_words() { # dockerhub|ecr|oci
    case $1 in
    dockerhub) echo "{use: dockerhub}" ;;
    ecr) echo "{use: ecr, region: eu-north-1, endpoint: \"$aws\", data-host: \"$ecr\", ca: $folder/ca.crt}" ;;
    oci) echo "{use: oci, host: \"$hub\"}" ;;
    esac
}
