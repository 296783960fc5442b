/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages between a developer's container and its clients, with descriptors. */
#include "box.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define DESCRIPTORS_MOST 3

union room {
    struct cmsghdr aligned;
    char bytes[CMSG_SPACE(sizeof(int) * DESCRIPTORS_MOST)];
};

int box_send(int socket, const void *bytes, size_t length, const int *descriptors, size_t count)
{
    const char *at = bytes;
    while (length > 0) {
        union room room = {0};
        struct iovec piece = {.iov_base = (void *)(uintptr_t)at, .iov_len = length};
        struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
        if (count > 0 && count <= DESCRIPTORS_MOST) {
            message.msg_control = room.bytes;
            message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
            struct cmsghdr *head = CMSG_FIRSTHDR(&message);
            head->cmsg_level = SOL_SOCKET;
            head->cmsg_type = SCM_RIGHTS;
            head->cmsg_len = CMSG_LEN(sizeof(int) * count);
            memcpy(CMSG_DATA(head), descriptors, sizeof(int) * count);
        }
        ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return -1;
        at += sent;
        length -= (size_t)sent;
        count = 0; /* they went with the first byte */
    }
    return 1;
}

static void take_descriptors(struct msghdr *message, int *descriptors, size_t count)
{
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head != NULL; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS || head->cmsg_len < CMSG_LEN(0))
            continue;
        size_t came = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(descriptors, CMSG_DATA(head), sizeof(int) * (came < count ? came : count));
    }
}

int box_receive(int socket, void *bytes, size_t length, int *descriptors, size_t count)
{
    char *at = bytes;
    for (size_t i = 0; i < count; i++)
        descriptors[i] = -1;
    while (length > 0) {
        union room room;
        struct iovec piece = {.iov_base = at, .iov_len = length};
        struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
        if (count > 0 && count <= DESCRIPTORS_MOST) {
            message.msg_control = room.bytes;
            message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        }
        ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return (int)got;
        take_descriptors(&message, descriptors, count);
        at += got;
        length -= (size_t)got;
    }
    return 1;
}
