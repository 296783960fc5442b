# SPDX-License-Identifier: BSD-3-Clause
# The heap of queued jobs is written once, beside the scheduler `local`.
target_sources(${plugin} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/scheduler/local/heap.c)
target_include_directories(${plugin} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/scheduler/local)
