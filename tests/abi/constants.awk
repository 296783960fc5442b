# SPDX-License-Identifier: BSD-3-Clause
# Reads the plugin headers, writes a C program that prints the value of every enum constant and the name of the entry function. A
# constant without a value of its own is refused: inserting one before it would change it.
function take(list,    i, count, parts) {
    count = split(list, parts, ",")
    for (i = 1; i <= count; i++) {
        if (parts[i] !~ /[^ \t]/) continue
        if (!match(parts[i], /DESCPIPE_[A-Z0-9_]+ *= */)) {
            printf "#error \"no value of its own:%s\"\n", parts[i]
            continue
        }
        name = substr(parts[i], RSTART, RLENGTH)
        sub(/ *= *$/, "", name)
        printf "    printf(\"%%-40s %%lld\\n\", \"%s\", (long long)%s);\n", name, name
    }
}
BEGIN {
    print "#include <stdio.h>"
    print "#include <descpipe/plugin.h>"
    print "int main(void)"
    print "{"
    print "    printf(\"%-40s %s\\n\", \"DESCPIPE_ENTRY_SYMBOL\", DESCPIPE_ENTRY_SYMBOL);"
}
{
    text = $0
    while (match(text, /\/\*[^*]*\*+([^\/*][^*]*\*+)*\//)) text = substr(text, 1, RSTART - 1) substr(text, RSTART + RLENGTH)
    if (comment) { if (!sub(/^.*\*\//, "", text)) next; comment = 0 }
    if (match(text, /\/\*/)) { text = substr(text, 1, RSTART - 1); comment = 1 }
}
!inside && text ~ /^enum/ { inside = 1; sub(/^enum[^{]*\{/, "", text) }
inside {
    last = sub(/\}.*$/, "", text)
    take(text)
    if (last) inside = 0
}
END { print "    return 0;"; print "}" }
