# SPDX-License-Identifier: BSD-3-Clause
target_include_directories(${library} PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(${library} PUBLIC descpipe-oci)
