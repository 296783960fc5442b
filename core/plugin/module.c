/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loads a plugin by libltdl.
 *
 * How it works: libltdl answers "file not found" for every failure and binds lazily, so a plugin with an undefined
 * function would load and die in the middle of a run. Therefore dlopen with RTLD_NOW comes first, for the true reason
 * and the early end; its handle is kept, and libltdl then finds the object already there. libltdl gets absolute real
 * paths only: a name without a slash would make it search LTDL_LIBRARY_PATH.
 */
#include "plugin/module.h"

#include <dlfcn.h>
#include <ltdl.h>
#include <string.h>

#include "base/path.h"
#include "base/text.h"
#include "base/witness.h"
#include "plugin/abi.h"
#include "plugin/elf.h"

typedef const struct descpipe_plugin *(*entry_function)(void);

static struct module *refuse(const char *path, struct error *error)
{
    error_wrap(error, "'%s' is not used", path);
    if (error && error->kind != ERROR_BUG)
        error->kind = ERROR_PLUGIN;
    return NULL;
}

/* dlerror begins with the path, which our message says already. */
static const char *without_path(const char *message, const char *path)
{
    size_t length = strlen(path);
    return strncmp(message, path, length) == 0 && strncmp(message + length, ": ", 2) == 0 ? message + length + 2
                                                                                          : message;
}

static bool say_dlerror(const char *path, struct error *error)
{
    const char *message = dlerror();
    error_set(error, ERROR_PLUGIN, "cannot open it: %s",
              message ? without_path(message, path) : "the dynamic linker does not say why");
    if (message && strstr(message, "undefined symbol"))
        return error_hint(error, "build it with -Wl,-z,defs to find what is missing");
    if (message && strstr(message, "cannot open shared object file"))
        return error_hint(error, "install the library that it needs; 'ldd %s' lists them", path);
    return error_hint(error, "build or install it again for this machine");
}

/* Trust of the path first: a file that anybody may have written is not even parsed, unless only a report is wanted. */
static bool check_trust(struct module *module, const struct module_request *request, struct error *error)
{
    cleanup(error_clear) struct error why = ERROR_INIT;
    cleanup(elf_clear) struct elf_facts facts = {0};
    bool trusted = trust_check(request->trust, module->path, &why);
    if (!trusted && !request->report_trust_only) {
        error_move(error, &why);
        return false;
    }
    if (!elf_read(module->path, &facts, error)) {
        if (error && !error->hint)
            error_hint(error, "build or install it again for this machine");
        return false;
    }
    if (trusted && trust_check_search(request->trust, module->path, &facts, &why))
        return true;
    if (!request->report_trust_only) {
        error_move(error, &why);
        return false;
    }
    module->distrust = steal(&why.message);
    module->distrust_hint = steal(&why.hint);
    return true;
}

static bool check_pin(const struct module *module, const struct policy_plugin *policy, struct error *error)
{
    if (!policy || !policy->sha256 || strcmp(policy->sha256, module->sha256) == 0)
        return true;
    error_set(error, ERROR_PLUGIN, "this site pins its sha256 as %s, the file's is %s (%s:%u)", policy->sha256,
              module->sha256, policy->file, policy->line);
    return error_hint(error, "ask the site: either the file or the pin is out of date");
}

static void *symbol_of(lt_dlhandle handle, const char *name)
{
    return lt_dlsym(handle, name);
}

static bool find_entry(lt_dlhandle handle, entry_function *entry, struct error *error)
{
    void *symbol = symbol_of(handle, DESCPIPE_ENTRY_SYMBOL);
    if (symbol) {
        /* POSIX promises this for dlsym; ISO C has no cast for it. */
        memcpy(entry, &symbol, sizeof(*entry));
        return true;
    }
    if (symbol_of(handle, "descpipe_plugin_v2")) {
        error_set(error, ERROR_PLUGIN, "it is for plugin interface 2 (it exports descpipe_plugin_v2 only)");
        return error_hint(error, "use a newer descpipe, or the plugin's release for interface 1");
    }
    error_set(error, ERROR_PLUGIN, "it does not export %s", DESCPIPE_ENTRY_SYMBOL);
    return error_hint(error, "is it a descpipe plugin? Its entry function needs DESCPIPE_EXPORT");
}

static lt_dlhandle open_by_ltdl(const char *path, struct error *error)
{
    static bool initialised;
    lt_dladvise advise = NULL;
    lt_dlhandle handle = NULL;
    if (!initialised && lt_dlinit() != 0) {
        error_set(error, ERROR_PLUGIN, "libltdl cannot start: %s", lt_dlerror());
        return NULL;
    }
    initialised = true;
    if (lt_dladvise_init(&advise) == 0 && lt_dladvise_local(&advise) == 0 && lt_dladvise_resident(&advise) == 0)
        handle = lt_dlopenadvise(path, advise);
    if (!handle)
        error_set(error, ERROR_PLUGIN, "libltdl cannot open it: %s", lt_dlerror());
    if (advise)
        lt_dladvise_destroy(&advise);
    return handle;
}

static bool load(struct module *module, struct error *error)
{
    /* RTLD_NODELETE, because constructors may have registered addresses of theirs with the system. The handle is
     * kept for ever on purpose. */
    if (!dlopen(module->path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE))
        return say_dlerror(module->path, error);
    lt_dlhandle handle = open_by_ltdl(module->path, error);
    entry_function entry = NULL;
    if (!handle || !find_entry(handle, &entry, error))
        return false;
    module->descriptor = entry();
    return abi_judge(module->descriptor, ABI_HERE, module->kind, module->name, error);
}

struct module *module_load(const struct module_request *request, struct error *error)
{
    cleanup(module_free) struct module *module = memory_allocate(sizeof(*module));
    module->kind = memory_copy_text(request->kind);
    module->name = memory_copy_text(request->name);
    witness_saw(request->path); /* before the link is followed: it may lead elsewhere the next time */
    module->path = path_real(request->path, error);
    if (!module->path) {
        error_hint(error, request->policy && request->policy->path ? "ask the site: its policy names this file"
                                                                   : "is the link broken?");
        if (error && request->policy && request->policy->path)
            error_place(error, request->policy->file, request->policy->line, 0);
        return refuse(request->path, error);
    }
    if (!check_trust(module, request, error) || !digest_of_file(module->path, module->sha256, error) ||
        !check_pin(module, request->policy, error) || !load(module, error))
        return refuse(module->path, error);
    return steal(&module);
}

void module_free(struct module *module)
{
    if (!module)
        return;
    memory_free(module->kind);
    memory_free(module->name);
    memory_free(module->path);
    memory_free(module->distrust);
    memory_free(module->distrust_hint);
    memory_free(module);
}
