/* SPDX-License-Identifier: BSD-3-Clause */
/* The shell functions of a job that looks after its files itself. */
#include "run/elsewhere/job_files.h"

#include <string.h>

#include "pipeline/file_type.h"

static void append_word(struct text *text, const char *word)
{
    text_append_character(text, ' ');
    text_append_shell_word(text, word);
}

void job_files_print_placing(struct text *text)
{
    /* `mv` would move into a folder that has the name already; and of two links of one file it moves none and fails. */
    text_append(text,
                "place() { # FROM TO yes|no: under its final name, as a whole or not at all; yes: it may be linked\n"
                "    new=${2%/*}/$mark\n"
                "    rm -rf \"$new\" \"$new.old\"\n"
                "    if [ -d \"$1\" ]; then\n"
                "        { [ \"$3\" = yes ] && cp -R -P -p -l \"$1\" \"$new\" 2>/dev/null; } ||\n"
                "            { rm -rf \"$new\" && cp -R -P -p \"$1\" \"$new\"; } || return 1\n"
                "        if [ -e \"$2\" ] || [ -L \"$2\" ]; then\n"
                "            mv \"$2\" \"$new.old\" || return 1\n"
                "        fi\n"
                "        mv \"$new\" \"$2\" && rm -rf \"$new.old\"\n"
                "        return\n"
                "    fi\n"
                "    if [ -d \"$2\" ]; then\n"
                "        echo \"'$2' is a folder\" >&2\n"
                "        return 1\n"
                "    fi\n"
                "    if [ \"$3\" = yes ] && [ ! -L \"$2\" ] && [ \"$1\" -ef \"$2\" ]; then\n"
                "        return 0\n"
                "    fi\n"
                "    { [ \"$3\" = yes ] && ln \"$1\" \"$new\" 2>/dev/null; } || cp -p \"$1\" \"$new\" || return 1\n"
                "    mv -f \"$new\" \"$2\" && rm -f \"$new\"\n"
                "}\n");
}

static void print_bringing(struct text *text)
{
    text_append(
        text, "not_done() { # VERDICT WHAT WORDS\n"
              "    failed=$1\n"
              "    case $3 in\n"
              "    *'No space left'* | *'quota exceeded'*) failed=disk ;;\n"
              "    esac\n"
              "    reason=\"$2: $3\"\n"
              "    return 1\n"
              "}\n"
              "bring() { # FROM NAME yes|no\n"
              "    if [ ! -e \"$1\" ]; then\n"
              "        failed=stage_in\n"
              "        reason=\"its input '$2' is not there: '$1'\"\n"
              "        return 1\n"
              "    fi\n"
              "    words=$(place \"$1\" \"$input/$2\" \"$3\" 2>&1) || not_done stage_in \"its input '$2'\" \"$words\"\n"
              "}\n");
}

static void print_publishing(struct text *text)
{
    text_append(
        text,
        "missing() { # WORDS\n"
        "    failed=output_missing\n"
        "    reason=$1\n"
        "    return 1\n"
        "}\n"
        "look_for_file() { # NAME\n"
        "    if [ -L \"$output/$1\" ]; then\n"
        "        missing \"its output '$1' is a symbolic link, not a regular file\"\n"
        "    elif [ ! -e \"$output/$1\" ]; then\n"
        "        missing \"did not write its output '$1'\"\n"
        "    elif [ ! -f \"$output/$1\" ]; then\n"
        "        missing \"its output '$1' is not a regular file\"\n"
        "    fi\n"
        "}\n"
        "look_for_type() { # NAME TYPE MAGIC OFFSET...: two hex digits a byte, at one of the offsets\n"
        "    name=$1\n"
        "    type=$2\n"
        "    magic=$3\n"
        "    shift 3\n"
        "    if [ ! -s \"$output/$name\" ]; then\n"
        "        missing \"its output '$name' is there, but is not $type: it is empty\"\n"
        "        return\n"
        "    fi\n"
        "    [ -n \"$magic\" ] || return 0\n"
        "    for offset; do\n"
        "        bytes=$(od -A n -v -t x1 -j \"$offset\" -N $((${#magic} / 2)) \"$output/$name\" 2>/dev/null | tr -d ' "
        "\\n')\n"
        "        [ \"$bytes\" != \"$magic\" ] || return 0\n"
        "    done\n"
        "    missing \"its output '$name' is there, but is not $type: its first bytes are others\"\n"
        "}\n"
        "leads_out() { # LINK FOLDER: absolute, or with more \"..\" than it is deep, or with one after a name\n"
        "    rest=${1#\"$2\"/}\n"
        "    deep=0\n"
        "    while [ \"$rest\" != \"${rest#*/}\" ]; do\n"
        "        rest=${rest#*/}\n"
        "        deep=$((deep + 1))\n"
        "    done\n"
        "    target=$(readlink \"$1\") || return 0\n"
        "    while :; do\n"
        "        case $target in\n"
        "        /* | '') return 0 ;;\n"
        "        ..)\n"
        "            deep=$((deep - 1))\n"
        "            break\n"
        "            ;;\n"
        "        ../*)\n"
        "            deep=$((deep - 1))\n"
        "            target=${target#../}\n"
        "            ;;\n"
        "        ./*) target=${target#./} ;;\n"
        "        */../* | */..) return 0 ;;\n"
        "        *) break ;;\n"
        "        esac\n"
        "        [ \"$deep\" -ge 0 ] || return 0\n"
        "        [ -n \"$target\" ] || break\n"
        "    done\n"
        "    [ \"$deep\" -lt 0 ]\n"
        "}\n"
        "look_for_folder() { # NAME\n"
        "    if [ -L \"$output/$1\" ]; then\n"
        "        missing \"its output '$1' is a symbolic link, not a folder\"\n"
        "        return\n"
        "    elif [ ! -e \"$output/$1\" ]; then\n"
        "        missing \"did not write its output '$1'\"\n"
        "        return\n"
        "    elif [ ! -d \"$output/$1\" ]; then\n"
        "        missing \"its output '$1' is not a folder\"\n"
        "        return\n"
        "    fi\n"
        "    if [ -n \"$(find \"$output/$1\" ! -type f ! -type d ! -type l -print 2>&1)\" ]; then\n"
        "        missing \"its output '$1' has something in it that is no file, folder or link\"\n"
        "        return\n"
        "    fi\n"
        "    words=$(find \"$output/$1\" -type l -print | while IFS= read -r link; do\n"
        "        if [ ! -L \"$link\" ] || leads_out \"$link\" \"$output/$1\"; then\n"
        "            printf '%s' \"$link\"\n"
        "            break\n"
        "        fi\n"
        "    done)\n"
        "    [ -z \"$words\" ] || missing \"its output '$1' has a symbolic link that leads out of it, or may: "
        "'$words'\"\n"
        "}\n"
        "publish() { # NAME TO\n"
        "    words=$({ mkdir -p \"${2%/*}\" && place \"$output/$1\" \"$2\" yes; } 2>&1) ||\n"
        "        not_done output_missing \"its output '$1' cannot be published\" \"$words\"\n"
        "}\n"
        "point() { # LINK TARGET: a folder with files in its place is somebody's own and stays\n"
        "    mkdir -p \"${1%/*}\" || return 1\n"
        "    if [ -d \"$1\" ] && [ ! -L \"$1\" ]; then\n"
        "        rmdir \"$1\" 2>/dev/null || return 0\n"
        "    fi\n"
        "    rm -f \"$1\" && ln -s \"$2\" \"$1\"\n"
        "}\n");
}

void job_files_print_functions(struct text *text)
{
    print_bringing(text);
    print_publishing(text);
}

void job_files_print_in(const struct staging_in *in, struct text *text)
{
    text_append(text, "bring_in() {\n    input=");
    text_append_shell_word(text, in->folder);
    text_append(text, "/input\n    words=$({ rm -rf \"$input\" && mkdir -p \"$input\"; } 2>&1) ||\n"
                      "        { not_done stage_in 'its input folder cannot be made' \"$words\"; return; }\n");
    for (size_t i = 0; i < in->inputs.count; i++) {
        const struct task_file *file = &in->inputs.items[i];
        if (file->from == NULL) {
            text_append(text, "    mkdir \"$input\"/");
            text_append_shell_word(text, file->name);
            text_append(text, " || return\n");
            continue;
        }
        text_append(text, "    bring");
        append_word(text, file->from);
        append_word(text, file->name);
        text_append(text, in->may_link ? " yes || return\n" : " no || return\n");
    }
    text_append(text, "}\n");
}

static void print_look(const struct staging_out *out, const struct staging_output *output, struct text *text)
{
    if (task_file_is_folder(output->suffix)) {
        text_append(text, "    look_for_folder");
        append_word(text, output->name);
        text_append(text, " || return\n");
        return;
    }
    text_append(text, "    look_for_file");
    append_word(text, output->name);
    text_append(text, " || return\n");
    struct file_magic magic;
    if (!file_type_magic(out->pipeline, output->suffix, &magic))
        return;
    text_append(text, "    look_for_type");
    append_word(text, output->name);
    append_word(text, magic.type);
    text_append(text, " '");
    for (size_t i = 0; i < magic.length; i++)
        text_format(text, "%02x", (unsigned char)magic.bytes[i]);
    text_append_character(text, '\'');
    uint64_t offset = magic.offset;
    for (unsigned i = 0; i < (magic.may_follow_block ? FILE_MAGIC_BLOCKS : 1); i++) {
        text_format(text, " %llu", (unsigned long long)offset);
        offset = offset == 0 ? FILE_MAGIC_BLOCK : offset * 2;
    }
    text_append(text, " || return\n");
}

void job_files_print_out(const struct staging_out *out, struct text *text)
{
    text_append(text, "look_at_outputs() {\n    :\n");
    for (size_t i = 0; i < out->outputs_count; i++)
        print_look(out, &out->outputs[i], text);
    text_append(text, "}\npublish_outputs() {\n    :\n");
    for (size_t i = 0; i < out->outputs_count; i++) {
        text_append(text, "    publish");
        append_word(text, out->outputs[i].name);
        append_word(text, out->outputs[i].published);
        text_append(text, " || return\n");
    }
    if (out->link != NULL) {
        text_append(text, "    words=$(point");
        append_word(text, out->link);
        append_word(text, out->link_target);
        text_append(text, " 2>&1) || not_done output_missing 'its output folder cannot be shown' \"$words\"\n");
    }
    text_append(text, "}\n");
}

/* What it says when it cannot: two lines, for whoever started it. */
static void print_apart(const struct job_files_apart *apart, const char *failure, struct text *text)
{
    text_append(text, "failed=\nreason=\nmark=");
    text_append_shell_word(text, apart->mark);
    text_append(text, "\noutput=");
    text_append_shell_word(text, apart->output);
    text_append(text, "\ncannot() {\n"
                      "    printf 'failed=%s\\nreason=%s\\n' \"${failed:-");
    text_append(text, failure);
    text_append(text, "}\" \"$(printf '%s' \"$reason\" | tr '\\n' ' ')\" |\n"
                      "        head -c 2000 > \"${DESCPIPE_WORD:?}\"\n"
                      "    exit 1\n"
                      "}\n");
    job_files_print_placing(text);
    print_bringing(text);
}

void job_files_print_bring_in(const struct job_files_apart *apart, struct text *text)
{
    print_apart(apart, "stage_in", text);
    if (apart->in != NULL)
        job_files_print_in(apart->in, text);
    text_append(text, "words=$({ rm -rf \"$output\" && mkdir -p \"$output\"");
    if (apart->in == NULL) {
        text_append(text, " && mkdir -p");
        append_word(text, apart->input);
    }
    text_append(text, "; } 2>&1) ||\n    { not_done stage_in 'its folders cannot be made' \"$words\" || cannot; }\n");
    if (apart->in != NULL)
        text_append(text, "bring_in || cannot\n");
}

void job_files_print_publish(const struct job_files_apart *apart, struct text *text)
{
    print_apart(apart, "output_missing", text);
    print_publishing(text);
    job_files_print_out(apart->out, text);
    text_append(text, "if ! look_at_outputs || ! publish_outputs; then\n    cannot\nfi\n");
}
