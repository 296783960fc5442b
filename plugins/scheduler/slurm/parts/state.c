/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of SLURM's job states. */
#include "parts/state.h"

#include <stdbool.h>
#include <string.h>

static const struct {
    const char *name, *code;
    enum phase phase;
} states[STATES] = {
    [STATE_OTHER] = {"", "", PHASE_OTHER},
    [STATE_PENDING] = {"PENDING", "PD", PHASE_WAITING},
    [STATE_RUNNING] = {"RUNNING", "R", PHASE_RUNNING},
    [STATE_SUSPENDED] = {"SUSPENDED", "S", PHASE_RUNNING},
    [STATE_COMPLETED] = {"COMPLETED", "CD", PHASE_ENDED},
    [STATE_CANCELLED] = {"CANCELLED", "CA", PHASE_ENDED},
    [STATE_FAILED] = {"FAILED", "F", PHASE_ENDED},
    [STATE_TIMEOUT] = {"TIMEOUT", "TO", PHASE_ENDED},
    [STATE_NODE_FAIL] = {"NODE_FAIL", "NF", PHASE_ENDED},
    [STATE_PREEMPTED] = {"PREEMPTED", "PR", PHASE_ENDED},
    [STATE_BOOT_FAIL] = {"BOOT_FAIL", "BF", PHASE_ENDED},
    [STATE_DEADLINE] = {"DEADLINE", "DL", PHASE_ENDED},
    [STATE_OUT_OF_MEMORY] = {"OUT_OF_MEMORY", "OOM", PHASE_ENDED},
    [STATE_LAUNCH_FAILED] = {"LAUNCH_FAILED", "LF", PHASE_ENDED},
    [STATE_RECONFIG_FAIL] = {"RECONFIG_FAIL", "RC", PHASE_ENDED},
    [STATE_CONFIGURING] = {"CONFIGURING", "CF", PHASE_WAITING},
    /* It has ended, or it is requeued and its old life is being cleared away: not yet known which. */
    [STATE_COMPLETING] = {"COMPLETING", "CG", PHASE_OTHER},
    [STATE_REQUEUED] = {"REQUEUED", "RQ", PHASE_WAITING},
    [STATE_REQUEUE_HOLD] = {"REQUEUE_HOLD", "RH", PHASE_WAITING},
    [STATE_REQUEUE_FED] = {"REQUEUE_FED", "RF", PHASE_WAITING},
    [STATE_SPECIAL_EXIT] = {"SPECIAL_EXIT", "SE", PHASE_WAITING},
    [STATE_RESV_DEL_HOLD] = {"RESV_DEL_HOLD", "RD", PHASE_WAITING},
    [STATE_REVOKED] = {"REVOKED", "RV", PHASE_OTHER}, /* another cluster of the federation has it */
    [STATE_RESIZING] = {"RESIZING", "RS", PHASE_RUNNING},
    [STATE_SIGNALING] = {"SIGNALING", "SI", PHASE_RUNNING},
    [STATE_STAGE_OUT] = {"STAGE_OUT", "SO", PHASE_RUNNING},
    [STATE_STOPPED] = {"STOPPED", "ST", PHASE_RUNNING},
    [STATE_POWER_UP_NODE] = {"POWER_UP_NODE", "PU", PHASE_WAITING},
};

static enum state find_whole(const char *text, size_t length)
{
    for (enum state state = STATE_OTHER + 1; state < STATES; state++) {
        if ((strlen(states[state].name) == length && memcmp(states[state].name, text, length) == 0) ||
            (strlen(states[state].code) == length && memcmp(states[state].code, text, length) == 0)) {
            return state;
        }
    }
    return STATE_OTHER;
}

/* A column too narrow ends a word with '+'. */
static enum state find_cut(const char *text, size_t length)
{
    enum state found = STATE_OTHER;
    for (enum state state = STATE_OTHER + 1; state < STATES; state++) {
        if (strlen(states[state].name) < length || memcmp(states[state].name, text, length) != 0) {
            continue;
        }
        if (found != STATE_OTHER) {
            return STATE_OTHER;
        }
        found = state;
    }
    return found;
}

static int64_t read_user(const char *text, size_t length)
{
    int64_t user = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || user > INT32_MAX) {
            return -1;
        }
        user = user * 10 + (text[i] - '0');
    }
    return length > 0 ? user : -1;
}

enum state state_read(const char *text, size_t length, int64_t *by)
{
    static const char words[] = " by ";
    *by = -1;
    for (size_t i = 0; i + sizeof(words) - 1 <= length; i++) {
        if (memcmp(text + i, words, sizeof(words) - 1) == 0) {
            *by = read_user(text + i + sizeof(words) - 1, length - i - (sizeof(words) - 1));
            length = i;
            break;
        }
    }
    while (length > 0 && text[length - 1] == ' ') {
        length--;
    }
    if (length > 1 && text[length - 1] == '+') {
        return find_cut(text, length - 1);
    }
    return length > 0 ? find_whole(text, length) : STATE_OTHER;
}

const char *state_name(enum state state)
{
    return state > STATE_OTHER && state < STATES ? states[state].name : "not known";
}

enum phase state_phase(enum state state)
{
    return state < STATES ? states[state].phase : PHASE_OTHER;
}
