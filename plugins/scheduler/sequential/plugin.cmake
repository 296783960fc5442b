# SPDX-License-Identifier: BSD-3-Clause
# The heap of queued jobs and what this machine has are written once, beside the scheduler `local`.
target_sources(${plugin} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/scheduler/local/heap.c
                                 ${CMAKE_CURRENT_SOURCE_DIR}/scheduler/local/machine.c)
target_include_directories(${plugin} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/scheduler/local)
