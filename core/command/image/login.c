/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `descpipe login` and `descpipe logout`: the registry plugin that serves the host tries the login and keeps it where
 * docker keeps it.
 *
 * How it works: a password is read from the terminal with its echo switched off. While it is off, the signals that
 * would end or stop the program switch it on again first.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "command/installation.h"
#include "io/secret.h"

enum { SECRET_LIMIT = 64 * 1024 };

struct login_values {
    const char *username, *registry;
    bool password_stdin;
    struct words options;
};

static const struct argument_option login_options[] = {
    {.name = "username",
     .letter = 'u',
     .kind = ARGUMENT_TEXT,
     .offset = offsetof(struct login_values, username),
     .value = "NAME",
     .help = "who logs in (default: asked for on the terminal)"},
    {.name = "password-stdin",
     .kind = ARGUMENT_FLAG,
     .offset = offsetof(struct login_values, password_stdin),
     .help = "read the password or token from standard input, without asking"},
    {.name = "registry",
     .kind = ARGUMENT_TEXT,
     .offset = offsetof(struct login_values, registry),
     .value = "NAME",
     .help = "the plugin to use (default: the first that takes this host)"},
    {.name = "option",
     .letter = 'o',
     .kind = ARGUMENT_WORDS,
     .offset = offsetof(struct login_values, options),
     .value = "registry.KEY=VALUE",
     .help = "an option of the registry; may be repeated"},
    {.name = NULL},
};

static const struct argument_positional host_positionals[] = {
    {.name = "HOST", .help = "the registry's host, with its port: docker.io, registry.site.org:5000"},
    {.name = NULL},
};

static void clear_login(void *values)
{
    words_clear(&((struct login_values *)values)->options);
}

/* The terminal. */

static struct {
    int descriptor;
    struct termios before;
    volatile sig_atomic_t silent;
} terminal = {.descriptor = -1};

static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
enum { ENDING_SIGNALS = sizeof ending_signals / sizeof ending_signals[0] };

/* Safe in a handler: tcsetattr and raise are. */
static void signal_came(int number)
{
    int kept = errno;
    if (terminal.silent)
        tcsetattr(terminal.descriptor, TCSANOW, &terminal.before);
    const struct sigaction usual = {.sa_handler = SIG_DFL, .sa_flags = 0};
    sigaction(number, &usual, NULL);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number);
    raise(number);
    sigprocmask(SIG_UNBLOCK, &one, NULL); /* it ends or stops us here */
    const struct sigaction again = {.sa_handler = signal_came};
    sigaction(number, &again, NULL); /* continued after a stop: quiet again */
    struct termios silent = terminal.before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    if (terminal.silent)
        tcsetattr(terminal.descriptor, TCSANOW, &silent);
    errno = kept;
}

static bool read_line(int descriptor, char *line, size_t size, size_t *length, struct error *error)
{
    *length = 0;
    for (;;) {
        char byte;
        ssize_t got = read(descriptor, &byte, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_system(error, "cannot read from the terminal");
        if (got == 0 && *length == 0)
            return error_set(error, ERROR_INPUT, "nothing was typed");
        if (got == 0 || byte == '\n')
            break;
        if (*length + 1 >= size)
            return error_set(error, ERROR_INPUT, "what was typed is too long");
        line[(*length)++] = byte;
    }
    line[*length] = '\0';
    return true;
}

/* With the question, and without an echo when it is a secret. */
static bool ask(const char *question, bool secret, char *line, size_t size, size_t *length, struct error *error)
{
    int file = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (file < 0) {
        error_set(error, ERROR_INPUT, "there is no terminal to ask for the %s", secret ? "password" : "user's name");
        return error_hint(error, secret ? "give it with --password-stdin" : "give it with --username");
    }
    terminal.descriptor = file;
    if (tcgetattr(file, &terminal.before) != 0) {
        close(file);
        return error_system(error, "cannot use the terminal");
    }
    struct sigaction before[ENDING_SIGNALS];
    const struct sigaction watch = {.sa_handler = signal_came};
    for (int i = 0; secret && i < ENDING_SIGNALS; i++)
        sigaction(ending_signals[i], &watch, &before[i]);
    struct termios silent = terminal.before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    if (secret) {
        terminal.silent = 1;
        tcsetattr(file, TCSAFLUSH, &silent);
    }
    descriptor_write(file, question, strlen(question), NULL);
    bool done = read_line(file, line, size, length, error);
    if (secret) {
        tcsetattr(file, TCSAFLUSH, &terminal.before);
        terminal.silent = 0;
        descriptor_write(file, "\n", 1, NULL);
        for (int i = 0; i < ENDING_SIGNALS; i++)
            sigaction(ending_signals[i], &before[i], NULL);
    }
    close(file);
    return done;
}

static struct descpipe_secret *read_password(const struct login_values *values, const char *host, struct error *error)
{
    char line[SECRET_LIMIT] = "";
    size_t length = 0;
    bool done;
    if (values->password_stdin) {
        ssize_t got;
        while ((got = read(STDIN_FILENO, line + length, sizeof line - length)) > 0)
            length += (size_t)got;
        done = got == 0 || error_set(error, ERROR_INPUT, "the password on standard input is longer than 64 KiB");
        while (done && length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            length--;
    } else {
        cleanup(memory_free) char *question = memory_format("password for %s: ", host);
        done = ask(question, true, line, sizeof line, &length, error);
    }
    if (done && length == 0)
        done = error_set(error, ERROR_INPUT, "the password is empty");
    struct descpipe_secret *secret = done ? secret_make(line, length) : NULL;
    explicit_bzero(line, sizeof line);
    return secret;
}

/* The plugin. */

static bool open_all(struct installation *installation, struct invocation *invocation, const struct words *options,
                     struct problems *problems, struct error *error)
{
    struct config_search search = {.options = options != NULL ? words_list(options) : NULL};
    if (!installation_open(installation, invocation, error))
        return false;
    installation_search(installation, &search);
    if (!installation_read_layers(installation, &search, problems) || !installation_open_host(installation, error))
        return false;
    installation_open_registries(installation);
    return true;
}

static struct plugin_instance *registry_of(struct installation *installation, const char *host, const char *name,
                                           struct error *error)
{
    if (strpbrk(host, "/@ ") != NULL || host[0] == '\0' || strlen(host) > 300) {
        error_set(error, ERROR_INPUT, "'%.100s' is not the host of a registry", host);
        error_hint(error, "write the host alone, with its port if it has one: registry.site.org:5000");
        return NULL;
    }
    if (name != NULL)
        return registries_open(installation->registries, name, NULL, error);
    cleanup(memory_free) char *reference = memory_format("%s/name:tag", host);
    struct plugin_instance *instance = registries_for(installation->registries, reference, error);
    if (instance == NULL && error->kind == ERROR_NONE) {
        error_set(error, ERROR_PLUGIN, "there is no registry plugin here for '%s'", host);
        error_hint(error, "'descpipe plugins list' shows which are here");
    }
    return instance;
}

struct answer {
    bool over, ok, unsupported;
    char *text;
    struct error error;
    struct plugin_instance *instance;
    const char *operation;
};

static void answered(void *context, const struct call_result *result)
{
    struct answer *answer = context;
    answer->over = true;
    answer->ok = result->ok;
    if (result->ok) {
        answer->text = result->texts_count > 0 ? memory_copy_text(result->texts[0]) : NULL;
        return;
    }
    answer->unsupported = result->failure == DESCPIPE_FAILED_UNSUPPORTED;
    call_error(answer->instance, answer->operation, result, &answer->error);
    if (result->failure != DESCPIPE_FAILED_UNSUPPORTED && !result->plugin_fault) {
        memory_free(answer->error.message);
        answer->error.message = memory_copy_text(result->message);
    }
    if (result->failure == DESCPIPE_FAILED_NOT_FOUND)
        answer->error.kind = ERROR_INPUT;
}

static bool not_over(void *context)
{
    return !((struct answer *)context)->over;
}

/* `where` goes between the host and the place that the plugin names. */
static int finish(struct answer *answer, const char *host, const char *done, const char *where)
{
    cleanup(error_clear) struct error error = answer->error;
    cleanup(memory_free) char *text = answer->text;
    if (!answer->ok)
        return command_fail(&error);
    log_notice("%s '%s'%s%s", done, host, text != NULL ? where : "", text != NULL ? text : "");
    return 0;
}

static void ask_plugin(struct installation *installation, const struct descpipe_login *login, struct answer *answer)
{
    registry_login(answer->instance, login, (struct call_options){.done = answered, .context = answer});
    if (!answer->over)
        loop_run(installation->loop, not_over, answer);
}

/* Before anybody types: a registry that makes its logins itself says so. */
static bool takes_passwords(struct installation *installation, struct plugin_instance *instance, const char *host,
                            struct error *error)
{
    const struct descpipe_login nothing = {.size = sizeof nothing, .host = host};
    struct answer answer = {.instance = instance, .operation = "login"};
    ask_plugin(installation, &nothing, &answer);
    memory_free(answer.text);
    if (!answer.unsupported) {
        error_clear(&answer.error);
        return true;
    }
    *error = answer.error;
    return false;
}

static struct descpipe_secret *ask_person(const struct login_values *values, const char *host, char *username,
                                          size_t size, struct error *error)
{
    size_t length = 0;
    if (values->username == NULL && !values->password_stdin && !ask("user: ", false, username, size, &length, error))
        return NULL;
    return read_password(values, host, error);
}

static int run_login(struct invocation *invocation)
{
    const struct login_values *values = invocation->values;
    const char *host = command_word(invocation, 0);
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(installation_clear) struct installation installation = {0};
    if (!open_all(&installation, invocation, &values->options, &problems, &error))
        return command_refuse(invocation, &problems, &error);
    struct plugin_instance *instance = registry_of(&installation, host, values->registry, &error);
    char typed[256] = "";
    if (instance == NULL || !takes_passwords(&installation, instance, host, &error))
        return command_fail(&error);
    cleanup(secret_release) struct descpipe_secret *password = ask_person(values, host, typed, sizeof typed, &error);
    if (password == NULL)
        return command_fail(&error);
    const char *username = values->username != NULL ? values->username : typed[0] != '\0' ? typed : NULL;
    const struct descpipe_login login = {
        .size = sizeof login, .host = host, .username = username, .password = password};
    struct answer answer = {.instance = instance, .operation = "login"};
    ask_plugin(&installation, &login, &answer);
    return finish(&answer, host, "logged in to", ": kept in ");
}

static int run_logout(struct invocation *invocation)
{
    const char *host = command_word(invocation, 0);
    cleanup(error_clear) struct error error = ERROR_INIT;
    cleanup(problems_clear) struct problems problems = {0};
    cleanup(installation_clear) struct installation installation = {0};
    if (!open_all(&installation, invocation, NULL, &problems, &error))
        return command_refuse(invocation, &problems, &error);
    struct plugin_instance *instance = registry_of(&installation, host, NULL, &error);
    if (instance == NULL)
        return command_fail(&error);
    struct answer answer = {.instance = instance, .operation = "logout"};
    registry_logout(instance, host, (struct call_options){.done = answered, .context = &answer});
    if (!answer.over)
        loop_run(installation.loop, not_over, &answer);
    return finish(&answer, host, "logged out of", ": removed from ");
}

const struct command command_login = {
    .name = "login",
    .summary = "log in to a registry",
    .description =
        "Tries the login on the host and keeps it where docker keeps it, with the credential helper that docker's "
        "configuration names, else in ~/.docker/config.json: both programs share logins.",
    .examples = "  descpipe login docker.io --username joezuntz\n"
                "  pass show registry | descpipe login registry.site.org -u me --password-stdin",
    .options = login_options,
    .positionals = host_positionals,
    .values_size = sizeof(struct login_values),
    .run = run_login,
    .clear = clear_login,
};

const struct command command_logout = {
    .name = "logout",
    .summary = "forget the login to a registry",
    .examples = "  descpipe logout registry.site.org",
    .positionals = host_positionals,
    .run = run_logout,
};
