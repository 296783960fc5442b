/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Images of registries: found in the store by their pin or name, or fetched into it.
 *
 * How it works: look in the store (helper thread) → ask for the login → resolve → see which layers are missing (helper)
 * → fetch up to three at once, and unpack each as soon as it is whole (helpers) → lay them over each other (helper). A
 * layer or image that another process is making is waited for by a timer, so whoever asks for the same image, from
 * whatever process, shares one fetch.
 */
#ifndef NATIVE_PULL_H
#define NATIVE_PULL_H

#include "native.h"

#define PULL_FETCHES 3

/* Finishes the call: with the image's identity, or NOT_FOUND when it is not here and `fetch` is false. */
void pull_image(struct native *native, struct descpipe_call *call, const struct descpipe_image *image, bool fetch);

#endif
