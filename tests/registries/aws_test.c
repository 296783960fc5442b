/* SPDX-License-Identifier: BSD-3-Clause */
/* The plugin ecr without a server: AWS's shared files, where keys come from, answers and host names. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/answer.h"
#include "aws/base64.h"
#include "aws/hosts.h"
#include "aws/ini.h"
#include "aws/plan.h"
#include "aws/words.h"

static struct failure failure;

static void set_up(void)
{
    failure = FAILURE_INIT;
}

static void tear_down(void)
{
    failure_clear(&failure);
}

/* ---- files ---- */

START_TEST(a_shared_file_is_read_as_aws_writes_it)
{
    static const char text[] = "\xef\xbb\xbf# a comment\n"
                               "[default]\r\n"
                               "aws_access_key_id = AKIA1\r\n"
                               "aws_secret_access_key=abc#d/e+f ; a comment\n"
                               "s3 =\n"
                               "  max_concurrent_requests = 20\n"
                               "  aws_access_key_id = nested\n"
                               "; another\n"
                               "[ profile   \"my sky\" ] # the second\n"
                               "REGION = eu-north-1\n"
                               "empty =\n"
                               "[default]\n"
                               "region=us-east-1\n"
                               "aws_access_key_id = AKIA2";
    cleanup(ini_clear) struct ini ini = {0};
    ck_assert_msg(ini_read(text, strlen(text), &ini, &failure), "%s", failure.message);
    const struct ini_section *section = ini_find(&ini, "default");
    ck_assert_str_eq(ini_value(section, "aws_access_key_id"), "AKIA2");
    ck_assert_str_eq(ini_value(section, "aws_secret_access_key"), "abc#d/e+f");
    ck_assert_str_eq(ini_value(section, "region"), "us-east-1");
    ck_assert_ptr_null(ini_value(section, "max_concurrent_requests"));
    ck_assert_ptr_null(ini_value(section, "s3"));
    ck_assert_str_eq(ini_value(ini_find(&ini, "profile my sky"), "region"), "eu-north-1");
    ck_assert_ptr_null(ini_value(ini_find(&ini, "profile my sky"), "empty"));
    ck_assert_ptr_null(ini_find(&ini, "my sky"));
    ck_assert_ptr_null(ini_value(NULL, "region"));
}
END_TEST

static const struct {
    const char *text;
    size_t length;
    const char *message;
} broken_files[] = {
    {"[default\nx = y\n", 0, "line 1: a section without its closing bracket"},
    {"x = y\n", 0, "line 1: a setting before the first section"},
    {"[a]\n\nSECRETKEY\n", 0, "line 3: neither a section nor a setting (NAME = VALUE)"},
    {"[a]\n= x\n", 0, "line 2: neither a section nor a setting (NAME = VALUE)"},
    {"[a]\nb\0c = d\n", 13, "it holds NUL bytes, so that it is no text file"},
};

START_TEST(a_broken_file_is_refused_by_line_and_not_quoted)
{
    cleanup(ini_clear) struct ini ini = {0};
    const char *text = broken_files[_i].text;
    size_t length = broken_files[_i].length > 0 ? broken_files[_i].length : strlen(text);
    ck_assert(!ini_read(text, length, &ini, &failure));
    ck_assert_str_eq(failure.message, broken_files[_i].message);
    ck_assert_uint_eq(failure.kind, DESCPIPE_FAILED_REFUSED);
}
END_TEST

START_TEST(a_file_has_limits)
{
    cleanup(ini_clear) struct ini large = {0}, many = {0}, crowded = {0};
    char *text = malloc(INI_FILE_LIMIT + 2);
    memset(text, '\n', INI_FILE_LIMIT + 2);
    ck_assert(!ini_read(text, INI_FILE_LIMIT + 1, &large, &failure));
    ck_assert_str_eq(failure.message, "it is larger than 1024 KiB");
    size_t used = 0;
    for (int i = 0; i <= INI_SECTIONS_LIMIT; i++)
        used += (size_t)snprintf(text + used, 20, "[%d]\n", i);
    ck_assert(!ini_read(text, used, &many, &failure));
    ck_assert_str_eq(failure.message, "line 2001: more than 2000 sections");
    used = (size_t)snprintf(text, 20, "[a]\n");
    for (int i = 0; i <= INI_SETTINGS_LIMIT; i++)
        used += (size_t)snprintf(text + used, 20, "a=b\n");
    ck_assert(!ini_read(text, used, &crowded, &failure));
    ck_assert_str_eq(failure.message, "line 20002: more than 20000 settings");
    free(text);
}
END_TEST

/* ---- words ---- */

static const struct {
    const char *line;
    const char *words[6];
} command_lines[] = {
    {"/opt/bin/keys --for sky", {"/opt/bin/keys", "--for", "sky"}},
    {"  'a b'  \"c d\"e\\ f ", {"a b", "c de f"}},
    {"a\\\"b \"x\\\"y\" 'q\\r' \"\"", {"a\"b", "x\"y", "q\\r", ""}},
    {"a $HOME `b` | c", {"a", "$HOME", "`b`", "|", "c"}},
    {"a 'open", {NULL}},
    {"   ", {NULL}},
};

START_TEST(a_command_line_becomes_words_and_nothing_else)
{
    cleanup(words_free) char **words = words_split(command_lines[_i].line, &failure);
    if (command_lines[_i].words[0] == NULL) {
        ck_assert_ptr_null(words);
        ck_assert_uint_eq(failure.kind, DESCPIPE_FAILED_REFUSED);
        return;
    }
    size_t count = 0;
    for (; command_lines[_i].words[count] != NULL; count++)
        ck_assert_str_eq(words[count], command_lines[_i].words[count]);
    ck_assert_ptr_null(words[count]);
}
END_TEST

START_TEST(a_form_escapes_everything_that_is_not_plain)
{
    const char *const pairs[] = {"A", "x y/+&=%", "Left", NULL, "B", "-._~09", NULL};
    cleanup(memory_free) char *form = words_form(pairs);
    ck_assert_str_eq(form, "A=x%20y%2F%2B%26%3D%25&B=-._~09");
    cleanup(memory_free) char *session = words_session("my sky/é");
    ck_assert_str_eq(session, "descpipe-my-sky---");
}
END_TEST

/* ---- where keys come from ---- */

struct variables {
    const char *pairs[16]; /* name, value, ... */
};

static const char *look_up(void *context, const char *name)
{
    const struct variables *variables = context;
    for (size_t i = 0; i + 1 < 16 && variables->pairs[i] != NULL; i += 2)
        if (strcmp(variables->pairs[i], name) == 0)
            return variables->pairs[i + 1];
    return NULL;
}

static const char config_text[] =
    "[default]\nregion = eu-west-1\n"
    "[profile keys]\naws_access_key_id = CONFIGID\naws_secret_access_key = config-secret\nregion = us-west-2\n"
    "[profile process]\ncredential_process = /opt/keys --profile \"my sky\"\n"
    "[profile role]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = keys\nexternal_id = ext\n"
    "[profile second]\nrole_arn = arn:aws:iam::2:role/s\nsource_profile = role\nrole_session_name = me\n"
    "[profile self]\nrole_arn = arn:aws:iam::3:role/t\nsource_profile = self\naws_access_key_id = SELF\n"
    "aws_secret_access_key = self-secret\n"
    "[profile web]\nrole_arn = arn:aws:iam::4:role/w\nweb_identity_token_file = /run/token\n"
    "[profile machine]\nrole_arn = arn:aws:iam::5:role/m\ncredential_source = Ec2InstanceMetadata\n"
    "[profile envrole]\nrole_arn = arn:aws:iam::6:role/e\ncredential_source = Environment\n"
    "[profile pod]\nrole_arn = arn:aws:iam::7:role/p\ncredential_source = EcsContainer\n"
    "[profile loop]\nrole_arn = arn:aws:iam::8:role/l\nsource_profile = pool\n"
    "[profile pool]\nrole_arn = arn:aws:iam::8:role/p\nsource_profile = loop\n"
    "[profile sso]\nsso_session = x\nsso_account_id = 1\n"
    "[profile mfa]\nrole_arn = arn:aws:iam::9:role/f\nsource_profile = keys\nmfa_serial = arn\n"
    "[profile half]\naws_access_key_id = ALONE\n"
    "[profile bare]\nregion = eu-west-1\n"
    "[profile lonely]\nrole_arn = arn:aws:iam::1:role/l\n"
    "[profile lost]\nrole_arn = arn:aws:iam::1:role/l\nsource_profile = nowhere\n"
    "[profile quote]\ncredential_process = /opt/keys 'open\n"
    "[profile odd]\nrole_arn = a\ncredential_source = Moon\n";
static const char credentials_text[] =
    "[default]\naws_access_key_id = DEFAULTID\naws_secret_access_key = default-secret\n"
    "[keys]\naws_access_key_id = FILEID\naws_secret_access_key = file-secret\n"
    "aws_session_token = file-token\n";

static const struct {
    const char *profile; /* of the options */
    struct variables variables;
    bool no_default;
    enum aws_source source;
    const char *id, *secret, *region, *origin, *what; /* what: argv[0], the URL or the token's file */
    const char *roles[3];
} plans[] = {
    {NULL,
     {{"AWS_ACCESS_KEY_ID", "ENVID", "AWS_SECRET_ACCESS_KEY", "env-secret", "AWS_REGION", "ap-south-1"}},
     false,
     AWS_SOURCE_KEYS,
     "ENVID",
     "env-secret",
     "ap-south-1",
     "AWS_ACCESS_KEY_ID in the environment",
     NULL,
     {0}},
    {NULL,
     {{0}},
     false,
     AWS_SOURCE_KEYS,
     "DEFAULTID",
     "default-secret",
     "eu-west-1",
     "profile 'default' in /credentials",
     NULL,
     {0}},
    /* the option's profile goes before keys of the environment, AWS_PROFILE does not */
    {"keys",
     {{"AWS_ACCESS_KEY_ID", "ENVID"}},
     false,
     AWS_SOURCE_KEYS,
     "FILEID",
     "file-secret",
     "us-west-2",
     "profile 'keys' in /credentials",
     NULL,
     {0}},
    {NULL,
     {{"AWS_ACCESS_KEY_ID", "ENVID", "AWS_SECRET_ACCESS_KEY", "s", "AWS_PROFILE", "keys"}},
     false,
     AWS_SOURCE_KEYS,
     "ENVID",
     "s",
     "us-west-2",
     NULL,
     NULL,
     {0}},
    {NULL,
     {{"AWS_PROFILE", "process"}},
     false,
     AWS_SOURCE_PROCESS,
     NULL,
     NULL,
     NULL,
     "credential_process of profile 'process' in /config",
     "/opt/keys",
     {0}},
    {"role",
     {{0}},
     false,
     AWS_SOURCE_KEYS,
     "FILEID",
     NULL,
     NULL,
     "role arn:aws:iam::1:role/r by profile 'keys' in /credentials",
     NULL,
     {"arn:aws:iam::1:role/r"}},
    {"second",
     {{0}},
     false,
     AWS_SOURCE_KEYS,
     "FILEID",
     NULL,
     NULL,
     NULL,
     NULL,
     {"arn:aws:iam::1:role/r", "arn:aws:iam::2:role/s"}},
    {"self", {{0}}, false, AWS_SOURCE_KEYS, "SELF", NULL, NULL, NULL, NULL, {"arn:aws:iam::3:role/t"}},
    {"web", {{0}}, false, AWS_SOURCE_WEB_IDENTITY, NULL, NULL, NULL, NULL, "/run/token", {0}},
    {NULL,
     {{"AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token", "AWS_ROLE_ARN", "arn:aws:iam::4:role/e"}},
     false,
     AWS_SOURCE_WEB_IDENTITY,
     NULL,
     NULL,
     NULL,
     "the web identity of role arn:aws:iam::4:role/e (/var/run/token)",
     "/var/run/token",
     {0}},
    {"machine",
     {{0}},
     false,
     AWS_SOURCE_INSTANCE,
     NULL,
     NULL,
     NULL,
     NULL,
     "http://169.254.169.254",
     {"arn:aws:iam::5:role/m"}},
    {"envrole",
     {{"AWS_ACCESS_KEY_ID", "ENVID", "AWS_SECRET_ACCESS_KEY", "s"}},
     false,
     AWS_SOURCE_KEYS,
     "ENVID",
     NULL,
     NULL,
     NULL,
     NULL,
     {"arn:aws:iam::6:role/e"}},
    {"pod",
     {{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/creds"}},
     false,
     AWS_SOURCE_CONTAINER,
     NULL,
     NULL,
     NULL,
     NULL,
     "http://169.254.170.2/v2/creds",
     {"arn:aws:iam::7:role/p"}},
    {NULL,
     {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:99/x"}},
     true,
     AWS_SOURCE_CONTAINER,
     NULL,
     NULL,
     NULL,
     NULL,
     "http://127.0.0.1:99/x",
     {0}},
    {NULL,
     {{"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://[fd00:ec2::254]/"}},
     true,
     AWS_SOURCE_INSTANCE,
     NULL,
     NULL,
     NULL,
     NULL,
     "http://[fd00:ec2::254]",
     {0}},
    {NULL, {{"AWS_EC2_METADATA_DISABLED", "true"}}, true, AWS_SOURCE_NONE, NULL, NULL, NULL, NULL, NULL, {0}},
};

static bool make_plan(const char *profile, const struct variables *variables, bool no_default, struct aws_plan *plan)
{
    cleanup(ini_clear) struct ini config = {0}, credentials = {0};
    if (!no_default) {
        ck_assert(ini_read(config_text, strlen(config_text), &config, &failure));
        ck_assert(ini_read(credentials_text, strlen(credentials_text), &credentials, &failure));
    }
    struct aws_inputs inputs = {.environment = look_up,
                                .context = (void *)(uintptr_t)variables,
                                .profile = profile,
                                .config = &config,
                                .credentials = &credentials,
                                .config_path = "/config",
                                .credentials_path = "/credentials"};
    return aws_plan_make(&inputs, plan, &failure);
}

static void assert_text(const char *expected, const char *got)
{
    if (expected != NULL)
        ck_assert_str_eq(got, expected);
}

START_TEST(keys_come_from_where_aws_own_tools_look)
{
    cleanup(aws_plan_clear) struct aws_plan plan = {0};
    ck_assert_msg(make_plan(plans[_i].profile, &plans[_i].variables, plans[_i].no_default, &plan), "%s",
                  failure.message);
    ck_assert_int_eq(plan.source, plans[_i].source);
    assert_text(plans[_i].id, plan.access_key_id);
    assert_text(plans[_i].secret, plan.secret_access_key);
    assert_text(plans[_i].region, plan.region);
    assert_text(plans[_i].origin, plan.origin);
    assert_text(plans[_i].what, plan.argv != NULL ? plan.argv[0] : plan.url != NULL ? plan.url : plan.token_file);
    size_t roles = 0;
    for (; roles < 3 && plans[_i].roles[roles] != NULL; roles++)
        ck_assert_str_eq(plan.roles[roles].arn, plans[_i].roles[roles]);
    ck_assert_uint_eq(plan.role_count, roles);
}
END_TEST

START_TEST(a_role_is_taken_on_as_its_profile_says)
{
    cleanup(aws_plan_clear) struct aws_plan plan = {0};
    static const struct variables none = {{0}};
    ck_assert(make_plan("second", &none, false, &plan));
    ck_assert_str_eq(plan.roles[0].external_id, "ext");
    ck_assert_str_eq(plan.roles[0].session, "descpipe-role");
    ck_assert_str_eq(plan.roles[1].session, "me");
    ck_assert_ptr_null(plan.roles[1].external_id);
}
END_TEST

static const struct {
    const char *profile;
    struct variables variables;
    const char *part;
} bad_plans[] = {
    {"nowhere", {{0}}, "there is no AWS profile 'nowhere', neither in /config nor in /credentials"},
    {NULL, {{"AWS_PROFILE", "nowhere"}}, "there is no AWS profile 'nowhere'"},
    {"sso", {{0}}, "IAM Identity Center"},
    {"mfa", {{0}}, "multi-factor"},
    {"half", {{0}}, "aws_access_key_id without aws_secret_access_key"},
    {"bare", {{0}}, "it says nothing about keys"},
    {"lonely", {{0}}, "nothing that says with whose keys"},
    {"lost", {{0}}, "there is no AWS profile 'nowhere'"},
    {"loop", {{0}}, "too many other profiles"},
    {"quote", {{0}}, "a quote is not closed"},
    {"odd", {{0}}, "an unknown credential_source"},
    {"envrole", {{0}}, "AWS_ACCESS_KEY_ID is not set"},
    {"pod", {{0}}, "no container of AWS's"},
    {NULL, {{"AWS_ACCESS_KEY_ID", "ALONE"}}, "AWS_SECRET_ACCESS_KEY is not"},
    {"pod", {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.test/x"}}, "plain http to another machine"},
    {"pod", {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1.evil.test/x"}}, "plain http to another machine"},
    {"pod", {{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil.test/"}}, "does not begin with '/'"},
    {NULL, {{"AWS_REGION", "x.evil.test/"}}, "is no AWS region"},
};

START_TEST(what_cannot_give_keys_is_said_by_name)
{
    cleanup(aws_plan_clear) struct aws_plan plan = {0};
    ck_assert(!make_plan(bad_plans[_i].profile, &bad_plans[_i].variables, false, &plan));
    ck_assert_msg(strstr(failure.message, bad_plans[_i].part) != NULL, "%s", failure.message);
}
END_TEST

/* ---- answers ---- */

enum reader { PROCESS, ENDPOINT, ROLE };

static const struct {
    enum reader reader;
    const char *text;
    const char *id, *secret, *token; /* id NULL: refused */
    int64_t expires_at_ms;
} answers[] = {
    {PROCESS, "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"}", "A", "S", NULL, 0},
    {PROCESS,
     "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"SessionToken\":\"T\",\"Expiration\":"
     "\"2026-11-21T10:00:00Z\"}",
     "A", "S", "T", 1795255200000},
    {PROCESS, "{\"Version\":2,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"}", NULL, NULL, NULL, 0},
    {PROCESS, "{\"Version\":1,\"AccessKeyId\":\"A\"}", NULL, NULL, NULL, 0},
    {PROCESS, "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Expiration\":\"soon\"}", NULL, NULL,
     NULL, 0},
    {PROCESS, "{\"Version\":1,\"AccessKeyId\":\"A\\r\\nX: y\",\"SecretAccessKey\":\"S\"}", NULL, NULL, NULL, 0},
    {PROCESS, "not json", NULL, NULL, NULL, 0},
    {PROCESS, "", NULL, NULL, NULL, 0},
    {ENDPOINT,
     "{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\",\"Expiration\":"
     "\"2026-11-21T10:00:00Z\"}",
     "A", "S", "T", 1795255200000},
    {ENDPOINT, "{\"Code\":\"AssumeRoleUnauthorizedAccess\"}", NULL, NULL, NULL, 0},
    {ROLE,
     "<AssumeRoleResponse><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>S&amp;</SecretAccessKey>"
     "<SessionToken>\n T== \n</SessionToken><Expiration>2026-11-21T10:00:00Z</Expiration></Credentials>",
     "A", "S&", "T==", 1795255200000},
    {ROLE, "<AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey>", NULL, NULL, NULL, 0},
    {ROLE, "<AccessKeyId><b>A</b></AccessKeyId><SecretAccessKey>S</SecretAccessKey>", NULL, NULL, NULL, 0},
};

START_TEST(keys_are_read_from_answers_and_nothing_is_quoted)
{
    cleanup(aws_keys_clear) struct aws_keys keys = {0};
    const char *text = answers[_i].text;
    bool (*const readers[])(const char *, size_t, struct aws_keys *,
                            struct failure *) = {aws_read_process, aws_read_endpoint, aws_read_role};
    bool done = readers[answers[_i].reader](text, strlen(text), &keys, &failure);
    ck_assert_msg(done == (answers[_i].id != NULL), "%s", failure.message);
    if (!done) {
        ck_assert_ptr_null(strstr(failure.message, "\"S\""));
        return;
    }
    ck_assert_str_eq(keys.access_key_id, answers[_i].id);
    ck_assert_str_eq(keys.secret_access_key, answers[_i].secret);
    ck_assert_pstr_eq(keys.session_token, answers[_i].token);
    ck_assert_int_eq(keys.expires_at_ms, answers[_i].expires_at_ms);
}
END_TEST

START_TEST(a_token_is_read_from_both_registries)
{
    /* AWS:secret, AWS:other */
    static const char private_answer[] =
        "{\"authorizationData\":[{\"authorizationToken\":\"QVdTOnNlY3JldA==\",\"expiresAt\":1795255200.5,"
        "\"proxyEndpoint\":\"https://123456789012.dkr.ecr.eu-north-1.amazonaws.com\"}]}";
    static const char public_answer[] =
        "{\"authorizationData\":{\"authorizationToken\":\"QVdTOm90aGVy\",\"expiresAt\":\"2026-11-21T10:00:00Z\"}}";
    cleanup(aws_authorization_clear) struct aws_authorization one = {0}, other = {0};
    ck_assert(aws_read_authorization(private_answer, strlen(private_answer), &one, &failure));
    ck_assert_str_eq(one.username, "AWS");
    ck_assert_str_eq(one.password, "secret");
    ck_assert_str_eq(one.account, "123456789012");
    ck_assert_int_eq(one.expires_at_ms, 1795255200500);
    ck_assert(aws_read_authorization(public_answer, strlen(public_answer), &other, &failure));
    ck_assert_str_eq(other.password, "other");
    ck_assert_ptr_null(other.account);
    ck_assert_int_eq(other.expires_at_ms, 1795255200000);
}
END_TEST

static const char *const bad_tokens[] = {
    "{}",
    "{\"authorizationData\":[]}",
    "{\"authorizationData\":[{\"authorizationToken\":\"###\"}]}",
    "{\"authorizationData\":[{\"authorizationToken\":\"QVdT\"}]}",     /* AWS, without a colon */
    "{\"authorizationData\":[{\"authorizationToken\":\"QVdTOg==\"}]}", /* AWS: */
    "[1]",
    "{\"authorizationData\":[{\"authorizationToken\":\"QVdTOgBhYg==\"}]}", /* a NUL */
};

START_TEST(a_token_that_is_none_is_refused)
{
    cleanup(aws_authorization_clear) struct aws_authorization read = {0};
    ck_assert(!aws_read_authorization(bad_tokens[_i], strlen(bad_tokens[_i]), &read, &failure));
    ck_assert_uint_eq(failure.kind, DESCPIPE_FAILED_REFUSED);
}
END_TEST

START_TEST(errors_have_a_name_and_a_kind)
{
    static const struct {
        const char *text;
        int32_t status;
        const char *code;
        uint32_t kind;
    } errors[] = {
        {"{\"__type\":\"com.amazon.coral.service#ExpiredTokenException\",\"message\":\"old\"}", 400,
         "ExpiredTokenException", DESCPIPE_FAILED_NEEDS_LOGIN},
        {"{\"__type\":\"UnrecognizedClientException\"}", 400, "UnrecognizedClientException",
         DESCPIPE_FAILED_NEEDS_LOGIN},
        {"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>", 403,
         "AccessDenied", DESCPIPE_FAILED_NEEDS_LOGIN},
        {"{\"__type\":\"ThrottlingException\"}", 400, "ThrottlingException", DESCPIPE_FAILED_LATER},
        {"<html>", 503, "", DESCPIPE_FAILED_LATER},
        {"", 400, "", DESCPIPE_FAILED_REFUSED},
        {"{\"__type\":\"RepositoryNotFoundException\"}", 400, "RepositoryNotFoundException", DESCPIPE_FAILED_NOT_FOUND},
    };
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct aws_error error;
        const char *hint = NULL;
        aws_read_error(errors[i].text, strlen(errors[i].text), &error);
        ck_assert_str_eq(error.code, errors[i].code);
        ck_assert_uint_eq(aws_error_kind(errors[i].status, error.code, &hint), errors[i].kind);
    }
}
END_TEST

START_TEST(base64_is_read_strictly)
{
    static const char *const bad[] = {"", "a", "ab=c", "====", "QUJD\n", "QU JD", "Q===", "QUJDRA="};
    cleanup(memory_free) char *good = base64_decode("QUJDRA==");
    ck_assert_str_eq(good, "ABCD");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(base64_decode(bad[i]) == NULL, "%s", bad[i]);
}
END_TEST

START_TEST(apis_are_where_aws_says)
{
    static const struct {
        const char *host, *url;
    } hosts[] = {
        {"123456789012.dkr.ecr.eu-north-1.amazonaws.com", "https://api.ecr.eu-north-1.amazonaws.com"},
        {"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "https://api.ecr.cn-north-1.amazonaws.com.cn"},
        {"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "https://ecr-fips.us-gov-west-1.amazonaws.com"},
        {"public.ecr.aws", "https://api.ecr-public.us-east-1.amazonaws.com"},
    };
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct ecr_host read;
        ck_assert(ecr_host_read(hosts[i].host, &read));
        cleanup(memory_free) char *url = ecr_api_url(&read);
        ck_assert_str_eq(url, hosts[i].url);
    }
    cleanup(memory_free) char *sts = ecr_sts_url("eu-north-1");
    ck_assert_str_eq(sts, "https://sts.eu-north-1.amazonaws.com");
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
    Suite *suite = suite_create("aws");
    TCase *cases = tcase_create("aws");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, a_shared_file_is_read_as_aws_writes_it);
    tcase_add_loop_test(cases, a_broken_file_is_refused_by_line_and_not_quoted, 0, COUNT(broken_files));
    tcase_add_test(cases, a_file_has_limits);
    tcase_add_loop_test(cases, a_command_line_becomes_words_and_nothing_else, 0, COUNT(command_lines));
    tcase_add_test(cases, a_form_escapes_everything_that_is_not_plain);
    tcase_add_loop_test(cases, keys_come_from_where_aws_own_tools_look, 0, COUNT(plans));
    tcase_add_test(cases, a_role_is_taken_on_as_its_profile_says);
    tcase_add_loop_test(cases, what_cannot_give_keys_is_said_by_name, 0, COUNT(bad_plans));
    tcase_add_loop_test(cases, keys_are_read_from_answers_and_nothing_is_quoted, 0, COUNT(answers));
    tcase_add_test(cases, a_token_is_read_from_both_registries);
    tcase_add_loop_test(cases, a_token_that_is_none_is_refused, 0, COUNT(bad_tokens));
    tcase_add_test(cases, errors_have_a_name_and_a_kind);
    tcase_add_test(cases, base64_is_read_strictly);
    tcase_add_test(cases, apis_are_where_aws_says);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
