/* SPDX-License-Identifier: BSD-3-Clause */
/* Every message about the keys of a stage, its members, backends, types and configs, word by word. */
#include "messages.h"

const struct message_case message_cases[] = {
    {"command_is_an_empty_word",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: ['']}\n",
     "p.yaml:2:14: error: 'command' names no program\n"
     "  hint: write [/opt/desc/run.py, --fast]\n",
     false},
    {"variable_of_ours",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], env: {DESC_INPUT: x}}\n",
     "p.yaml:2:25: error: 'DESC_INPUT' cannot be set: variables that begin with DESC_ tell the stage about itself\n"
     "  hint: give it another name\n",
     false},
    {"threads_set_twice",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], env: {OMP_NUM_THREADS: 2}, openmp: 4}\n",
     "p.yaml:2:25: error: stage 'a' sets OMP_NUM_THREADS, and 'openmp' sets it too\n"
     "  hint: remove one of them\n",
     false},
    {"threads_set_once",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], env: {OMP_NUM_THREADS: 2}}\n",
     "", true},
    {"each_in_a_number",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], foreach: {c: [1]}, cpus: '${each.c}'}\n",
     "p.yaml:2:44: error: 'cpus' does not take ${each.KEY}\n"
     "  hint: command, interpreter, env, mounts and workdir take it; the rest is the same for all members\n",
     false},
    {"each_in_a_limit",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], foreach: {c: [1]}, limit: 'l${each.c}'}\n",
     "p.yaml:2:45: error: 'limit' does not take ${each.KEY}\n"
     "  hint: command, interpreter, env, mounts and workdir take it; the rest is the same for all members\n",
     false},
    {"empty_glob",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], foreach: {glob: ''}}\n",
     "p.yaml:2:35: error: 'glob' in 'foreach' is empty\n"
     "  hint: write {glob: \"in/*.fits\"}\n",
     false},
    {"launcher_beside_backend",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {launcher: local, backend: q}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:11: note: 'launcher' is not used, because 'backend' is there too\n"
     "  hint: remove it\n",
     true},
    {"url_as_a_path",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {inputs: {x: 'https://example.org/f?token=geheim'}}\n"
     "a: {command: [x], inputs: {x: fits}}\n",
     "p.yaml:2:23: error: the input 'x' is a URL where a path is wanted\n"
     "  hint: write {url: ..., sha256: ...}\n",
     false},
    {"empty_input_path",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {inputs: {x: ''}}\n"
     "a: {command: [x], inputs: {x: fits}}\n",
     "p.yaml:2:23: error: the input 'x' is empty\n", false},
    {"unknown_stage_key",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], cpu: 4}\n",
     "p.yaml:2:19: error: a stage has no key 'cpu'\n"
     "  hint: did you mean 'cpus'?\n",
     false},
    {"old_keys",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], processes: 4, cores: 2, time: 10, depends_on: []}\n",
     "p.yaml:2:19: note: the key 'processes' is not read and never was\n"
     "  hint: write 'ppn'\n"
     "p.yaml:2:33: note: the key 'cores' is not read and never was\n"
     "  hint: write 'cpus'\n"
     "p.yaml:2:43: note: the key 'time' is not read and never was\n"
     "  hint: write 'minutes'\n"
     "p.yaml:2:53: note: the key 'depends_on' is not read and never was\n"
     "  hint: write 'depends-on'\n",
     true},
    {"bad_cpus",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], cpus: many}\n",
     "p.yaml:2:25: error: 'cpus' must be a whole number from 1 to 65536, not 'many'\n", false},
    {"zero_cpus",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], cpus: 0}\n",
     "p.yaml:2:25: error: 'cpus' must be a whole number from 1 to 65536, not '0'\n", false},
    {"cpus_is_a_list",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], cpus: [1]}\n",
     "p.yaml:2:25: error: 'cpus' must be a whole number from 1 to 65536, not a list\n", false},
    {"cpus_is_empty",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], cpus: }\n",
     "p.yaml:2:25: error: 'cpus' must be a whole number from 1 to 65536, not empty\n", false},
    {"bad_memory",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], memory: lots}\n",
     "p.yaml:2:27: error: 'memory' must be an amount of bytes, not 'lots'\n"
     "  hint: write 8GiB, 500MB or 4096\n",
     false},
    {"small_memory",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], memory: 8}\n",
     "p.yaml:2:27: error: 'memory' must be at least 1 MiB, not '8'\n"
     "  hint: write the unit: 8GiB, 500MB\n",
     false},
    {"bad_minutes",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], minutes: 1.5}\n",
     "p.yaml:2:28: error: 'minutes' must be a whole number from 1 to 5256000, not '1.5'\n", false},
    {"bad_parallel",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], parallel: openmp}\n",
     "p.yaml:2:29: error: 'parallel' must be serial, mpi or embarrassing, not 'openmp'\n", false},
    {"serial_with_nodes",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], parallel: serial, nodes: 2}\n",
     "p.yaml:2:29: error: stage 'a' is serial but asks for several nodes or ranks\n"
     "  hint: remove it, or write parallel: mpi\n",
     false},
    {"embarrassing_without_members",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], parallel: embarassing}\n",
     "p.yaml:2:29: error: stage 'a' is embarrassingly parallel but has no members\n"
     "  hint: write size: 100 or foreach: {band: [g, r, i]}\n",
     false},
    {"size_with_mpi",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], parallel: mpi, size: 4}\n",
     "p.yaml:2:29: error: stage 'a' has a size but is not embarrassingly parallel\n"
     "  hint: size counts the members of an embarrassingly parallel stage\n",
     false},
    {"size_and_foreach",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], size: 4, foreach: {b: [g]}}\n",
     "p.yaml:2:1: error: stage 'a' has both 'size' and 'foreach'\n"
     "  hint: size: N is short for foreach: {rank: 0…N-1}\n",
     false},
    {"command_is_text",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: run.py}\n",
     "p.yaml:2:14: error: 'command' must be a list of words, not 'run.py'\n"
     "  hint: write [/opt/desc/run.py, --fast]; for a shell line use script: |\n",
     false},
    {"command_is_empty",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: []}\n",
     "p.yaml:2:14: error: 'command' names no program\n"
     "  hint: write [/opt/desc/run.py, --fast]\n",
     false},
    {"command_and_script",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], script: echo}\n",
     "p.yaml:2:1: error: stage 'a' has both 'command' and 'script'\n"
     "  hint: remove one of them\n",
     false},
    {"interpreter_without_script",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], interpreter: [python3]}\n",
     "p.yaml:2:32: error: stage 'a' has an 'interpreter' but no 'script'\n"
     "  hint: write script: | and the lines below it, or remove it\n",
     false},
    {"checkout_without_github",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], checkout: v1}\n",
     "p.yaml:2:1: error: stage 'a' has a 'checkout' but no 'github'\n"
     "  hint: add github: OWNER/REPOSITORY, or remove it\n",
     false},
    {"bad_github",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {github: 'https://github.com/a/b'}\n",
     "p.yaml:2:13: error: 'github' must be OWNER/REPOSITORY, not 'https://github.com/a/b'\n", false},
    {"bad_workdir",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], workdir: home}\n",
     "p.yaml:2:28: error: 'workdir' must be an absolute path inside the container, not 'home'\n", false},
    {"bad_pull",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], pull: sometimes}\n",
     "p.yaml:2:25: error: 'pull' must be missing, always or never, not 'sometimes'\n", false},
    {"bad_network",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], network: off}\n",
     "p.yaml:2:28: error: 'network' must be true or false, not 'off'\n", false},
    {"bad_tag",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {outputs: {'a/b': fits}}\n",
     "p.yaml:2:15: error: 'a/b' cannot be a tag\n"
     "  hint: a tag has letters, digits, '_', '-', '.' and '+', at most 128\n",
     false},
    {"suffix_with_dot",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {outputs: {t: .fits}}\n",
     "p.yaml:2:18: error: '.fits' cannot be the suffix of 't'\n"
     "  hint: write it without the dot in front\n",
     false},
    {"bad_suffix",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {outputs: {t: 'a/b'}}\n",
     "p.yaml:2:18: error: 'a/b' cannot be the suffix of 't'\n"
     "  hint: write fits, tar.gz, or / for a folder\n",
     false},
    {"inputs_is_a_list",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {inputs: [t]}\n",
     "p.yaml:2:13: error: 'inputs' must be a mapping of tags to suffixes, not a list\n"
     "  hint: write {catalog: fits}\n",
     false},
    {"env_is_a_list",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], env: [A]}\n",
     "p.yaml:2:24: error: 'env' must be a mapping of names to texts, not a list\n", false},
    {"bad_variable_name",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], env: {A-B: c}}\n",
     "p.yaml:2:25: error: 'A-B' cannot name a variable\n", false},
    {"variable_is_a_list",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], env: {A: [c]}}\n",
     "p.yaml:2:28: error: the variable 'A' of stage 'a' must be a text or {secret: NAME}, not a list\n", false},
    {"literal_secret_is_not_shown",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], env: {API_TOKEN: abc123}}\n",
     "p.yaml:2:25: warning: the variable 'API_TOKEN' of stage 'a' looks like a secret that stands in plain text\n"
     "  hint: write {secret: NAME} and say under 'secrets:' of your own configuration where its value is\n",
     true},
    {"secret_reference_is_fine",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], env: {API_TOKEN: {secret: t}}}\n",
     "", true},
    {"bad_mount",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], mounts: ['/cvmfs']}\n",
     "p.yaml:2:28: error: '/cvmfs' is not a mount\n"
     "  hint: write SOURCE:/TARGET or SOURCE:/TARGET:ro\n",
     false},
    {"bad_mount_mode",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], mounts: ['/cvmfs:/cvmfs:rx']}\n",
     "p.yaml:2:28: error: '/cvmfs:/cvmfs:rx' is not a mount\n"
     "  hint: write SOURCE:/TARGET or SOURCE:/TARGET:ro\n",
     false},
    {"mount_over_input",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], mounts: ['/x:/opt/input/x']}\n",
     "p.yaml:2:28: error: the mount target '/opt/input/x' is where the stage's own files are\n", false},
    {"mounts_is_text",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], mounts: '/x:/y'}\n",
     "p.yaml:2:27: error: 'mounts' must be a list, not '/x:/y'\n"
     "  hint: write [\"/cvmfs:/cvmfs:ro\"]\n",
     false},
    {"bad_retry_reason",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], retries: {limit: 1, on: [sometimes]}}\n",
     "p.yaml:2:44: error: 'sometimes' is no reason to retry\n"
     "  hint: known: node-fail, preempted, timeout, oom, lost, image, fail, exit:N\n",
     false},
    {"bad_retry_exit",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], retries: {on: ['exit:300']}}\n",
     "p.yaml:2:34: error: an exit status to retry on is from 1 to 255\n"
     "  hint: write exit:75\n",
     false},
    {"bad_retry_factor",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], retries: {memory: 2}}\n",
     "p.yaml:2:37: error: 'memory' of 'retries' must be a factor from x1 to x10, not '2'\n"
     "  hint: write x2 or x1.5\n",
     false},
    {"bad_backoff",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], retries: {backoff: soon}}\n",
     "p.yaml:2:38: error: 'backoff' must be a length of time, not 'soon'\n"
     "  hint: write 90 (seconds), 30s, 5m, 2h or 1d\n",
     false},
    {"unknown_retry_key",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], retries: {limits: 3}}\n",
     "p.yaml:2:29: error: 'retries' has no key 'limits'\n"
     "  hint: did you mean 'limit'?\n",
     false},
    {"retries_is_a_list",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], retries: [3]}\n",
     "p.yaml:2:28: error: 'retries' must be a number or a mapping, not a list\n"
     "  hint: write {limit: 2, on: [node-fail]}\n",
     false},
    {"checkpoint_without_files",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], minutes: 9, outputs: {o: txt}, checkpoint: {links: 3}}\n",
     "p.yaml:2:62: error: 'checkpoint' must be a mapping with 'files', not a mapping\n"
     "  hint: write {files: \"checkpoint*\", signal: USR1, before: 5m, links: 10}\n",
     false},
    {"checkpoint_outside_its_folder",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], minutes: 9, outputs: {o: txt}, checkpoint: {files: [s.h5, ../x]}}\n",
     "p.yaml:2:77: error: 'files' of 'checkpoint' must be the names of files in the stage's output folder, not '../x'\n"
     "  hint: write state.npz, or \"checkpoint/*.h5\"\n",
     false},
    {"checkpoint_by_another_signal",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], minutes: 9, outputs: {o: txt}, checkpoint: {files: s, signal: TERM}}\n",
     "p.yaml:2:81: error: 'signal' of 'checkpoint' must be USR1 or USR2, not 'TERM'\n"
     "  hint: the others have their own meaning: TERM is how a stage is asked to end\n",
     false},
    {"unknown_checkpoint_key",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], minutes: 9, outputs: {o: txt}, checkpoint: {file: s, files: s}}\n",
     "p.yaml:2:63: error: 'checkpoint' has no key 'file'\n"
     "  hint: did you mean 'files'?\n",
     false},
    {"checkpoint_without_limit_and_outputs",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], checkpoint: {files: s}}\n",
     "p.yaml:2:31: error: stage 'a' has a 'checkpoint' but no 'minutes'\n"
     "  hint: say how long one attempt may take: minutes: 60\n"
     "p.yaml:2:31: error: stage 'a' has a 'checkpoint' but no 'outputs'\n"
     "  hint: a stage keeps its checkpoint in the folder of its outputs, $DESC_OUTPUT\n",
     false},
    {"checkpoint_before_it_begins",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], minutes: 5, outputs: {o: txt}, checkpoint: {files: s}}\n",
     "p.yaml:2:62: error: 'before' in 'checkpoint' of stage 'a' must be more than nothing and less than its 5 minutes\n"
     "  hint: it is how long before its limit the stage is told: before: 5m\n",
     false},
    {"max_memory_below_memory",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], memory: 8GiB, retries: {max-memory: 4GiB}}\n",
     "p.yaml:2:1: error: 'max-memory' of stage 'a' is less than its 'memory'\n", false},
    {"undefined_limit",
     "pipeline: {name: p, stages: [a]}\n"
     "limits: {earthdata: 4}\n"
     "a: {command: [x], limit: earthdat}\n",
     "p.yaml:3:26: error: the limit 'earthdat' of stage 'a' is not defined\n"
     "  hint: did you mean 'earthdata'?\n",
     false},
    {"undefined_limit_without_idea",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], limit: x}\n",
     "p.yaml:2:26: error: the limit 'x' of stage 'a' is not defined\n"
     "  hint: add limits: {x: 4}\n",
     false},
    {"bad_limit",
     "pipeline: {name: p, stages: [a]}\n"
     "limits: {x: none}\n"
     "a: {command: [x], limit: x}\n",
     "p.yaml:2:13: error: the limit 'x' must be a whole number from 1 to 1000000, not 'none'\n", false},
    {"on_is_a_list",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], on: [slurm]}\n",
     "p.yaml:2:23: error: 'on' must be a mapping of schedulers and runtimes to options, not a list\n"
     "  hint: write {slurm: {qos: debug}}\n",
     false},
    {"on_of_text",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], on: {slurm: debug}}\n",
     "p.yaml:2:31: error: an entry of 'on' must be a mapping of options, not 'debug'\n"
     "  hint: write {slurm: {qos: debug}}\n",
     false},
    {"on_of_bad_name",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], on: {Slurm: {}}}\n",
     "p.yaml:2:24: error: 'Slurm' is not a plugin's name\n", false},
    {"foreach_is_a_list",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], foreach: [g, r]}\n",
     "p.yaml:2:28: error: 'foreach' must be a mapping of keys to values\n"
     "  hint: write {band: [g, r, i]} or {glob: \"in/*.fits\"}\n",
     false},
    {"foreach_key",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], foreach: {Band: [g]}}\n",
     "p.yaml:2:29: error: 'Band' cannot be a key of 'foreach': lower-case letters, digits, '_' and '-'\n"
     "  hint: it becomes ${each.KEY} and DESC_EACH_KEY\n",
     false},
    {"foreach_value",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], foreach: {band: g}}\n",
     "p.yaml:2:35: error: 'band' in 'foreach' must be a list of texts or {glob: PATTERN}\n"
     "  hint: write [g, r, i] or {glob: \"in/*.fits\"}\n",
     false},
    {"foreach_empty",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], foreach: {band: []}}\n",
     "p.yaml:2:35: error: 'band' in 'foreach' has no values\n", false},
    {"foreach_twice",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], foreach: {band: [g, g]}}\n",
     "p.yaml:2:39: error: the value 'g' of 'band' is given twice\n", false},
    {"foreach_no_match",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], foreach: {glob: 'none*.fits'}}\n",
     "p.yaml:2:35: error: no file matches 'none*.fits'\n"
     "  hint: a relative pattern counts from the working directory (or --base)\n",
     false},
    {"foreach_glob_beside",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], foreach: {glob: 'none*.fits', band: [g]}}\n",
     "p.yaml:2:29: error: 'glob' beside other keys of 'foreach' needs a name\n"
     "  hint: write {file: {glob: PATTERN}, band: [g, r, i]}\n",
     false},
    {"each_of_no_key",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x, '${each.bnd}'], foreach: {band: [g]}}\n",
     "p.yaml:2:18: error: stage 'a' has no foreach key 'bnd'\n"
     "  hint: foreach: {band: [g, r, i]} makes ${each.band}\n",
     false},
    {"members_differ",
     "pipeline: {name: p, stages: [a, b]}\n"
     "a: {outputs: {t: fits}, foreach: {band: [g, r]}}\n"
     "b: {inputs: {t: fits}, foreach: {band: [g, i]}}\n",
     "p.yaml:3:14: error: the member 'i' of stage 'b' takes 't' from the same member of 'a', which has none\n"
     "  hint: stages with the same foreach keys work member by member: give both the same values\n",
     false},
    {"backend_unknown_key",
     "pipeline: {name: p, stages: [a]}\n"
     "backends: {x: {schedular: slurm}}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:16: error: backend 'x' has no key 'schedular'\n"
     "  hint: did you mean 'scheduler'?\n",
     false},
    {"backend_without_use",
     "pipeline: {name: p, stages: [a]}\n"
     "backends: {x: {scheduler: {account: m1}}}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:27: error: the scheduler of backend 'x' names no plugin\n"
     "  hint: write a name, or {use: NAME, OPTION: VALUE}\n",
     false},
    {"backend_bad_name",
     "pipeline: {name: p, stages: [a]}\n"
     "backends: {x: {scheduler: Slurm}}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:27: error: the scheduler of backend 'x' cannot be 'Slurm'\n"
     "  hint: a plugin's name has lower-case letters, digits and '-'\n",
     false},
    {"backend_is_text",
     "pipeline: {name: p, stages: [a]}\n"
     "backends: {x: slurm}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:15: error: backend 'x' must be a mapping\n"
     "  hint: write {scheduler: NAME, runtime: NAME, registry: NAME}\n",
     false},
    {"backend_images_list",
     "pipeline: {name: p, stages: [a]}\n"
     "backends: {x: {images: [y]}}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:24: error: 'images' of backend 'x' must be a reference or a mapping of stages to references, not a "
     "list\n",
     false},
    {"type_without_magic",
     "pipeline: {name: p, stages: [a]}\n"
     "types: {sac: {offset: 4}}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:14: error: the type of 'sac' has no magic bytes\n"
     "  hint: write {magic: TEXT} or {hex: 89504e47}, with offset: N if needed\n",
     false},
    {"type_bad_hex",
     "pipeline: {name: p, stages: [a]}\n"
     "types: {sac: {hex: 8}}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:20: error: 'hex' must be from 1 to 32 bytes in hexadecimal\n"
     "  hint: like 89504e47\n",
     false},
    {"type_unknown_key",
     "pipeline: {name: p, stages: [a]}\n"
     "types: {sac: {magick: x}}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:15: error: a file type has no key 'magick'\n"
     "  hint: did you mean 'magic'?\n",
     false},
    {"config_not_given",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {config: {config: tomo.yaml}}\n",
     "p.yaml:2:1: error: stage 'a' is described nowhere\n"
     "  hint: give it inputs, outputs or a command, or add its folder to pipeline.images\n"
     "p.yaml:2:1: error: stage 'a' needs the config file 'config' (tomo.yaml), which runtime.config does not give\n"
     "  hint: add runtime: {config: {a: {config: PATH}}}\n",
     false},
    {"config_with_path",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], config: {config: ./tomo.yaml}}\n"
     "runtime: {config: {a: {config: ./file.fits}}}\n",
     "p.yaml:2:28: error: './tomo.yaml' cannot be the name of a config file inside the container\n"
     "  hint: name the file in runtime.config: {STAGE: {TAG: PATH}}, or let runtime.config be its folder\n",
     false},
    {"config_missing",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], config: {config: tomo.yaml}}\n"
     "runtime: {config: {a: {config: ./none.yaml}}}\n",
     "p.yaml:3:24: error: the config file 'config' of stage 'a': cannot read '@/none.yaml': No such file or directory\n"
     "  hint: relative paths count from the working directory (or --base)\n",
     false},
    {"config_folder_missing_file",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], config: {config: sub/tomo.yaml}}\n"
     "runtime: {config: ./folder}\n",
     "p.yaml:2:28: error: the config file 'config' of stage 'a': cannot read '@/folder/sub/tomo.yaml': No such file or "
     "directory\n"
     "  hint: relative paths count from the working directory (or --base)\n",
     false},
    {"config_of_no_stage",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x]}\n"
     "runtime: {config: {aa: {config: ./file.fits}}}\n",
     "p.yaml:3:25: note: runtime.config names 'aa', which is no listed stage\n", true},
    {"config_of_no_tag",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x]}\n"
     "runtime: {config: {a: {config: ./file.fits}}}\n",
     "p.yaml:3:24: note: stage 'a' has no config file 'config'\n", true},
    {"all_problems_at_once",
     "pipeline: {name: p, stages: [a, b]}\n"
     "runtime: {inputs: {t: ./nothing.fits}, worknig: x}\n"
     "a: {inputs: {t: fits}, cpus: many, outputs: {u: fits}}\n"
     "b: {inputs: {u: hdf5, v: fits}, memory: lots}\n",
     "p.yaml:2:20: error: the input 't': cannot read '@/nothing.fits': No such file or directory\n"
     "  hint: relative paths count from the working directory (or --base)\n"
     "p.yaml:2:40: error: 'runtime' has no key 'worknig'\n"
     "  hint: did you mean 'working'?\n"
     "p.yaml:3:30: error: 'cpus' must be a whole number from 1 to 65536, not 'many'\n"
     "p.yaml:4:14: error: stage 'b' takes 'u' as 'hdf5', but stage 'a' makes it as 'fits'\n"
     "p.yaml:4:23: error: the input 'v' of stage 'b' comes from nowhere: no stage makes it and runtime.inputs does not "
     "name it\n"
     "  hint: add runtime: {inputs: {v: PATH}}\n"
     "p.yaml:4:41: error: 'memory' must be an amount of bytes, not 'lots'\n"
     "  hint: write 8GiB, 500MB or 4096\n",
     false},
    {"no_pipeline", "runtime: {working: ./w}\n",
     "p.yaml: error: there is no section 'pipeline'\n"
     "  hint: write pipeline: {name: x, stages: [first, second]}\n",
     false},
    {"sections_before_pipeline",
     "a: {cpus: 4}\n"
     "pipeline: {name: p, stages: [a]}\n",
     "p.yaml:1:1: error: stage 'a' is described nowhere\n"
     "  hint: give it inputs, outputs or a command, or add its folder to pipeline.images\n",
     false},
    {"template_section_is_silent",
     "defaults: &d {command: [x], cpus: 4}\n"
     "pipeline: {name: p, stages: [a]}\n"
     "a: {<<: *d}\n",
     "", true},
    {"section_near_a_stage_without_section",
     "pipeline: {images: [./images], stages: [rough]}\n"
     "rouhg: {cpus: 4}\n",
     "@/images/rough/dockerfile:2:1: note: this ENTRYPOINT starts a shell in between\n"
     "  hint: write ENTRYPOINT [\"program\", \"argument\"]\n"
     "@/images/rough/run.py: note: the file is not executable\n"
     "  hint: chmod +x it before the image is built\n"
     "@/images/rough/run.py:1:1: note: the file has no '#!' line\n"
     "  hint: begin it with #!/usr/bin/env python3\n"
     "p.yaml:2:1: error: section 'rouhg' is no stage's: pipeline.stages does not list it\n"
     "  hint: did you mean 'rough'?\n",
     false},
    {"deep",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: "
     "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
     "]]]]]]]]]]]]]]]]]]]]]]]]]]]}\n",
     "p.yaml:2:76: error: values are nested deeper than 64 levels\n", false},
    {"laughs",
     "x: &a [1,1,1,1,1,1,1,1,1,1]\n"
     "y: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
     "z: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
     "w: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
     "v: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
     "u: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
     "t: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n"
     "pipeline: {name: p, stages: [a]}\n",
     "p.yaml:6:35: error: with its aliases this entry holds more than 1000000 values\n"
     "  hint: aliases of aliases multiply: write the values out or use fewer\n",
     false},
    {0},
};
