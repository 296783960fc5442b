/* SPDX-License-Identifier: BSD-3-Clause */
/* The names that a pipeline uses for what lies outside of it, checked all at once. */
#ifndef DESCPIPE_PLAN_NAMES_H
#define DESCPIPE_PLAN_NAMES_H

#include "plan/build.h"

/* The options of every plugin that builder->words name. False with problems, all of them; what only keeps a plugin from
 * being loaded is left to who opens it. */
bool plan_check_options(struct plan_builder *builder);

#endif
