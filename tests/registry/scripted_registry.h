/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server that does what a test tells it, for faults that a real registry does not make on demand. A thread accepts,
 * one thread serves each connection; `serve` runs under one lock, so a test's state needs none of its own.
 */
#ifndef TESTS_REGISTRY_SCRIPTED_REGISTRY_H
#define TESTS_REGISTRY_SCRIPTED_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#define SCRIPTED_HEADERS 16384

struct scripted_request {
    char method[16];
    char target[4096];              /* "/v2/..." with its query */
    char headers[SCRIPTED_HEADERS]; /* the lines, each ended with \n */
    char *body;                     /* NUL added */
    size_t body_length;
    unsigned number; /* from 1, over all connections */
};

struct scripted_connection;
struct scripted_registry;

/* Sends a whole answer. `headers` are "Name: value\r\n" lines or "". A HEAD gets the length without the body. */
void scripted_answer(struct scripted_connection *connection, int status, const char *headers, const void *body,
                     size_t length);
void scripted_text(struct scripted_connection *connection, int status, const char *headers, const char *body);
/* Announces `announced` bytes, sends these, and closes. */
void scripted_cut(struct scripted_connection *connection, int status, const char *headers, const void *body,
                  size_t length, size_t announced);
/* Closes without a word. */
void scripted_close(struct scripted_connection *connection);
/* Sends a head that announces `announced` bytes, then one byte now and then until the other side goes. */
void scripted_drip(struct scripted_connection *connection, size_t announced);

/* The value of a header of the request, copied to `value`; false: it has none. */
bool scripted_header(const struct scripted_request *request, const char *name, char *value, size_t size);

typedef void scripted_serve(void *context, const struct scripted_request *request,
                            struct scripted_connection *connection);
/* Listens on a free port of 127.0.0.1. */
struct scripted_registry *scripted_start(scripted_serve *serve, void *context);
void scripted_stop(struct scripted_registry *registry);
int scripted_port(const struct scripted_registry *registry);
unsigned scripted_requests(struct scripted_registry *registry);     /* how many there were */
unsigned scripted_most_at_once(struct scripted_registry *registry); /* connections with a request in work */

#endif
