/* SPDX-License-Identifier: BSD-3-Clause */
/* The names of this machine, its boot and its process id namespace. */
#include "run/journal/machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"

void machine_read(struct machine *machine)
{
    *machine = (struct machine){.host = ""};
    struct utsname names;
    if (uname(&names) == 0)
        snprintf(machine->host, sizeof machine->host, "%.*s", (int)sizeof machine->host - 1, names.nodename);
    cleanup(text_clear) struct text boot = TEXT_INIT;
    if (file_read("/proc/sys/kernel/random/boot_id", 4096, &boot, NULL)) {
        size_t length = strcspn(text_bytes(&boot), "\n");
        snprintf(machine->boot, sizeof machine->boot, "%.*s", (int)length, text_bytes(&boot));
    }
    ssize_t length = readlink("/proc/self/ns/pid", machine->pids, sizeof machine->pids - 1);
    machine->pids[length > 0 ? length : 0] = '\0';
}
