# SPDX-License-Identifier: BSD-3-Clause
target_link_libraries(${plugin} PRIVATE scheduler-cluster)
target_link_libraries(${plugin} PRIVATE PkgConfig::ZLIB PkgConfig::CRYPTO)
