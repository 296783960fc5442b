# SPDX-License-Identifier: BSD-3-Clause
target_include_directories(${plugin} PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(${plugin} PRIVATE descpipe-oci PkgConfig::CRYPTO)
