/* SPDX-License-Identifier: BSD-3-Clause */
/* What front and engine say to each other over their SEQPACKET socket: one struct a message. */
#ifndef DESCPIPE_RUN_MESSAGE_H
#define DESCPIPE_RUN_MESSAGE_H

#include <stdint.h>

struct run_message {
    uint32_t kind; /* enum run_wish to the engine, enum run_news from it */
    int32_t status;
    char text[4096];
};

#endif
