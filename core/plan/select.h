/* SPDX-License-Identifier: BSD-3-Clause */
/* Which stages of a pipeline a run is about: --only, --from, --until. */
#ifndef DESCPIPE_PLAN_SELECT_H
#define DESCPIPE_PLAN_SELECT_H

#include "plan/plan.h"

/* Fills selected[stages]. --only names stages alone; --from adds everything after, --until everything before, both
 * together what lies between. A name that is no stage is a problem with the nearest name. */
bool plan_select(const struct pipeline *pipeline, const struct plan_choices *choices, bool *selected,
                 struct problems *problems);

#endif
