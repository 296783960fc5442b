# SPDX-License-Identifier: BSD-3-Clause
# Reads the plugin headers, writes a C program that prints the size of every struct and the offset and size of every member.
function flush_member(    text, name) {
    text = member
    member = ""
    gsub(/[ \t]+/, " ", text)
    if (match(text, /\(\*[a-z_0-9]+\)/))
        name = substr(text, RSTART + 2, RLENGTH - 3)
    else {
        name = text
        sub(/ *;.*$/, "", name)
        sub(/^.*[ *]/, "", name)
    }
    printf "    printf(\"%%-40s %%4zu %%3zu\\n\", \"%s.%s\", offsetof(struct %s, %s), sizeof(((struct %s *)0)->%s));\n", inside, name, inside, name, inside, name
}
BEGIN {
    print "#include <stdio.h>"
    print "#include <descpipe/plugin.h>"
    print "int main(void)"
    print "{"
}
{
    text = $0
    while (match(text, /\/\*[^*]*\*+([^\/*][^*]*\*+)*\//)) text = substr(text, 1, RSTART - 1) substr(text, RSTART + RLENGTH)
    if (comment) { if (!sub(/^.*\*\//, "", text)) next; comment = 0 }
    if (match(text, /\/\*/)) { text = substr(text, 1, RSTART - 1); comment = 1 }
}
text ~ /^struct [a-z_0-9]+ \{$/ { split(text, words, " "); inside = words[2]; next }
text ~ /^};/ {
    if (inside != "") printf "    printf(\"%%-40s %%4s %%3zu\\n\", \"%s\", \"size\", sizeof(struct %s));\n", inside, inside
    inside = ""
    next
}
inside != "" && text ~ /[^ \t]/ { member = member " " text; if (text ~ /;[ \t]*$/) flush_member() }
END { print "    return 0;"; print "}" }
