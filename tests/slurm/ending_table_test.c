/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of endings: what SLURM's witnesses say, line for line as they print it, and what it means. The lines of
 * sacct with job numbers from 1938 to 1952 are those of a real SLURM 22.05; the others follow its documentation and
 * reports of newer versions.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "parts/ending.h"
#include "parts/log.h"
#include "parts_test.h"

enum witness { SACCT, SQUEUE, SCONTROL };

#define EXITED DESCPIPE_ENDED_EXITED
#define SIGNALLED DESCPIPE_ENDED_SIGNALLED
#define MEMORY DESCPIPE_ENDED_OUT_OF_MEMORY
#define TIMED_OUT DESCPIPE_ENDED_TIMED_OUT
#define NODE DESCPIPE_ENDED_NODE_FAILED
#define PREEMPTED DESCPIPE_ENDED_PREEMPTED
#define CANCELLED DESCPIPE_ENDED_CANCELLED
#define NOT_STARTED DESCPIPE_ENDED_NOT_STARTED
#define LOST DESCPIPE_ENDED_LOST
#define GOES_ON 0 /* no end at all */

#define MIB(n) ((uint64_t)(n) << 20)
#define AT "|1795276015|1795276016|1795276017|"

/* JobID|JobIDRaw|State|ExitCode|Submit|Start|End|NodeList|ReqMem|MaxRSS|TotalCPU|Reason|JobName; or as squeue and
 * scontrol print. */
static const struct {
    const char *name;
    enum witness witness;
    const char *job, *batch;
    const char *log; /* of the submission */
    uint64_t memory; /* asked for */
    uint32_t flags;
    int exit_code, signal;
    const char *reason; /* a part of it */
} cases[] = {
    {"done", SACCT, "1938|1938|COMPLETED|0:0" AT "n1|4000M|||None|r1-1",
     "1938.batch|1938.batch|COMPLETED|0:0" AT "n1||||| batch", NULL, 0, EXITED, 0, 0, ""},
    {"done, cut short", SACCT, "1938|1938|COMPLETE+|0:0" AT "n1|||||r1-1", NULL, NULL, 0, EXITED, 0, 0, ""},
    {"done, as a code", SACCT, "1938|1938|CD|0:0" AT "n1|||||r1-1", NULL, NULL, 0, EXITED, 0, 0, ""},
    {"done, by the queue", SQUEUE, "1938|N/A|1938|COMPLETED|None|1795276015|1795276016|n1|r1-1", NULL, NULL, 0, EXITED,
     0, 0, ""},
    {"done, though a step was killed for memory", SACCT, "12|12|COMPLETED|0:0" AT "n1|50M|||None|r1-1", NULL,
     "slurmstepd-n1: error: StepId=12.0 exceeded memory limit (434626560 > 52428800), being killed\n", MIB(50), EXITED,
     0, 0, ""},
    {"exit status", SACCT, "1939|1939|FAILED|3:0" AT "n2|4000M|||None|r1-1",
     "1939.batch|1939.batch|FAILED|3:0" AT "n2||||| batch", NULL, 0, EXITED, 3, 0, "exit status 3 on n2"},
    {"exit status, by the controller", SCONTROL,
     "JobId=1939 JobName=r1-1 JobState=FAILED Reason=NonZeroExitCode ExitCode=3:0 SubmitTime=1 StartTime=2 EndTime=3 "
     "ReqNodeList=(null) NodeList=n2 BatchHost=n2",
     NULL, NULL, 0, EXITED, 3, 0, "exit status 3 on n2"},
    {"exit status only of the batch step", SACCT, "5|5|FAILED|0:0" AT "n2|||||r1-1",
     "5.batch|5.batch|FAILED|9:0" AT "n2||||| batch", NULL, 0, EXITED, 9, 0, "exit status 9"},
    {"exit status 137 without a witness of memory", SACCT, "5|5|FAILED|137:0" AT "n2|4000M|||None|r1-1", NULL, NULL, 0,
     EXITED, 137, 0, "exit status 137"},
    {"exit status 255", SACCT, "5|5|FAILED|255:0" AT "n2|||||r1-1", NULL, NULL, 0, EXITED, 255, 0, "255"},
    {"failed, by the queue alone: no number is made up", SQUEUE,
     "1939|N/A|1939|FAILED|NonZeroExitCode|1795276015|1795276016|n2|r1-1", NULL, NULL, 0, LOST, 0, 0,
     "SLURM does not say how"},
    {"segmentation fault reads JobLaunchFailure", SACCT, "1940|1940|FAILED|0:11" AT "n3|4000M|||JobLaunchFailure|r1-1",
     "1940.batch|1940.batch|CANCELLED|0:11" AT "n3||||| batch", NULL, 0, SIGNALLED, 0, SIGSEGV, "signal 11 on n3"},
    {"abort", SACCT, "5|5|FAILED|0:6" AT "n3|||||r1-1", NULL, NULL, 0, SIGNALLED, 0, SIGABRT, "signal 6"},
    {"killed by hand on the node", SACCT, "5|5|FAILED|0:9" AT "n3|4000M|||None|r1-1",
     "5.batch|5.batch|FAILED|0:9" AT "n3||3000K||| batch", NULL, MIB(50), SIGNALLED, 0, SIGKILL, "signal 9"},
    {"memory by OverMemoryKill is FAILED 0:9", SACCT, "1941|1941|FAILED|0:9" AT "n1|50M|||None|r1-1",
     "1941.batch|1941.batch|CANCELLED by 0|0:9" AT "n1||424440K||| batch", NULL, MIB(50), MEMORY | SIGNALLED, 0,
     SIGKILL, "it used 414 MiB of 50 MiB"},
    {"memory by slurmstepd's word alone", SACCT, "1941|1941|FAILED|0:9" AT "n1|50M|||None|r1-1", NULL,
     "slurmstepd-n1: error: StepId=1941.batch exceeded memory limit (434626560 > 52428800), being killed\n"
     "slurmstepd-n1: error: Exceeded job memory limit\n",
     MIB(50), MEMORY | SIGNALLED, 0, SIGKILL, "out of memory"},
    {"memory by the kernel", SACCT, "77|77|OUT_OF_MEMORY|0:125" AT "n1|50M|||None|r1-1",
     "77.batch|77.batch|OUT_OF_MEMORY|0:125" AT "n1||51000K||| batch", NULL, MIB(50), MEMORY | SIGNALLED, 0, SIGKILL,
     "out of memory"},
    {"memory by the kernel, cut short", SACCT, "77|77|OUT_OF_ME+|0:125" AT "n1|50M|||None|r1-1", NULL, NULL, 0,
     MEMORY | SIGNALLED, 0, SIGKILL, "out of memory"},
    {"memory, as a code in the queue", SQUEUE, "77|N/A|77|OOM|OutOfMemory|1|2|n1|r1-1", NULL, NULL, 0,
     MEMORY | SIGNALLED, 0, SIGKILL, "out of memory"},
    {"memory, and the script saw 137", SACCT, "77|77|OUT_OF_MEMORY|137:0" AT "n1|50M|||None|r1-1", NULL, NULL, 0,
     MEMORY | EXITED, 137, 0, "out of memory"},
    {"memory of a child that the script survived until its own end", SACCT,
     "78|78|FAILED|137:0" AT "n1|50M|||None|r1-1", NULL,
     "slurmstepd: error: Detected 1 oom_kill event in StepId=78.batch. Some of the step tasks have been OOM Killed.\n",
     MIB(50), MEMORY | EXITED, 137, 0, "out of memory"},
    {"another job's memory is not ours", SACCT, "78|78|FAILED|1:0" AT "n1|50M|||None|r1-1", NULL,
     "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=781.batch. Some of your processes may have been "
     "killed.\n",
     MIB(50), EXITED, 1, 0, "exit status 1"},
    {"memory asked by cpu is no limit of the node", SACCT, "78|78|FAILED|0:9" AT "n1|50Mc|||None|r1-1",
     "78.batch|78.batch|FAILED|0:9" AT "n1||80000K||| batch", NULL, 0, SIGNALLED, 0, SIGKILL, "signal 9"},
    {"time", SACCT, "1945|1945|TIMEOUT|0:0" AT "n2|4000M|||None|r1-1",
     "1945.batch|1945.batch|CANCELLED|0:15" AT "n2||3116K||| batch",
     "slurmstepd-n2: error: *** JOB 1945 ON n2 CANCELLED AT 2026-11-21T00:58:12 DUE TO TIME LIMIT ***\n", 0, TIMED_OUT,
     0, 0, "time limit was reached on n2"},
    {"time, by the queue", SQUEUE, "1945|N/A|1945|TIMEOUT|TimeLimit|1|2|n2|r1-1", NULL, NULL, 0, TIMED_OUT, 0, 0,
     "time limit"},
    {"time, by the controller, with a signal", SCONTROL,
     "JobId=1945 JobName=r1-1 JobState=TIMEOUT Reason=TimeLimit ExitCode=0:15 NodeList=n2", NULL, NULL, 0, TIMED_OUT, 0,
     0, "time limit"},
    {"time, though accounting says cancelled", SACCT, "1945|1945|CANCELLED by 0|0:15" AT "n2|4000M|||None|r1-1", NULL,
     "slurmstepd-n2: error: *** JOB 1945 ON n2 CANCELLED AT 2026-11-21T00:58:12 DUE TO TIME LIMIT ***\n", 0, TIMED_OUT,
     0, 0, "time limit"},
    {"time, though the script ended with a status", SACCT, "5|5|TIMEOUT|1:0" AT "n2|||||r1-1", NULL, NULL, 0, TIMED_OUT,
     0, 0, "time limit"},
    {"deadline while it waited", SACCT, "5|5|DEADLINE|0:0|1795276015|None|1795276017|None assigned|||||r1-1", NULL,
     NULL, 0, CANCELLED | NOT_STARTED, 0, 0, "deadline"},
    {"deadline while it ran", SACCT, "5|5|DEADLINE|0:0" AT "n1|||||r1-1", NULL, NULL, 0, CANCELLED, 0, 0, "deadline"},
    {"node", SACCT, "1951|1951|NODE_FAIL|0:0" AT "n3|4000M|||None|r1-1",
     "1951.batch|1951.batch|CANCELLED|" AT "n3||||| batch", NULL, 0, NODE, 0, 0, "a node failed on n3"},
    {"node, by the queue", SQUEUE, "1951|N/A|1951|NODE_FAIL|NodeDown|1|2|n3|r1-1", NULL, NULL, 0, NODE, 0, 0, "n3"},
    {"node, cut short", SACCT, "1951|1951|NODE_FAI+|1:0" AT "n3|||||r1-1", NULL, NULL, 0, NODE, 0, 0, "node"},
    {"node, though accounting says cancelled", SACCT, "1951|1951|CANCELLED|0:0" AT "n3|4000M|||None|r1-1", NULL,
     "slurmstepd-n3: error: *** JOB 1951 ON n3 CANCELLED AT 2026-11-21T00:57:08 DUE TO NODE FAILURE, SEE SLURMCTLD LOG "
     "FOR "
     "DETAILS ***\n",
     0, NODE, 0, 0, "node"},
    {"node that did not boot", SACCT, "5|5|BOOT_FAIL|0:0" AT "None assigned|||||r1-1", NULL, NULL, 0,
     NODE | NOT_STARTED, 0, 0, "booted"},
    {"node that could not be reconfigured", SACCT, "5|5|RECONFIG_FAIL|0:0" AT "None assigned|||||r1-1", NULL, NULL, 0,
     NODE | NOT_STARTED, 0, 0, "made ready"},
    {"preempted", SACCT, "5|5|PREEMPTED|0:0" AT "n3|||||r1-1", "5.batch|5.batch|CANCELLED|0:15" AT "n3||||| batch",
     NULL, 0, PREEMPTED, 0, 0, "preempted on n3"},
    {"preempted, though accounting says cancelled", SACCT, "5|5|CANCELLED by 0|0:15" AT "n3|||||r1-1", NULL,
     "slurmstepd: error: *** JOB 5 ON n3 CANCELLED AT 2026-11-21T00:57:08 DUE TO PREEMPTION ***\n", 0, PREEMPTED, 0, 0,
     "preempted"},
    {"cancelled by us", SACCT, "1946|1946|CANCELLED by 1000|0:0" AT "n3|4000M|||None|r1-1",
     "1946.batch|1946.batch|CANCELLED|" AT "n3||||| batch",
     "slurmstepd-n3: error: *** JOB 1946 ON n3 CANCELLED AT 2026-11-21T00:56:59 ***\n", 0, CANCELLED, 0, 0,
     "cancelled by you (uid 1000)"},
    {"cancelled by another", SACCT, "1946|1946|CANCELLED by 2000|0:0" AT "n3|4000M|||None|r1-1", NULL, NULL, 0,
     CANCELLED, 0, 0, "cancelled by uid 2000"},
    {"cancelled by root", SACCT, "1946|1946|CANCELLED by 0|0:0" AT "n3|4000M|||None|r1-1", NULL, NULL, 0, CANCELLED, 0,
     0, "root"},
    {"cancelled, cut short", SACCT, "1946|1946|CANCELLED+|0:0" AT "n3|4000M|||None|r1-1", NULL, NULL, 0, CANCELLED, 0,
     0, "cancelled"},
    {"cancelled with the status of its trap", SACCT, "1946|1946|CANCELLED by 1000|143:0" AT "n3|||||r1-1", NULL, NULL,
     0, CANCELLED, 0, 0, "by you"},
    {"cancelled while it waited", SACCT,
     "1946|1946|CANCELLED by 1000|0:0|1795276015|None|1795276017|None assigned|4000M|||None|r1-1", NULL, NULL, 0,
     CANCELLED | NOT_STARTED, 0, 0, "by you"},
    {"what it waits for failed", SACCT,
     "1944|1944|CANCELLED|0:0|1795276015|1795276015|1795276015|None assigned|4000M|||Dependency|r1-1", NULL, NULL, 0,
     CANCELLED | NOT_STARTED, 0, 0, "a job that it depends on did not succeed"},
    {"what it waits for failed, and somebody cancelled it", SACCT,
     "1943|1943|CANCELLED by 0|0:0|1795276015|None|1795276017|None assigned|4000M|||DependencyNeverSatisfied|r1-1",
     NULL, NULL, 0, CANCELLED | NOT_STARTED, 0, 0, "depends on"},
    {"cancelled, by the queue", SQUEUE, "1946|N/A|1946|CANCELLED|None|1|2|n3|r1-1", NULL, NULL, 0, CANCELLED, 0, 0,
     "cancelled"},
    {"output could not be opened", SACCT, "59|59|FAILED|0:53" AT "n2|||||r1-1", NULL, NULL, 0, NOT_STARTED, 0, 0,
     "working folder visible"},
    {"our script could not begin", SACCT, "60|60|FAILED|120:0" AT "n2|||||r1-1", NULL,
     "descpipe: job 60: cannot read '/home/u/run/scheduler.index' on n2\n", 0, NOT_STARTED, 0, 0,
     "cannot read '/home/u/run/scheduler.index' on n2"},
    {"a stage's own 120", SACCT, "60|60|FAILED|120:0" AT "n2|||||r1-1", NULL, "descpipe: job 6: cannot read it\n", 0,
     EXITED, 120, 0, "exit status 120"},
    {"launch failed", SACCT, "5|5|LAUNCH_FAILED|0:0" AT "n2|||||r1-1", NULL, NULL, 0, NOT_STARTED, 0, 0, "launch"},
    {"a member of an array", SACCT, "1942_2|1950|FAILED|1:0" AT "n2|4000M|||None|r1-1",
     "1942_2.batch|1950.batch|FAILED|1:0" AT "n2||||| batch", NULL, 0, EXITED, 1, 0, "exit status 1"},
    {"a member's own line among others'", SACCT, "1942_2|1950|FAILED|0:9" AT "n2|50M|||None|r1-1", NULL,
     "slurmstepd-n2: error: StepId=1950.batch exceeded memory limit (9 > 5), being killed\n", 0, MEMORY | SIGNALLED, 0,
     SIGKILL, "out of memory"},
    {"waiting", SQUEUE, "5|N/A|5|PENDING|Priority|N/A|N/A||r1-1", NULL, NULL, 0, GOES_ON, 0, 0, NULL},
    {"running", SQUEUE, "5|N/A|5|RUNNING|None|1|2|n1|r1-1", NULL, NULL, 0, GOES_ON, 0, 0, NULL},
    {"running, for accounting that lags", SACCT, "5|5|RUNNING|0:0|1|2|Unknown|n1|||||r1-1", NULL, NULL, 0, GOES_ON, 0,
     0, NULL},
    {"completing", SQUEUE, "5|N/A|5|COMPLETING|None|1|2|n1|r1-1", NULL, NULL, 0, GOES_ON, 0, 0, NULL},
    {"suspended", SQUEUE, "5|N/A|5|SUSPENDED|None|1|2|n1|r1-1", NULL, NULL, 0, GOES_ON, 0, 0, NULL},
    {"stopped", SQUEUE, "5|N/A|5|STOPPED|None|1|2|n1|r1-1", NULL, NULL, 0, GOES_ON, 0, 0, NULL},
    {"configuring", SQUEUE, "5|N/A|5|CONFIGURING|None|1|2|n1|r1-1", NULL, NULL, 0, GOES_ON, 0, 0, NULL},
    {"requeued", SACCT, "1952|1952|REQUEUED|0:0" AT "n1|4000M|||None|r1-1",
     "1952.batch|1952.batch|CANCELLED|0:15" AT "n1||3256K||| batch", NULL, 0, GOES_ON, 0, 0, NULL},
    {"held after a requeue", SQUEUE, "5|N/A|5|REQUEUE_HOLD|launch_failed_requeued_held|1|2||r1-1", NULL, NULL, 0,
     GOES_ON, 0, 0, NULL},
    {"special exit", SQUEUE, "5|N/A|5|SPECIAL_EXIT|job_requeued_in_held_state|1|2||r1-1", NULL, NULL, 0, GOES_ON, 0, 0,
     NULL},
    {"held because its reservation is gone", SQUEUE, "5|N/A|5|RESV_DEL_HOLD|ReservationDeleted|1|2||r1-1", NULL, NULL,
     0, GOES_ON, 0, 0, NULL},
    {"another cluster of the federation has it", SQUEUE, "5|N/A|5|REVOKED|None|1|2||r1-1", NULL, NULL, 0, GOES_ON, 0, 0,
     NULL},
    {"federation requeues it", SQUEUE, "5|N/A|5|REQUEUE_FED|None|1|2||r1-1", NULL, NULL, 0, GOES_ON, 0, 0, NULL},
    {"resizing", SQUEUE, "5|N/A|5|RESIZING|None|1|2|n1|r1-1", NULL, NULL, 0, GOES_ON, 0, 0, NULL},
    {"signaling", SQUEUE, "5|N/A|5|SIGNALING|None|1|2|n1|r1-1", NULL, NULL, 0, GOES_ON, 0, 0, NULL},
    {"staging out", SQUEUE, "5|N/A|5|STAGE_OUT|None|1|2|n1|r1-1", NULL, NULL, 0, GOES_ON, 0, 0, NULL},
    {"a state of the future", SQUEUE, "5|N/A|5|HIBERNATED|None|1|2|n1|r1-1", NULL, NULL, 0, GOES_ON, 0, 0, NULL},
    {"a word that was cut too short", SACCT, "5|5|RE+|0:0" AT "n1|||||r1-1", NULL, NULL, 0, GOES_ON, 0, 0, NULL},
    {"no state at all", SACCT, "5|5||0:0" AT "n1|||||r1-1", NULL, NULL, 0, GOES_ON, 0, 0, NULL},
};

static void read_line(enum witness witness, const char *line, struct record *record)
{
    bool read = witness == SACCT    ? record_read_account(line, strlen(line), ACCOUNT_ALL, record)
                : witness == SQUEUE ? record_read_queue(line, strlen(line), record)
                                    : record_read_control(line, strlen(line), record);
    ck_assert_msg(read, "cannot read: %s", line);
}

START_TEST(every_ending_has_its_verdict)
{
    struct record job, batch;
    char words[ENDING_REASON] = "";
    read_line(cases[_i].witness, cases[_i].job, &job);
    struct evidence evidence = {.job = &job, .memory_limit = cases[_i].memory, .log_words = words, .user = 1000};
    if (cases[_i].batch != NULL) {
        read_line(cases[_i].witness, cases[_i].batch, &batch);
        ck_assert_int_eq(batch.part, PART_BATCH);
        evidence.batch = &batch;
        evidence.peak_memory = batch.peak_memory;
    }
    if (cases[_i].log != NULL) {
        evidence.log = log_read(cases[_i].log, strlen(cases[_i].log), job.raw, words, sizeof(words));
    }
    struct verdict verdict = {.flags = GOES_ON};
    bool ended = ending_judge(&evidence, &verdict);
    ck_assert_msg(ended == (cases[_i].flags != GOES_ON), "%s: ended: %d", cases[_i].name, ended);
    ck_assert_msg(verdict.flags == cases[_i].flags, "%s: flags %x, not %x (%s)", cases[_i].name, verdict.flags,
                  cases[_i].flags, verdict.reason);
    ck_assert_msg(verdict.exit_code == cases[_i].exit_code && verdict.signal == cases[_i].signal,
                  "%s: exit %d signal %d", cases[_i].name, verdict.exit_code, verdict.signal);
    if (cases[_i].reason != NULL) {
        ck_assert_msg(strstr(verdict.reason, cases[_i].reason) != NULL, "%s: '%s'", cases[_i].name, verdict.reason);
    }
}
END_TEST

Suite *ending_suite(void)
{
    Suite *suite = suite_create("slurm/ending");
    TCase *table = tcase_create("table");
    tcase_add_loop_test(table, every_ending_has_its_verdict, 0, (int)(sizeof(cases) / sizeof(*cases)));
    suite_add_tcase(suite, table);
    return suite;
}
