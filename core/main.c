/* SPDX-License-Identifier: BSD-3-Clause */
/* The program. */
#include "command/command.h"

int main(int argc, char **argv)
{
    return command_main(argc, argv);
}
