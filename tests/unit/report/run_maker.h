/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes run folders for tests: a temp folder, plan.json as given, journal records written through journal.h. */
#ifndef TESTS_UNIT_REPORT_RUN_MAKER_H
#define TESTS_UNIT_REPORT_RUN_MAKER_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "base/text.h"
#include "run/journal/journal.h"

struct run_maker {
    char *folder;
    struct journal *journal;
};

static inline void run_maker_file(const struct run_maker *maker, const char *name, const char *text)
{
    char *path = path_join(maker->folder, name);
    char *folder = path_folder(path);
    ck_assert(folder_make(folder, 0700, NULL));
    ck_assert(file_write(path, text, strlen(text), 0600, NULL));
    memory_free(folder);
    memory_free(path);
}

static inline struct run_maker run_maker_new(const char *plan)
{
    const char *tmp = secure_getenv("TMPDIR");
    struct run_maker maker = {.folder = memory_format("%s/descpipe-report-XXXXXX", tmp != NULL ? tmp : "/tmp")};
    ck_assert_ptr_nonnull(mkdtemp(maker.folder));
    if (plan != NULL)
        run_maker_file(&maker, "plan.json", plan);
    maker.journal = journal_open(maker.folder, 1, "test", NULL);
    ck_assert_ptr_nonnull(maker.journal);
    return maker;
}

static inline void run_maker_free(struct run_maker *maker)
{
    journal_close(maker->journal);
    ck_assert(folder_remove(maker->folder, NULL));
    memory_free(maker->folder);
}

/* `members` is what follows the kind: ",\"job\":1". */
static inline void run_maker_record(struct run_maker *maker, const char *kind, const char *members)
{
    text_append(journal_begin(maker->journal, kind), members);
    journal_end(maker->journal);
    ck_assert(journal_flush(maker->journal, false, NULL));
}

#define TWO_STAGES                                                                                                     \
    "{\"pipeline\":\"sky\",\"backend\":{\"name\":\"default\"},\"stages\":["                                            \
    "{\"name\":\"tomography\",\"resources\":{\"cpus\":1,\"minutes\":30},\"members\":[]},\n"                            \
    "{\"name\":\"counts\",\"after\":[\"tomography\"],\"resources\":{\"cpus\":1},\"members\":[\"g\",\"r\"]}]}"

/* A run of TWO_STAGES in which tomography is done, counts/g failed and counts/r runs. */
static inline void run_maker_play(struct run_maker *maker)
{
    run_maker_record(
        maker, "run",
        ",\"run\":\"20261121-063000-ab3dk7\",\"pipeline\":\"/data/pipeline.yaml\",\"name\":\"sky\",\"user\":\"ada\","
        "\"host\":\"hub\",\"tasks\":3");
    run_maker_record(maker, "intent",
                     ",\"submission\":\"s1\",\"jobs\":[{\"job\":1,\"stage\":\"tomography\",\"attempt\":1}]");
    run_maker_record(maker, "submitted", ",\"submission\":\"s1\",\"job\":1,\"native\":\"77\"");
    run_maker_record(maker, "started", ",\"job\":1,\"pid\":4,\"host\":\"node1\"");
    run_maker_record(maker, "ended",
                     ",\"job\":1,\"exit\":0,\"evidence\":[{\"witness\":\"wait\",\"exit\":0}],\"cpu_ms\":10500,"
                     "\"peak_memory\":1073741824,\"started_at\":1795242600000,\"finished_at\":1795242612300");
    run_maker_record(maker, "verdict",
                     ",\"job\":1,\"stage\":\"tomography\",\"attempt\":1,\"verdict\":\"OK\",\"reason\":\"exit 0\"");
    run_maker_record(maker, "intent",
                     ",\"submission\":\"s2\",\"jobs\":[{\"job\":2,\"stage\":\"counts\",\"member\":\"g\",\"attempt\":1},"
                     "{\"job\":3,\"stage\":\"counts\",\"member\":\"r\",\"attempt\":1}]");
    run_maker_record(maker, "started", ",\"job\":2,\"host\":\"node1\"");
    run_maker_record(maker, "started", ",\"job\":3,\"host\":\"node2\"");
    run_maker_record(
        maker, "ended",
        ",\"job\":2,\"exit\":3,\"evidence\":[],\"cpu_ms\":0,\"peak_memory\":0,\"started_at\":1795242613000,"
        "\"finished_at\":1795242614000");
    run_maker_record(
        maker, "verdict",
        ",\"job\":2,\"stage\":\"counts\",\"member\":\"g\",\"attempt\":1,\"verdict\":\"EXIT\",\"reason\":\"exit 3\"");
}

#endif
