/* SPDX-License-Identifier: BSD-3-Clause */
/* Every message about the file, its sections, tags and the graph, word by word. */
#include "messages.h"

const struct message_case message_cases[] = {
    {"missing_variable_at_its_place",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x, 'y ${NOT_SET_HERE}']}\n",
     "p.yaml:2:21: error: the variable 'NOT_SET_HERE' is not set\n"
     "  hint: set it, or write ${NAME:-default}; $$ is a dollar\n",
     false},
    {"variable_without_name",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x, '${a b}']}\n",
     "p.yaml:2:19: error: '${a b}' names no variable\n"
     "  hint: write ${NAME} or ${NAME:-default}; $$ is a dollar\n",
     false},
    {"variable_not_closed",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x, 'y${A']}\n",
     "p.yaml:2:20: error: a '${' is not closed by '}'\n"
     "  hint: $$ is a dollar\n",
     false},
    {"duplicate_key_names_both_places",
     "pipeline: {name: p, stages: [a]}\n"
     "a:\n"
     "  cpus: 1\n"
     "  command: [x]\n"
     "  cpus: 2\n",
     "p.yaml:5:3: error: the key 'cpus' is already given at p.yaml:3:3\n"
     "  hint: remove one of them\n",
     false},
    {"duplicate_section",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x]}\n"
     "b: {}\n"
     "a: {command: [y]}\n",
     "p.yaml:3:1: note: section 'b' is not used: pipeline.stages does not list it\n"
     "p.yaml:4:1: error: the key 'a' is already given at p.yaml:2:1\n"
     "  hint: remove one of them\n",
     false},
    {"tag",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {cpus: !!int 4, command: [x]}\n",
     "p.yaml:2:11: error: the tag '!!int' is not supported\n"
     "  hint: remove it; quotes make a text of a number\n",
     false},
    {"second_document",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x]}\n"
     "---\n"
     "b: 1\n",
     "p.yaml:3:1: error: a second document begins here: a file holds one\n"
     "  hint: keep one and remove the others\n",
     false},
    {"tab",
     "pipeline:\n"
     "\tname: x\n",
     "p.yaml:2:1: error: a tab cannot be used to indent\n"
     "  hint: use spaces\n",
     false},
    {"not_yaml_colon", "pipeline: a: b\n",
     "p.yaml:1:11: error: 'pipeline' must be a mapping, not 'a'\n"
     "p.yaml:1:12: error: not YAML: a ':' is not expected here\n"
     "  hint: put a text that holds ': ' in quotes; check the indentation\n",
     false},
    {"alias_without_anchor",
     "pipeline: {name: p, stages: [a]}\n"
     "a: *x\n",
     "p.yaml:2:4: error: there is no anchor '&x' for this alias\n"
     "  hint: an anchor must come before its alias\n",
     false},
    {"alias_in_itself",
     "pipeline: {name: p, stages: [a]}\n"
     "a: &x {command: [*x]}\n",
     "p.yaml:2:17: error: 'command' names no program\n"
     "  hint: write [/opt/desc/run.py, --fast]\n"
     "p.yaml:2:18: error: the alias '*x' stands inside its own anchor\n"
     "  hint: a value cannot contain itself\n",
     false},
    {"list_as_root",
     "- a\n"
     "- b\n",
     "p.yaml:1:1: error: the file must be a mapping of keys to values\n", false},
    {"text_as_root", "hello\n", "p.yaml:1:1: error: the file must be a mapping of keys to values\n", false},
    {"key_is_a_list",
     "pipeline: {name: p, stages: [a]}\n"
     "[a, b]: 1\n",
     "p.yaml:2:1: error: a key must be a text, not a list or a mapping\n"
     "  hint: a text that begins with '{' or '[' needs quotes\n",
     false},
    {"merge_of_text",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {<<: x, command: [x]}\n",
     "p.yaml:2:9: error: the merge key '<<' takes a mapping or a list of mappings\n", false},
    {"two_merges",
     "pipeline: {name: p, stages: [a]}\n"
     "d: &d {cpus: 1}\n"
     "a:\n"
     "  <<: *d\n"
     "  <<: *d\n"
     "  command: [x]\n",
     "p.yaml:5:3: error: the mapping already has a merge key '<<'\n"
     "  hint: write <<: [*first, *second]\n",
     false},
    {"not_utf8",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: ['\377']}\n",
     "p.yaml:2:16: error: the byte 0xFF is not UTF-8\n"
     "  hint: save the file as UTF-8\n",
     false},
    {"control_character",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: ['\001']}\n",
     "p.yaml:2:16: error: the control character 0x01 is not allowed\n"
     "  hint: write it as \\x.. in double quotes\n",
     false},
    {"nul_character",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [\"\\0\"]}\n",
     "p.yaml:2:15: error: a text cannot hold a NUL character\n", false},
    {"reserved_character",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {image: @x}\n",
     "p.yaml:2:12: error: a text cannot begin with '@'\n"
     "  hint: put the text in quotes\n",
     false},
    {"empty_file", "",
     "p.yaml: error: there is no section 'pipeline'\n"
     "  hint: write pipeline: {name: x, stages: [first, second]}\n",
     false},
    {"unknown_key_of_pipeline",
     "pipeline: {name: p, stages: [a], verison: 2}\n"
     "a: {command: [x]}\n",
     "p.yaml:1:34: error: 'pipeline' has no key 'verison'\n"
     "  hint: did you mean 'version'?\n",
     false},
    {"no_stages", "pipeline: {name: p}\n",
     "p.yaml:1:1: error: 'pipeline' needs the key 'stages'\n"
     "  hint: write stages: [first, second]\n",
     false},
    {"empty_stages", "pipeline: {name: p, stages: []}\n", "p.yaml:1:29: error: 'stages' lists no stage\n", false},
    {"stages_not_a_list", "pipeline: {name: p, stages: a}\n",
     "p.yaml:1:29: error: 'stages' must be a list of names, not 'a'\n", false},
    {"stage_twice",
     "pipeline:\n"
     "  stages: [a,\n"
     "    a]\n"
     "a: {command: [x]}\n",
     "p.yaml:3:5: error: the stage 'a' is already listed at p.yaml:2:12\n", false},
    {"stage_named_data", "pipeline: {stages: [data]}\n",
     "p.yaml:1:21: error: a stage cannot be named 'data': 'data' in the working folder holds what all stages "
     "published\n"
     "  hint: give it another name, or one with more to it: make-data\n",
     false},
    {"stage_with_hidden_name", "pipeline: {stages: [.descpipe]}\n",
     "p.yaml:1:21: error: '.descpipe' cannot name a stage\n"
     "  hint: a name has letters, digits, '_', '-', '.' and '+', at most 128\n",
     false},
    {"stage_named_like_section", "pipeline: {stages: [runtime]}\n",
     "p.yaml:1:21: error: a stage cannot be named 'runtime': that is a section of the file\n", false},
    {"bad_stage_name", "pipeline: {stages: [a/b]}\n",
     "p.yaml:1:21: error: 'a/b' cannot name a stage\n"
     "  hint: a name has letters, digits, '_', '-', '.' and '+', at most 128\n",
     false},
    {"pipeline_not_a_mapping", "pipeline: [a]\n", "p.yaml:1:11: error: 'pipeline' must be a mapping, not a list\n",
     false},
    {"version_of_the_original",
     "pipeline: {version: 1.10, stages: [a]}\n"
     "a: {command: [x]}\n",
     "p.yaml:1:21: note: the version is '1.10' as written; the original descpipe read it as the number 1.1\n"
     "  hint: put it in quotes to say that it is meant so\n",
     true},
    {"images_folder_missing",
     "pipeline: {images: [./nowhere], stages: [a]}\n"
     "a: {command: [x]}\n",
     "p.yaml:1:21: warning: the folder './nowhere' of 'images' does not exist\n"
     "  hint: relative paths count from the working directory (or --base)\n",
     true},
    {"unknown_key_of_runtime",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {worknig: ./w}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:11: error: 'runtime' has no key 'worknig'\n"
     "  hint: did you mean 'working'?\n",
     false},
    {"bad_launcher",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {launcher: slurm}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:21: error: 'launcher' must be local or nersc, not 'slurm'\n"
     "  hint: newer files name a backend: backend: NAME\n",
     false},
    {"bad_group_readable",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {group-readable: yes}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:27: error: 'group-readable' must be true or false, not 'yes'\n", false},
    {"bad_late_outputs",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {late-outputs: 2h}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:25: error: 'late-outputs' must be at most 1h\n"
     "  hint: it is how long a shared file system may take to show what another node has written\n",
     false},
    {"bad_jobs",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {jobs: 0}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:17: error: 'jobs' must be a whole number from 1 to 1000000, not '0'\n", false},
    {"empty_working",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {working: ''}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:20: error: 'working' must be a folder, not ''\n", false},
    {"input_without_url",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {inputs: {t: {sha256: x}}}\n"
     "a: {inputs: {t: fits}}\n",
     "p.yaml:2:23: error: the input has no 'url'\n"
     "  hint: write a path, or {url: ..., sha256: ...}\n"
     "p.yaml:2:32: error: 'sha256' must be 64 lower-case hexadecimal digits\n",
     false},
    {"input_with_bad_url",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {inputs: {t: {url: 'ftp://h/s?key=s3cret'}}}\n"
     "a: {inputs: {t: fits}}\n",
     "p.yaml:2:29: error: 'url' must begin with https:// or http://\n", false},
    {"input_over_plain_http",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {inputs: {t: {url: 'http://h/x'}}}\n"
     "a: {inputs: {t: fits}}\n",
     "p.yaml:2:29: error: an input over plain http needs a 'sha256'\n"
     "  hint: add sha256: with the file's digest\n",
     false},
    {"input_with_unknown_key",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {inputs: {t: {url: 'https://h/x', sha265: y}}}\n"
     "a: {inputs: {t: fits}}\n",
     "p.yaml:2:29: note: the input 't' has no sha256: it is fetched once for each working folder, unchecked\n"
     "  hint: add sha256: with the file's digest, and every run checks it\n"
     "p.yaml:2:44: error: an input has no key 'sha265'\n"
     "  hint: did you mean 'sha256'?\n",
     false},
    {"input_missing",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {inputs: {t: ./nothing.fits}}\n"
     "a: {inputs: {t: fits}}\n",
     "p.yaml:2:20: error: the input 't': cannot read '@/nothing.fits': No such file or directory\n"
     "  hint: relative paths count from the working directory (or --base)\n",
     false},
    {"input_is_a_folder",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {inputs: {t: ./folder}}\n"
     "a: {inputs: {t: fits}}\n",
     "p.yaml:2:20: error: the input 't': '@/folder' is not a regular file\n"
     "  hint: an input with the suffix '/' may be a folder\n",
     false},
    {"input_is_no_folder",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {inputs: {t: ./file.fits}}\n"
     "a: {inputs: {t: /}}\n",
     "p.yaml:2:20: error: the input 't': '@/file.fits' is not a folder\n", false},
    {"input_not_taken",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {inputs: {t: ./file.fits}}\n"
     "a: {command: [x]}\n",
     "p.yaml:2:20: note: no stage takes an input 't'\n", true},
    {"input_wins_over_producer",
     "pipeline: {name: p, stages: [a, b]}\n"
     "runtime: {inputs: {t: ./file.fits}}\n"
     "a: {outputs: {t: fits}}\n"
     "b: {inputs: {t: fits}}\n",
     "p.yaml:2:20: note: the given input 't' is used in place of the output of stage 'a'\n", true},
    {"input_with_two_suffixes",
     "pipeline: {name: p, stages: [a, b]}\n"
     "runtime: {inputs: {t: ./file.fits}}\n"
     "a: {inputs: {t: fits}}\n"
     "b: {inputs: {t: hdf5}}\n",
     "p.yaml:4:14: error: stage 'b' takes the input 't' as 'hdf5', another stage takes it as 'fits'\n", false},
    {"folder_from_a_url",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {inputs: {t: {url: 'https://h/x'}}}\n"
     "a: {inputs: {t: /}}\n",
     "p.yaml:2:20: error: the input 't' is a folder and cannot come from a url\n"
     "p.yaml:2:29: note: the input 't' has no sha256: it is fetched once for each working folder, unchecked\n"
     "  hint: add sha256: with the file's digest, and every run checks it\n",
     false},
    {"input_from_a_url_without_digest",
     "pipeline: {name: p, stages: [a]}\n"
     "runtime: {inputs: {t: {url: 'https://h/x?key=s3cret'}}}\n"
     "a: {inputs: {t: fits}}\n",
     "p.yaml:2:29: note: the input 't' has no sha256: it is fetched once for each working folder, unchecked\n"
     "  hint: add sha256: with the file's digest, and every run checks it\n",
     true},
    {"input_from_nowhere",
     "pipeline: {name: p, stages: [a, b]}\n"
     "a: {outputs: {catalog: fits}}\n"
     "b: {inputs: {catalogg: fits}}\n",
     "p.yaml:3:14: error: the input 'catalogg' of stage 'b' comes from nowhere: no stage makes it and runtime.inputs "
     "does not name it\n"
     "  hint: did you mean 'catalog'?\n",
     false},
    {"input_from_nowhere_without_idea",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {inputs: {zzz: fits}}\n",
     "p.yaml:2:14: error: the input 'zzz' of stage 'a' comes from nowhere: no stage makes it and runtime.inputs does "
     "not name it\n"
     "  hint: add runtime: {inputs: {zzz: PATH}}\n",
     false},
    {"two_producers",
     "pipeline: {name: p, stages: [a, b]}\n"
     "a: {outputs: {t: fits}}\n"
     "b: {outputs: {t: fits}}\n",
     "p.yaml:3:15: error: the tag 't' is an output of two stages: 'a' and 'b'\n"
     "  hint: give one of the two outputs another tag\n",
     false},
    {"suffixes_differ",
     "pipeline: {name: p, stages: [a, b]}\n"
     "a: {outputs: {t: fits}}\n"
     "b: {inputs: {t: hdf5}}\n",
     "p.yaml:3:14: error: stage 'b' takes 't' as 'hdf5', but stage 'a' makes it as 'fits'\n", false},
    {"takes_its_own_output",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {inputs: {t: fits}, outputs: {t: fits}}\n",
     "p.yaml:2:14: error: stage 'a' takes its own output 't'\n"
     "  hint: give the output another tag\n",
     false},
    {"circle_is_named_in_full",
     "pipeline: {stages: [a, b, c]}\n"
     "a: {inputs: {z: x}, outputs: {x: x}}\n"
     "b: {inputs: {x: x}, outputs: {y: x}}\n"
     "c: {inputs: {y: x}, outputs: {z: x}}\n",
     "p.yaml:2:1: error: stages wait for each other in a circle: a → b → c → a\n"
     "  hint: each waits for the one before it, by a tag it takes or by depends-on\n",
     false},
    {"two_circles",
     "pipeline: {stages: [a, b, c, d]}\n"
     "a: {command: [x], depends-on: [b]}\n"
     "b: {command: [x], depends-on: [a]}\n"
     "c: {command: [x], depends-on: [d]}\n"
     "d: {command: [x], depends-on: [c]}\n",
     "p.yaml:2:1: error: stages wait for each other in a circle: a → b → a\n"
     "  hint: each waits for the one before it, by a tag it takes or by depends-on\n"
     "p.yaml:2:32: note: stage 'a' depends on 'b' but takes no data from it\n"
     "  hint: remove it unless the order matters: it costs parallelism\n"
     "p.yaml:3:32: note: stage 'b' depends on 'a' but takes no data from it\n"
     "  hint: remove it unless the order matters: it costs parallelism\n"
     "p.yaml:4:1: error: stages wait for each other in a circle: c → d → c\n"
     "  hint: each waits for the one before it, by a tag it takes or by depends-on\n"
     "p.yaml:4:32: note: stage 'c' depends on 'd' but takes no data from it\n"
     "  hint: remove it unless the order matters: it costs parallelism\n"
     "p.yaml:5:32: note: stage 'd' depends on 'c' but takes no data from it\n"
     "  hint: remove it unless the order matters: it costs parallelism\n",
     false},
    {"depends_on_no_stage",
     "pipeline: {stages: [tomography, b]}\n"
     "tomography: {command: [x]}\n"
     "b: {command: [x], depends-on: [tomografy]}\n",
     "p.yaml:3:32: error: stage 'b' depends on 'tomografy', which is no stage of this pipeline\n"
     "  hint: did you mean 'tomography'?\n",
     false},
    {"depends_on_itself",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x], depends-on: [a]}\n",
     "p.yaml:2:32: error: stage 'a' depends on itself\n", false},
    {"depends_on_without_data",
     "pipeline: {name: p, stages: [a, b]}\n"
     "a: {command: [x]}\n"
     "b: {command: [x], depends-on: [a]}\n",
     "p.yaml:3:32: note: stage 'b' depends on 'a' but takes no data from it\n"
     "  hint: remove it unless the order matters: it costs parallelism\n",
     true},
    {"almost_pipeline", "# x\nPipeline: {stages: [a]}\na: {command: [x]}\n",
     "p.yaml:2:1: error: there is no section 'pipeline'\n"
     "  hint: 'Pipeline' here: did you mean 'pipeline'?\n",
     false},
    {"bad_image", "pipeline: {name: p, stages: [a]}\na: {command: [x], image: 'No such:image'}\n",
     "p.yaml:2:26: error: 'No such:image' is not an image: a name has lower-case letters only\n"
     "  hint: an image is [HOST/]NAME[:TAG][@sha256:DIGEST], docker-archive:FILE, oci-archive:FILE, oci:FOLDER, "
     "rootfs:FOLDER or sif:FILE\n",
     false},
    {"unclosed", "pipeline:\n  stages: [a\na: {command: [x]}\n",
     "p.yaml:3:2: error: not YAML: did not find expected ',' or ']' while parsing a flow sequence\n"
     "  hint: it begins at 2:11: is a bracket or a quote left open?\n",
     false},
    {"depends_on_line_by_line",
     "pipeline: {name: p, stages: [a, b, c]}\n"
     "a: {command: [x], outputs: {t: txt}}\n"
     "b: {command: [x]}\n"
     "c:\n"
     "  command: [x]\n"
     "  inputs: {t: txt}\n"
     "  depends-on:\n"
     "    - a\n"
     "    - b\n"
     "    - d\n",
     "p.yaml:9:7: note: stage 'c' depends on 'b' but takes no data from it\n"
     "  hint: remove it unless the order matters: it costs parallelism\n"
     "p.yaml:10:7: error: stage 'c' depends on 'd', which is no stage of this pipeline\n",
     false},
    {"section_not_listed",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x]}\n"
     "other: {cpus: 4}\n",
     "p.yaml:3:1: note: section 'other' is not used: pipeline.stages does not list it\n", true},
    {"section_near_a_stage",
     "pipeline: {stages: [tomography]}\n"
     "tomography: {command: [x]}\n"
     "tomografy: {cpus: 4}\n",
     "p.yaml:3:1: note: section 'tomografy' is not used: pipeline.stages does not list it\n", true},
    {"section_near_a_word",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x]}\n"
     "backend: {}\n",
     "p.yaml:3:1: error: there is no section 'backend'\n"
     "  hint: did you mean 'backends'?\n",
     false},
    {"section_with_unknown_key",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x]}\n"
     "other: {cpu: 4}\n",
     "p.yaml:3:9: error: section 'other' is not a listed stage, and no stage has a key 'cpu'\n"
     "  hint: a section that is no stage's does not belong here; stages are listed in pipeline.stages\n",
     false},
    {"section_that_is_no_mapping",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {command: [x]}\n"
     "other: 4\n",
     "p.yaml:3:1: error: 'other' is neither a section of a pipeline nor a stage\n", false},
    {"stage_that_is_no_mapping",
     "pipeline: {name: p, stages: [a]}\n"
     "a: [x]\n",
     "p.yaml:2:4: error: the section of a stage must be a mapping, not a list\n", false},
    {"stage_described_nowhere",
     "pipeline: {name: p, stages: [a]}\n"
     "a: {cpus: 2}\n",
     "p.yaml:2:1: error: stage 'a' is described nowhere\n"
     "  hint: give it inputs, outputs or a command, or add its folder to pipeline.images\n",
     false},
    {"stage_without_folder", "pipeline: {images: [./folder], stages: [a]}\n",
     "p.yaml:1:41: error: stage 'a' is described nowhere: no folder of pipeline.images has it\n"
     "  hint: give it inputs, outputs or a command, or add its folder to pipeline.images\n",
     false},
    {"stage_folder_without_metadata", "pipeline: {images: [./images], stages: [bare]}\n",
     "p.yaml:1:41: error: stage 'bare' is described nowhere: '@/images/bare' has no run.py and no stage.yaml\n"
     "  hint: write a stage.yaml with its inputs and outputs\n",
     false},
    {"run_py_with_a_name", "pipeline: {images: [./images], stages: [named]}\n",
     "@/images/named/run.py:3:20: error: only texts in quotes can be read here without running Python\n"
     "  hint: write what the stage reads and writes into a stage.yaml beside it\n",
     false},
    {"run_py_notes", "pipeline: {images: [./images], stages: [rough]}\n",
     "@/images/rough/dockerfile:2:1: note: this ENTRYPOINT starts a shell in between\n"
     "  hint: write ENTRYPOINT [\"program\", \"argument\"]\n"
     "@/images/rough/run.py: note: the file is not executable\n"
     "  hint: chmod +x it before the image is built\n"
     "@/images/rough/run.py:1:1: note: the file has no '#!' line\n"
     "  hint: begin it with #!/usr/bin/env python3\n",
     true},
    {"run_py_is_bash", "pipeline: {images: [./images], stages: [bash]}\n",
     "@/images/bash/run.py: error: this file is not Python: it cannot say what the stage reads and writes\n"
     "  hint: write what the stage reads and writes into a stage.yaml beside it\n",
     false},
    {0},
};
