# SPDX-License-Identifier: BSD-3-Clause
# What the schedulers that speak to a Kubernetes API server have in common: who we are there, requests, watches, pods.
target_link_libraries(${library} PUBLIC PkgConfig::JANSSON PRIVATE PkgConfig::YAML PkgConfig::CRYPTO)
