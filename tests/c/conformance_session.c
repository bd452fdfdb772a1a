/* Steps about sessions: opening, supplying, signing, tokens. */
#include "conformance.h"

void sign_in(struct stage *stage, const cJSON *how)
{
  const char *path = strcmp(text_of(how, "kind", ""), "api_key") == 0 ? "api_key" : "login";
  cJSON *body = cJSON_Duplicate(how, 1), *profile;
  char dir[100];
  if (body == NULL)
    body = cJSON_CreateObject();
  cJSON_DeleteItemFromObject(body, "do");
  if (strcmp(path, "api_key") == 0)
    cJSON_DeleteItemFromObject(body, "kind");
  (void)snprintf(dir, sizeof dir, "%s/oci", stage->dir);
  (void)cJSON_AddStringToObject(body, "profile", "LAB");
  (void)cJSON_AddStringToObject(body, "dir", dir);
  profile = control(&stage->cloud, path, body);
  cJSON_Delete(body);
  if (profile == NULL)
    fail("the cloud refuses %s", path);
  (void)snprintf(stage->key_file, sizeof stage->key_file, "%s", text_of(profile, "key_file", ""));
  (void)snprintf(stage->config_file, sizeof stage->config_file, "%s", text_of(profile, "config_file", ""));
  cJSON_Delete(profile);
}

void choose_supply(struct stage *stage, const char *answer)
{
  int fresh = strcmp(answer, "fresh") == 0;
  if (!fresh && strcmp(answer, "sign-in-needed") != 0)
    fail("unknown supply %s", answer);
  (void)pthread_mutex_lock(&stage->lock);
  stage->supplies = fresh;
  (void)pthread_mutex_unlock(&stage->lock);
}

/* On a thread of the library: must not fail() but tell the library. */
void supply(const outlast_event *event, void *user)
{
  struct stage *stage = (struct stage *)user;
  OUTLAST_STRUCT(outlast_credential, credential);
  cJSON *body, *refreshed, *token;
  size_t len = 0;
  char *key;
  int fresh;
  if (event->kind != OUTLAST_EVENT_CREDENTIAL_WANTED)
    return;
  (void)pthread_mutex_lock(&stage->lock);
  fresh = stage->supplies;
  stage->supplied += fresh;
  (void)pthread_mutex_unlock(&stage->lock);
  if (!fresh) {
    (void)outlast_session_supply_failed(stage->session, event->request, 1, 0, outlast_text("nobody is signed in"), NULL);
    return;
  }
  body = cJSON_CreateObject();
  (void)cJSON_AddStringToObject(body, "profile", "LAB");
  refreshed = control(&stage->cloud, "refresh", body);
  token = control(&stage->cloud, "token?profile=LAB", NULL);
  key = read_file(stage->key_file, &len);
  credential.token = outlast_text(text_of(token, "token", NULL));
  credential.private_key.data = key;
  credential.private_key.len = len;
  if (outlast_session_supply(stage->session, event->request, &credential, NULL) != OUTLAST_OK)
    (void)outlast_session_supply_failed(stage->session, event->request, 0, 0, outlast_text("the cloud has no token"), NULL);
  free(key);
  cJSON_Delete(body);
  cJSON_Delete(refreshed);
  cJSON_Delete(token);
}

/* It may hold secrets, so it is its owner's alone. */
static void write_sessions(const struct stage *stage, const char *path, const char *text)
{
  static const char place[] = "{endpoint}";
  int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
  const char *next;
  if (file == NULL)
    fail("cannot write %s", path);
  for (; (next = strstr(text, place)) != NULL; text = next + sizeof place - 1)
    (void)fprintf(file, "%.*s%s", (int)(next - text), text, stage->cloud.endpoint);
  (void)fputs(text, file);
  if (fclose(file) != 0)
    fail("cannot write %s", path);
}

void open_session(struct stage *stage, const cJSON *step)
{
  const char *kind = text_of(step, "kind", "");
  outlast_session *session = NULL;
  outlast_error *error = NULL;
  outlast_status status;
  only(step, " do kind profile name sessions wait_for_login_ms supply expect ");
  if (strcmp(kind, "supplied") == 0) {
    OUTLAST_STRUCT(outlast_supplied_options, options);
    options.endpoint = outlast_text(stage->cloud.endpoint);
    options.wait_for_login_ms = (uint64_t)number_of(step, "wait_for_login_ms", 0);
    choose_supply(stage, text_of(step, "supply", ""));
    must("callback", outlast_client_on_event(stage->client, supply, stage, NULL, &error), error);
    /* The first wish may come before the session's handle does. */
    (void)pthread_mutex_lock(&stage->lock);
    status = outlast_session_open_supplied(stage->client, &options, &session, &error);
    outlast_session_free(stage->session);
    stage->session = session;
    (void)pthread_mutex_unlock(&stage->lock);
  } else if (strcmp(kind, "defined") == 0) {
    OUTLAST_STRUCT(outlast_defined_options, options);
    char file[100];
    (void)snprintf(file, sizeof file, "%s/sessions.conf", stage->dir);
    if (member(step, "sessions") != NULL)
      write_sessions(stage, file, text_of(step, "sessions", ""));
    options.name = outlast_text(text_of(step, "name", NULL));
    options.sessions_file = outlast_text(file);
    options.endpoint = outlast_text(stage->cloud.endpoint);
    options.wait_for_login_ms = (uint64_t)number_of(step, "wait_for_login_ms", 0);
    status = outlast_session_open_defined(stage->client, &options, &session, &error);
    outlast_session_free(stage->session);
    stage->session = session;
  } else if (strcmp(kind, "profile") == 0) {
    OUTLAST_STRUCT(outlast_oci_options, options);
    options.config_file = outlast_text(stage->config_file);
    options.profile = outlast_text(text_of(step, "profile", "LAB"));
    options.endpoint = outlast_text(stage->cloud.endpoint);
    options.auth_endpoint = outlast_text(text_of(stage->cloud.facts, "auth_endpoint", NULL));
    options.wait_for_login_ms = (uint64_t)number_of(step, "wait_for_login_ms", 0);
    status = outlast_session_open_oci(stage->client, &options, &session, &error);
    outlast_session_free(stage->session);
    stage->session = session;
  } else {
    fail("unknown kind %s", kind);
  }
  note(stage, status, error);
  if (strcmp(outlast_status_name(status), text_of(member(step, "expect"), "status", "ok")) != 0)
    fail("opened with %s: %s", outlast_status_name(status), stage->message);
}

void sign(struct stage *stage, const cJSON *step)
{
  OUTLAST_STRUCT(outlast_request, request);
  const char *method = text_of(step, "method", ""), *type = text_of(step, "content_type", NULL);
  const char *body = text_of(step, "body", NULL);
  outlast_headers *headers = NULL;
  outlast_error *error = NULL;
  struct curl_slist *list = NULL;
  struct answer answer;
  uint64_t before = stage->generation;
  char url[400], line[8192];
  size_t at;
  only(step, " do method target content_type body status newer ");
  (void)snprintf(url, sizeof url, "%s%s", stage->cloud.endpoint, text_of(step, "target", ""));
  request.method = outlast_text(method);
  request.url = outlast_text(url);
  request.sign_body = body != NULL;
  request.content_type = outlast_text(type);
  request.body = outlast_text(body);
  must("sign", outlast_session_sign(stage->session, &request, LIMIT_MS, &headers, &error), error);
  for (at = 0; at < outlast_headers_count(headers); at++) {
    (void)snprintf(line, sizeof line, "%s: %s", outlast_headers_name(headers, at).data, outlast_headers_value(headers, at).data);
    list = curl_slist_append(list, line);
  }
  if (type != NULL) {
    (void)snprintf(line, sizeof line, "content-type: %s", type);
    list = curl_slist_append(list, line);
  }
  stage->generation = outlast_headers_generation(headers);
  outlast_headers_free(headers);
  answer = http(method, url, body, list);
  free(answer.data);
  if (answer.status != 401)
    must("accept", outlast_session_accept(stage->session, stage->generation, &error), error);
  compare("status", (double)answer.status, NULL, member(step, "status"));
  if (cJSON_IsTrue(member(step, "newer")) && stage->generation <= before)
    fail("still generation %lu", (unsigned long)before);
}

void token(struct stage *stage)
{
  OUTLAST_STRUCT(outlast_token, facts);
  char buffer[16384];
  outlast_error *error = NULL;
  cJSON *newest;
  int same;
  must("token", outlast_session_token(stage->session, LIMIT_MS, buffer, sizeof buffer, &facts, &error), error);
  newest = control(&stage->cloud, "token?profile=LAB", NULL);
  same = strcmp(text_of(newest, "token", ""), buffer) == 0;
  cJSON_Delete(newest);
  if (!same)
    fail("not the newest token");
  stage->generation = facts.generation;
}
