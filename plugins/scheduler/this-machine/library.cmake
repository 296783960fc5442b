# SPDX-License-Identifier: BSD-3-Clause
# What the schedulers that start stages on this machine have in common: the heap of queued jobs, what the machine has, and
# what is said to the host.
