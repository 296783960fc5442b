/* SPDX-License-Identifier: BSD-3-Clause */
/* The client against a server that misbehaves. */
#include <stdio.h>

#include "fixture.h"
#include "registry/client/token.h"

/* One server for all tests; each sets what it wants. */
struct script {
    int port;
    unsigned tokens;  /* asked for */
    unsigned refused; /* times 401 was said */
    bool always_refuse;
    bool basic;
    int first_status; /* of the first requests */
    unsigned first_count;
    const char *first_headers;
    unsigned cuts; /* so many first requests are closed without a word */
    const char *token_answer;
    int token_status;
    bool get_unknown; /* the token service knows POST only */
    const char *realm;
    char seen_authorization[256], token_authorization[256], token_target[2048], token_body[1024], token_method[16];
    bool authorized_without_challenge;
    char redirect[256];
    char body[64];
    size_t large;
    unsigned revoked; /* the first so many tokens are not accepted */
};

static void serve_token(struct script *script, const struct scripted_request *request,
                        struct scripted_connection *connection)
{
    char answer[512];
    script->tokens++;
    snprintf(script->token_target, sizeof script->token_target, "%.2000s", request->target);
    snprintf(script->token_body, sizeof script->token_body, "%.1000s", request->body);
    snprintf(script->token_method, sizeof script->token_method, "%s", request->method);
    script->token_authorization[0] = '\0';
    scripted_header(request, "Authorization", script->token_authorization, sizeof script->token_authorization);
    if (script->get_unknown && strcmp(request->method, "GET") == 0) {
        scripted_text(connection, 405, "", "");
        return;
    }
    snprintf(answer, sizeof answer, "{\"token\":\"T%u\"}", script->tokens);
    scripted_text(connection, script->token_status != 0 ? script->token_status : 200, "",
                  script->token_answer != NULL ? script->token_answer : answer);
}

static bool is_authorized(struct script *script, const struct scripted_request *request)
{
    char wanted[64];
    script->seen_authorization[0] = '\0';
    if (!scripted_header(request, "Authorization", script->seen_authorization, sizeof script->seen_authorization))
        return false;
    if (script->refused == 0)
        script->authorized_without_challenge = true;
    if (script->basic)
        return strcmp(script->seen_authorization, "Basic bWU6d29yZA==") == 0; /* me:word */
    for (unsigned i = script->revoked + 1; i <= script->tokens; i++) {
        snprintf(wanted, sizeof wanted, "Bearer T%u", i);
        if (strcmp(script->seen_authorization, wanted) == 0)
            return true;
    }
    return false;
}

static void refuse(struct script *script, struct scripted_connection *connection)
{
    char header[1024], realm[128];
    snprintf(realm, sizeof realm, "http://127.0.0.1:%d/token", script->port);
    if (script->basic)
        snprintf(header, sizeof header, "WWW-Authenticate: Basic realm=\"r\"\r\n");
    else
        snprintf(header, sizeof header,
                 "WWW-Authenticate: Bearer realm=\"%s\",service=\"the service\",scope=\"repository:a/b:pull\"\r\n",
                 script->realm != NULL ? script->realm : realm);
    script->refused++;
    scripted_text(connection, 401, header, "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"go away\"}]}");
}

static void serve(void *context, const struct scripted_request *request, struct scripted_connection *connection)
{
    struct script *script = context;
    if (target_begins(request, "/token"))
        serve_token(script, request, connection);
    else if (script->cuts > 0) {
        script->cuts--;
        scripted_close(connection);
    } else if (script->first_count > 0) {
        script->first_count--;
        scripted_text(connection, script->first_status, script->first_headers != NULL ? script->first_headers : "",
                      "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"you have reached\\nyour limit\"}]}");
    } else if (script->always_refuse ||
               ((script->basic || target_begins(request, "/v2/a/")) && !is_authorized(script, request)))
        refuse(script, connection);
    else if (script->redirect[0] != '\0')
        scripted_text(connection, 307, script->redirect, "");
    else if (script->large > 0) {
        char *bytes = calloc(1, script->large + 1);
        memset(bytes, 'x', script->large);
        scripted_answer(connection, 200, "", bytes, script->large);
        free(bytes);
    } else
        scripted_text(connection, 200, "", script->body[0] != '\0' ? script->body : "fine");
}

static struct fixture fixture;
static struct script script;
static struct end end;

static void setup(void)
{
    script = (struct script){0};
    end = (struct end){0};
    fixture_open(&fixture, serve, &script);
    script.port = scripted_port(fixture.server);
}

static void teardown(void)
{
    end_clear(&end);
    fixture_close(&fixture);
}

START_TEST(asks_with_a_token_and_keeps_it)
{
    fixture_get(&fixture, "/v2/a/b/x", &end);
    ck_assert_good(end);
    ck_assert_str_eq(end.body, "fine");
    ck_assert_says(script.token_target, "service=the%20service");
    ck_assert_says(script.token_target, "scope=repository:a/b:pull");
    ck_assert_str_eq(script.token_authorization, "");
    end_clear(&end);
    fixture_get(&fixture, "/v2/a/b/y", &end);
    ck_assert_good(end);
    ck_assert_uint_eq(script.tokens, 1);
    ck_assert_uint_eq(script.refused, 1);
}
END_TEST

START_TEST(a_token_that_ends_is_not_used)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    const struct access *access = registry_client_access(fixture.client);
    struct token_cache *cache = token_cache_new(access);
    struct token token = {0};
    const char long_lived[] = "{\"token\":\"t\",\"expires_in\":300}", brief[] = "{\"token\":\"t\",\"expires_in\":4}";
    ck_assert(token_read(&token, NULL, access, long_lived, strlen(long_lived), 1000, &failure));
    ck_assert_int_eq(token.expires_at_ms, 301000);
    ck_assert(token_cache_keep(cache, "a", &token, &failure));
    ck_assert_ptr_nonnull(token_cache_find(cache, "a", 290000));
    ck_assert_ptr_null(token_cache_find(cache, "b", 290000));
    ck_assert_ptr_null(token_cache_find(cache, "a", 291000)); /* ten seconds before its end */
    ck_assert(token_read(&token, NULL, access, brief, strlen(brief), 1000, &failure));
    ck_assert(token_cache_keep(cache, "a", &token, &failure));
    ck_assert_ptr_nonnull(token_cache_find(cache, "a", 3999)); /* but every token serves at least once */
    ck_assert_ptr_null(token_cache_find(cache, "a", 4000));
    token_cache_free(cache);
}
END_TEST

START_TEST(a_revoked_token_is_fetched_anew)
{
    fixture_get(&fixture, "/v2/a/b/x", &end);
    end_clear(&end);
    script.revoked = 1;
    fixture_get(&fixture, "/v2/a/b/x", &end);
    ck_assert_good(end);
    ck_assert_uint_eq(script.tokens, 2);
}
END_TEST

START_TEST(a_loop_of_401_ends)
{
    script.always_refuse = true;
    fixture_get(&fixture, "/v2/a/b/x", &end);
    ck_assert_uint_eq(end.failure.kind, DESCPIPE_FAILED_NEEDS_LOGIN);
    ck_assert_says(end.failure.message, "the thing: '127.0.0.1:");
    ck_assert_says(end.failure.message, "does not allow it, asked without a login: UNAUTHORIZED: go away");
    ck_assert_says(end.failure.hint, "descpipe login 127.0.0.1:");
    ck_assert_uint_le(script.refused, 3);
}
END_TEST

START_TEST(names_the_login_but_not_the_secret)
{
    script.always_refuse = script.basic = true;
    fixture_login(&fixture, "me", "the-secret", "~/.docker/config.json");
    fixture_get(&fixture, "/v2/a/b/x", &end);
    ck_assert_uint_eq(end.failure.kind, DESCPIPE_FAILED_NEEDS_LOGIN);
    ck_assert_says(end.failure.message, "asked as 'me' (from ~/.docker/config.json)");
    ck_assert_ptr_null(strstr(end.failure.message, "the-secret"));
    ck_assert_uint_eq(script.refused, 2);
}
END_TEST

START_TEST(a_password_goes_only_where_it_is_asked_for)
{
    script.basic = true;
    fixture_login(&fixture, "me", "word", NULL);
    fixture_get(&fixture, "/v2/x", &end);
    ck_assert_good(end);
    ck_assert(!script.authorized_without_challenge);
    end_clear(&end);
    fixture_get(&fixture, "/v2/y", &end);
    ck_assert_uint_eq(script.refused, 1); /* from then on at once */
}
END_TEST

START_TEST(the_token_service_gets_the_login)
{
    fixture_login(&fixture, "me", "word", NULL);
    fixture_get(&fixture, "/v2/a/b/x", &end);
    ck_assert_good(end);
    ck_assert_str_eq(script.token_authorization, "Basic bWU6d29yZA==");
    ck_assert_says(script.token_target, "account=me");
}
END_TEST

START_TEST(a_service_without_get_is_asked_by_post)
{
    script.get_unknown = true;
    fixture_login(&fixture, "me", "wo&rd", NULL);
    fixture_get(&fixture, "/v2/a/b/x", &end);
    ck_assert_good(end);
    ck_assert_str_eq(script.token_method, "POST");
    ck_assert_says(script.token_body, "grant_type=password&service=the%20service");
    ck_assert_says(script.token_body, "password=wo%26rd");
}
END_TEST

START_TEST(an_identity_token_is_renewed)
{
    fixture_login(&fixture, "<token>", "first", NULL);
    script.token_answer = "{\"access_token\":\"T1\",\"refresh_token\":\"second\"}";
    fixture_get(&fixture, "/v2/a/b/x", &end);
    ck_assert_good(end);
    ck_assert_says(script.token_body, "grant_type=refresh_token");
    ck_assert_says(script.token_body, "refresh_token=first");
    end_clear(&end);
    script.revoked = 1;
    script.token_answer = NULL;
    fixture_get(&fixture, "/v2/a/b/x", &end);
    ck_assert_good(end);
    ck_assert_says(script.token_body, "refresh_token=second");
}
END_TEST

START_TEST(a_bearer_token_is_used_as_it_is)
{
    fixture_login(&fixture, NULL, "T1", NULL);
    script.tokens = 1; /* which makes T1 a good one */
    fixture_get(&fixture, "/v2/a/b/x", &end);
    ck_assert_good(end);
    ck_assert_uint_eq(script.tokens, 1);
}
END_TEST

static const struct {
    int status;
    const char *answer;
    uint32_t kind;
    const char *says;
} bad_tokens[] = {
    {401, "{\"details\":\"incorrect username or password\"}", DESCPIPE_FAILED_NEEDS_LOGIN, "incorrect username"},
    {200, "{\"token\":\"T1", DESCPIPE_FAILED_REFUSED, "not valid JSON"},
    {200, "{}", DESCPIPE_FAILED_REFUSED, "no token"},
    {200, "{\"token\":\"a\\nb\"}", DESCPIPE_FAILED_REFUSED, "cannot stand in a header"},
    {200, "[]", DESCPIPE_FAILED_REFUSED, "no token"},
};

START_TEST(a_bad_token_answer_is_told)
{
    fixture_login(&fixture, "me", "word", NULL);
    script.token_status = bad_tokens[_i].status;
    script.token_answer = bad_tokens[_i].answer;
    fixture_get(&fixture, "/v2/a/b/x", &end);
    ck_assert_uint_eq(end.failure.kind, bad_tokens[_i].kind);
    ck_assert_says(end.failure.message, "the thing: ");
    ck_assert_says(end.failure.message, bad_tokens[_i].says);
}
END_TEST

static const char *const bad_realms[] = {"http://registry.example.org/token", "ftp://127.0.0.1/token", "nonsense"};

START_TEST(no_login_goes_to_a_doubtful_service)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    script.realm = bad_realms[_i];
    fixture_login(&fixture, "me", "word", NULL);
    /* This server is plain http on this machine, which would allow it; a registry with https must not. */
    registry_client_release(fixture.client);
    struct descpipe_secret *secret = fixture.host->secret->make("word", 4);
    char endpoint[80];
    snprintf(endpoint, sizeof endpoint, "http://%s", fixture.name);
    const struct descpipe_credential credential = {
        .size = sizeof credential, .username = "me", .password = secret, .endpoint = endpoint};
    struct access access;
    ck_assert(access_take(&access, fixture.host, fixture.name, &credential, &failure));
    fixture.client = registry_client_new(&access, &failure);
    access_clear(&access);
    fixture.host->secret->release(secret);
    registry_client_set_tries(fixture.client, 1);
    fixture_get(&fixture, "/v2/a/b/x", &end);
    ck_assert_uint_ne(end.failure.kind, 0);
    ck_assert_uint_eq(script.tokens, 0);
}
END_TEST

START_TEST(comes_again_when_told_to)
{
    script.first_status = 429;
    script.first_count = 2;
    script.first_headers = "Retry-After: 0\r\n";
    fixture_get(&fixture, "/v2/x", &end);
    ck_assert_good(end);
    ck_assert_uint_eq(scripted_requests(fixture.server), 3);
}
END_TEST

START_TEST(a_long_limit_is_told_at_once)
{
    script.first_status = 429;
    script.first_count = 9;
    script.first_headers = "Retry-After: 21600\r\n";
    fixture_get(&fixture, "/v2/x", &end);
    ck_assert_uint_eq(end.failure.kind, DESCPIPE_FAILED_LATER);
    ck_assert_says(end.failure.message, "limits how often it is asked without a login, until 2");
    ck_assert_says(end.failure.message, "UTC: TOOMANYREQUESTS: you have reached your limit");
    ck_assert_says(end.failure.hint, "log in");
    ck_assert_uint_eq(scripted_requests(fixture.server), 1);
}
END_TEST

static const int passing[] = {429, 500, 502, 503, 504, 408};

START_TEST(comes_again_after_a_pause)
{
    script.first_status = passing[_i];
    script.first_count = 1;
    fixture_get(&fixture, "/v2/x", &end);
    ck_assert_good(end);
}
END_TEST

START_TEST(gives_up_in_the_end)
{
    script.first_status = 500;
    script.first_count = 99;
    registry_client_set_tries(fixture.client, 3);
    fixture_get(&fixture, "/v2/x", &end);
    ck_assert_uint_eq(end.failure.kind, DESCPIPE_FAILED_LATER);
    ck_assert_says(end.failure.message, "is not well: it answered 500");
    ck_assert_uint_eq(scripted_requests(fixture.server), 3);
}
END_TEST

START_TEST(comes_again_after_a_broken_connection)
{
    script.cuts = 2;
    fixture_get(&fixture, "/v2/x", &end);
    ck_assert_good(end);
}
END_TEST

START_TEST(what_may_have_been_done_is_not_done_again)
{
    struct failure failure = FAILURE_INIT;
    script.cuts = 2;
    const struct client_request request = {.method = "POST",
                                           .path = "/v2/x",
                                           .body = "{}",
                                           .body_length = 2,
                                           .flags = CLIENT_ONCE,
                                           .what = "the thing",
                                           .done = end_take,
                                           .context = &end};
    ck_assert_ptr_nonnull(registry_client_send(fixture.client, &request, &failure));
    fixture_wait(&fixture, &end.done);
    ck_assert_uint_eq(end.failure.kind, DESCPIPE_FAILED_CANNOT_ASK);
    ck_assert_uint_eq(scripted_requests(fixture.server), 1);
}
END_TEST

START_TEST(an_answer_has_a_limit)
{
    script.large = CLIENT_ANSWER_LIMIT + 1;
    fixture_get(&fixture, "/v2/x", &end);
    ck_assert_uint_eq(end.failure.kind, DESCPIPE_FAILED_REFUSED);
    ck_assert_says(end.failure.message, "larger than the limit");
    ck_assert_uint_eq(scripted_requests(fixture.server), 1);
}
END_TEST

struct other {
    char authorization[256];
    bool asked;
};

static void serve_other(void *context, const struct scripted_request *request, struct scripted_connection *connection)
{
    struct other *other = context;
    other->asked = true;
    scripted_header(request, "Authorization", other->authorization, sizeof other->authorization);
    scripted_text(connection, 200, "", "elsewhere");
}

START_TEST(a_redirect_takes_no_login_to_another_host)
{
    struct other other = {0};
    struct scripted_registry *elsewhere = scripted_start(serve_other, &other);
    script.basic = true;
    fixture_login(&fixture, "me", "word", NULL);
    snprintf(script.redirect, sizeof script.redirect, "Location: http://127.0.0.1:%d/blob\r\n",
             scripted_port(elsewhere));
    fixture_get(&fixture, "/v2/x", &end);
    ck_assert_good(end);
    ck_assert_str_eq(end.body, "elsewhere");
    ck_assert(other.asked);
    ck_assert_str_eq(other.authorization, "");
    ck_assert_str_eq(script.seen_authorization, "Basic bWU6d29yZA==");
    scripted_stop(elsewhere);
}
END_TEST

START_TEST(many_requests_share_one_token_and_few_connections)
{
    enum { MANY = 100 };
    static struct end ends[MANY];
    struct failure failure = FAILURE_INIT;
    memset(ends, 0, sizeof ends);
    for (int i = 0; i < MANY; i++) {
        const struct client_request request = {.method = "GET",
                                               .path = "/v2/a/b/x",
                                               .repository = "a/b",
                                               .actions = "pull",
                                               .what = "the thing",
                                               .done = end_take,
                                               .context = &ends[i]};
        ck_assert_ptr_nonnull(registry_client_send(fixture.client, &request, &failure));
    }
    for (int i = 0; i < MANY; i++) {
        fixture_wait(&fixture, &ends[i].done);
        ck_assert_good(ends[i]);
        end_clear(&ends[i]);
    }
    ck_assert_uint_eq(script.tokens, 1);
    ck_assert_uint_eq(script.refused, 1);
    ck_assert_uint_le(scripted_most_at_once(fixture.server), CLIENT_OPEN_LIMIT);
}
END_TEST

START_TEST(a_stopped_request_is_told)
{
    static struct end ends[2];
    struct failure failure = FAILURE_INIT;
    struct client_exchange *exchanges[2];
    memset(ends, 0, sizeof ends);
    for (int i = 0; i < 2; i++) { /* the first is on the wire, the second waits for it */
        const struct client_request request = {
            .method = "GET", .path = "/v2/x", .what = "the thing", .done = end_take, .context = &ends[i]};
        exchanges[i] = registry_client_send(fixture.client, &request, &failure);
    }
    client_exchange_stop(exchanges[1]);
    client_exchange_stop(exchanges[0]);
    client_exchange_stop(exchanges[0]);
    for (int i = 0; i < 2; i++) {
        fixture_wait(&fixture, &ends[i].done);
        ck_assert_uint_eq(ends[i].failure.kind, DESCPIPE_FAILED_CANCELLED);
        end_clear(&ends[i]);
    }
}
END_TEST

START_TEST(no_answer_is_told)
{
    struct scripted_registry *gone = scripted_start(serve_other, NULL);
    snprintf(fixture.name, sizeof fixture.name, "127.0.0.1:%d", scripted_port(gone));
    scripted_stop(gone);
    fixture_login(&fixture, NULL, NULL, NULL);
    fixture_get(&fixture, "/v2/x", &end);
    ck_assert_uint_eq(end.failure.kind, DESCPIPE_FAILED_CANNOT_ASK);
    ck_assert_says(end.failure.message, "the thing: cannot reach '127.0.0.1:");
}
END_TEST

START_TEST(plain_http_needs_a_word_or_this_machine)
{
    cleanup(failure_clear) struct failure failure = FAILURE_INIT;
    struct access access = {0};
    struct descpipe_credential credential = {.size = sizeof credential, .endpoint = "http://registry.example.org"};
    ck_assert(!access_take(&access, fixture.host, "registry.example.org", &credential, &failure));
    ck_assert_says(failure.message, "plain http to another machine");
    credential.access = DESCPIPE_ACCESS_PLAIN_HTTP;
    ck_assert(access_take(&access, fixture.host, "registry.example.org", &credential, &failure));
    ck_assert_str_eq(access.endpoint, "http://registry.example.org");
    access_clear(&access);
    ck_assert(access_take(&access, fixture.host, "registry.example.org", NULL, &failure));
    ck_assert_str_eq(access.endpoint, "https://registry.example.org");
    access_clear(&access);
    credential.endpoint = "https://user:word@registry.example.org";
    ck_assert(!access_take(&access, fixture.host, "registry.example.org", &credential, &failure));
}
END_TEST

static void on_ping(void *context, const struct failure *failure)
{
    end_take_failure(context, failure);
}

START_TEST(a_ping_tries_the_login)
{
    struct failure failure = FAILURE_INIT;
    script.basic = true;
    fixture_login(&fixture, "me", "word", NULL);
    ck_assert(registry_client_ping(fixture.client, on_ping, &end, &failure));
    fixture_wait(&fixture, &end.done);
    ck_assert_good(end);
    end_clear(&end);
    fixture_login(&fixture, "me", "wrong", NULL);
    ck_assert(registry_client_ping(fixture.client, on_ping, &end, &failure));
    fixture_wait(&fixture, &end.done);
    ck_assert_uint_eq(end.failure.kind, DESCPIPE_FAILED_NEEDS_LOGIN);
}
END_TEST

#define COUNT(list) ((int)(sizeof(list) / sizeof(list)[0]))

int main(void)
{
    Suite *suite = suite_create("client");
    TCase *test = tcase_create("client");
    tcase_set_timeout(test, 60);
    tcase_add_checked_fixture(test, setup, teardown);
    tcase_add_test(test, asks_with_a_token_and_keeps_it);
    tcase_add_test(test, a_token_that_ends_is_not_used);
    tcase_add_test(test, a_revoked_token_is_fetched_anew);
    tcase_add_test(test, a_loop_of_401_ends);
    tcase_add_test(test, names_the_login_but_not_the_secret);
    tcase_add_test(test, a_password_goes_only_where_it_is_asked_for);
    tcase_add_test(test, the_token_service_gets_the_login);
    tcase_add_test(test, a_service_without_get_is_asked_by_post);
    tcase_add_test(test, an_identity_token_is_renewed);
    tcase_add_test(test, a_bearer_token_is_used_as_it_is);
    tcase_add_loop_test(test, a_bad_token_answer_is_told, 0, COUNT(bad_tokens));
    tcase_add_loop_test(test, no_login_goes_to_a_doubtful_service, 0, COUNT(bad_realms));
    tcase_add_test(test, comes_again_when_told_to);
    tcase_add_test(test, a_long_limit_is_told_at_once);
    tcase_add_loop_test(test, comes_again_after_a_pause, 0, COUNT(passing));
    tcase_add_test(test, gives_up_in_the_end);
    tcase_add_test(test, comes_again_after_a_broken_connection);
    tcase_add_test(test, what_may_have_been_done_is_not_done_again);
    tcase_add_test(test, an_answer_has_a_limit);
    tcase_add_test(test, a_redirect_takes_no_login_to_another_host);
    tcase_add_test(test, many_requests_share_one_token_and_few_connections);
    tcase_add_test(test, a_stopped_request_is_told);
    tcase_add_test(test, no_answer_is_told);
    tcase_add_test(test, plain_http_needs_a_word_or_this_machine);
    tcase_add_test(test, a_ping_tries_the_login);
    suite_add_tcase(suite, test);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
