# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154,SC2034,SC2119,SC2120 # here and program come from whoever sources it
# What tests with a real Kubernetes and Argo's objects begin with: fixture.sh, and a controller that runs.
#
# Argo's resource definitions are those of $ARGO_CRDS, a folder; without it the test is skipped.

if [ ! -f "${ARGO_CRDS:-}/crd-workflows.yaml" ]; then
    echo "$(basename "$0"): ARGO_CRDS names no folder with Argo's resource definitions" >&2
    exit 77
fi
# shellcheck source=tests/kubernetes/fixture.sh
. "$here/fixture.sh"
for kind in workflows workflowtemplates cronworkflows; do
    content=application/yaml kube POST /apis/apiextensions.k8s.io/v1/customresourcedefinitions \
        --data-binary @"$ARGO_CRDS/crd-$kind.yaml" > "$folder/crds.log" || failed "Argo's resource definitions"
    until_true 60 "the API server does not take up Argo's $kind" kube GET "/apis/argoproj.io/v1alpha1/namespaces/default/$kind"
done
start_controller() {
    python3 "$here/argo_controller.py" "$KUBECONFIG" "$@" >> "$folder/controller.log" 2>&1 < /dev/null &
    controller=$!
    services="$services $controller"
}
stop_controller() {
    kill "$controller"
    wait "$controller" 2> /dev/null || true
}
start_controller
