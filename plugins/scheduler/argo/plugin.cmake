# SPDX-License-Identifier: BSD-3-Clause
target_link_libraries(${plugin} PRIVATE scheduler-cluster)
target_link_libraries(${plugin} PRIVATE PkgConfig::ZLIB PkgConfig::CRYPTO)
# What nodes say, for tests and fuzzers.
add_library(argo-node STATIC ${folder}/node.c)
target_link_libraries(argo-node PUBLIC scheduler-cluster PkgConfig::JANSSON PRIVATE PkgConfig::ZLIB PkgConfig::CRYPTO)
add_library(argo-files STATIC ${folder}/files.c)
target_link_libraries(argo-files PUBLIC scheduler-cluster PkgConfig::JANSSON)
