/* Plays the scenarios of tests/scenarios from C; what they mean is told there.
 *
 * conformance [NAME…]        OUTLAST_CLOUD is the cloud's program, OUTLAST_SCENARIOS the folder, OUTLAST_REPORT a file that
 *                            takes a line per scenario. Builds as C11 and as C++17. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <time.h>

#include "lab.h"
#include "outlast.h"

#define LIMIT_MS 120000
#define PIECE 70001

struct stage {
  struct cloud cloud;
  char dir[64];
  char key_file[300];
  char config_file[300];
  outlast_client *client;
  outlast_queue *queue;
  outlast_session *session;
  outlast_upload *upload;
  outlast_writer *writer;
  char *data;          /* of the source */
  size_t len, at;      /* its bytes, and how many of them have been read */
  int open_file;       /* of the source; -1 for none */
  uint64_t generation; /* of the last token or signature */
  double began_ms;
  int ended;
  unsigned events[64];
  /* What the upload ended with, or starting it. */
  outlast_status status;
  int32_t retry, http_status;
  char message[300];
  /* Of a supplied session; its wishes are answered on a thread of the library. */
  pthread_mutex_t lock;
  int supplies; /* fresh credentials; 0: none without a person */
  int supplied;
};

static double now_ms(void)
{
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static uint32_t event_kind(const char *name)
{
  static const struct { uint32_t kind; const char *name; } kinds[] = {
    {OUTLAST_EVENT_REFRESHED, "refreshed"}, {OUTLAST_EVENT_REJECTED, "rejected"}, {OUTLAST_EVENT_PARKED, "parked"},
    {OUTLAST_EVENT_RESUMED, "resumed"}, {OUTLAST_EVENT_STARTED, "started"}, {OUTLAST_EVENT_PART_STARTED, "part-started"},
    {OUTLAST_EVENT_PART_STORED, "part-stored"}, {OUTLAST_EVENT_RETRYING, "retrying"},
    {OUTLAST_EVENT_PART_HELD, "part-held"}, {OUTLAST_EVENT_PAUSED, "paused"}, {OUTLAST_EVENT_UNPAUSED, "unpaused"},
    {OUTLAST_EVENT_FINISHED, "finished"}};
  size_t at;
  for (at = 0; at < sizeof kinds / sizeof *kinds; at++)
    if (strcmp(kinds[at].name, name) == 0)
      return kinds[at].kind;
  fail("unknown event %s", name);
}

/* Remembers a failure and frees it. */
static void note(struct stage *stage, outlast_status status, outlast_error *error)
{
  stage->status = status;
  stage->retry = outlast_error_retry(error);
  stage->http_status = outlast_error_http_status(error);
  (void)snprintf(stage->message, sizeof stage->message, "%s", status == OUTLAST_OK ? "" : outlast_error_message(error).data);
  outlast_error_free(error);
}

static void must(const char *what, outlast_status status, outlast_error *error)
{
  char message[300];
  if (status == OUTLAST_OK)
    return;
  (void)snprintf(message, sizeof message, "%s", outlast_error_message(error).data);
  outlast_error_free(error);
  fail("%s: %s", what, message);
}

/* ---- steps ---- */

static void sign_in(struct stage *stage, const cJSON *how)
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

static void choose_supply(struct stage *stage, const char *answer)
{
  int fresh = strcmp(answer, "fresh") == 0;
  if (!fresh && strcmp(answer, "sign-in-needed") != 0)
    fail("unknown supply %s", answer);
  (void)pthread_mutex_lock(&stage->lock);
  stage->supplies = fresh;
  (void)pthread_mutex_unlock(&stage->lock);
}

/* On a thread of the library: must not fail() but tell the library. */
static void supply(const outlast_event *event, void *user)
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

static void open_session(struct stage *stage, const cJSON *step)
{
  const char *kind = text_of(step, "kind", "");
  outlast_session *session = NULL;
  outlast_error *error = NULL;
  outlast_status status;
  only(step, " do kind profile wait_for_login_ms supply expect ");
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

static int64_t read_source(uint8_t *buffer, size_t capacity, void *user)
{
  struct stage *stage = (struct stage *)user;
  size_t len = stage->len - stage->at;
  len = len < capacity ? len : capacity;
  len = len < PIECE ? len : PIECE;
  if (len > 0)
    memcpy(buffer, stage->data + stage->at, len);
  stage->at += len;
  return (int64_t)len;
}

static void end_upload(struct stage *stage)
{
  outlast_upload_free(stage->upload);
  outlast_writer_free(stage->writer);
  if (stage->open_file >= 0)
    (void)close(stage->open_file);
  free(stage->data);
  stage->upload = NULL;
  stage->writer = NULL;
  stage->data = NULL;
  stage->open_file = -1;
}

static void make_source(struct stage *stage, const cJSON *source, outlast_upload_options *options, char *path, size_t room)
{
  const char *kind = text_of(source, "kind", "");
  uint64_t seed = (uint64_t)number_of(source, "seed", 0), at;
  outlast_error *error = NULL;
  only(source, " kind bytes seed ");
  stage->len = (size_t)number_of(source, "bytes", 0);
  stage->at = 0;
  stage->data = (char *)malloc(stage->len + 1);
  for (at = 0; at < stage->len; at++)
    stage->data[at] = (char)(unsigned char)((seed + at + 7 * (at >> 8) + 13 * (at >> 16)) & 255);
  (void)snprintf(path, room, "%s/source-%lu-%lu", stage->dir, (unsigned long)seed, (unsigned long)stage->len);
  if ((strcmp(kind, "path") == 0 || strcmp(kind, "fd") == 0) && access(path, F_OK) != 0) {
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(stage->data, 1, stage->len, file) != stage->len || fclose(file) != 0)
      fail("cannot write %s", path);
  }
  if (strcmp(kind, "path") == 0) {
    options->source = OUTLAST_SOURCE_PATH;
    options->file = outlast_text(path);
  } else if (strcmp(kind, "fd") == 0) {
    options->source = OUTLAST_SOURCE_FD;
    options->file = outlast_text(path);
    options->fd = stage->open_file = open(path, O_RDONLY | O_CLOEXEC);
  } else if (strcmp(kind, "bytes") == 0) {
    options->source = OUTLAST_SOURCE_BYTES;
    options->bytes.data = stage->data;
    options->bytes.len = stage->len;
  } else if (strcmp(kind, "stream") == 0) {
    options->source = OUTLAST_SOURCE_READ;
    options->read_fn = read_source;
    options->source_data = stage;
  } else if (strcmp(kind, "writer") == 0) {
    must("writer", outlast_writer_new(&stage->writer, &error), error);
    options->source = OUTLAST_SOURCE_WRITER;
    options->writer = stage->writer;
  } else {
    fail("unknown source %s", kind);
  }
}

static void start(struct stage *stage, const cJSON *step)
{
  OUTLAST_STRUCT(outlast_upload_options, options);
  const cJSON *chosen = member(step, "options");
  const char *on_failure = text_of(chosen, "on_failure", "");
  outlast_error *error = NULL;
  outlast_status status;
  char path[200];
  size_t len;
  only(step, " do object bucket source options ");
  only(chosen, " part_size_bytes parallel_upload_count no_multipart no_overwrite if_match on_failure ");
  end_upload(stage);
  options.namespace_name = outlast_text(text_of(stage->cloud.facts, "namespace", NULL));
  options.bucket_name = outlast_text(text_of(step, "bucket", member(stage->cloud.facts, "buckets")->child->valuestring));
  options.name = outlast_text(text_of(step, "object", NULL));
  options.part_size_bytes = (uint64_t)number_of(chosen, "part_size_bytes", 0);
  options.parallel_upload_count = (uint32_t)number_of(chosen, "parallel_upload_count", 0);
  options.no_multipart = (uint32_t)cJSON_IsTrue(member(chosen, "no_multipart"));
  options.no_overwrite = (uint32_t)cJSON_IsTrue(member(chosen, "no_overwrite"));
  options.if_match = outlast_text(text_of(chosen, "if_match", NULL));
  options.on_failure = strcmp(on_failure, "abort") == 0 ? OUTLAST_ON_FAILURE_ABORT : 0;
  options.events = stage->queue;
  make_source(stage, member(step, "source"), &options, path, sizeof path);
  memset(stage->events, 0, sizeof stage->events);
  stage->ended = 0;
  stage->began_ms = now_ms();
  status = outlast_upload_start(stage->client, stage->session, &options, &stage->upload, &error);
  note(stage, status, error);
  if (stage->writer == NULL || stage->upload == NULL)
    return;
  for (stage->at = 0; stage->at < stage->len && status == OUTLAST_OK; stage->at += len) {
    size_t left = stage->len - stage->at;
    status = outlast_writer_write(stage->writer, (const uint8_t *)stage->data + stage->at, left < PIECE ? left : PIECE,
                                  LIMIT_MS, &len, NULL);
  }
  (void)outlast_writer_finish(stage->writer, NULL);
}

/* Takes events until so many of the kind have come, or the upload's last one. */
static void until(struct stage *stage, uint32_t kind, unsigned count)
{
  uint64_t number = outlast_upload_number(stage->upload);
  while (stage->upload != NULL && !stage->ended && stage->events[kind] < count) {
    OUTLAST_STRUCT(outlast_event, event);
    outlast_status status = outlast_queue_next(stage->queue, LIMIT_MS, &event, NULL);
    if (status != OUTLAST_OK)
      fail("no event for two minutes: %s", outlast_status_name(status));
    if (event.kind < sizeof stage->events / sizeof *stage->events)
      stage->events[event.kind]++;
    stage->ended = event.kind == OUTLAST_EVENT_FINISHED && event.upload == number;
    outlast_event_clear(&event);
  }
}

static void wait_for(struct stage *stage, const cJSON *expect)
{
  static const char *const retries[] = {"never", "later", "after-sign-in", "exhausted"};
  OUTLAST_STRUCT(outlast_upload_result, result);
  const cJSON *each, *kind;
  until(stage, 0, 1); /* no event is of kind 0: to the end */
  if (stage->upload != NULL) {
    outlast_error *error = NULL;
    outlast_status status = outlast_upload_wait(stage->upload, LIMIT_MS, &result, &error);
    note(stage, status, error);
  }
  cJSON_ArrayForEach(each, expect) {
    const char *name = each->string;
    double found = -1;
    const char *found_text = NULL;
    char what[400];
    if (strcmp(name, "status") == 0) {
      found_text = outlast_status_name(stage->status);
    } else if (strcmp(name, "retry") == 0) {
      found_text = retries[stage->retry];
    } else if (strcmp(name, "http_status") == 0) {
      found = stage->http_status;
    } else if (strcmp(name, "resumable") == 0) {
      found = outlast_upload_is_resumable(stage->upload);
    } else if (strcmp(name, "took_ms") == 0) {
      found = now_ms() - stage->began_ms;
    } else if (strcmp(name, "events") == 0) {
      cJSON_ArrayForEach(kind, each) compare(kind->string, stage->events[event_kind(kind->string)], NULL, kind);
      continue;
    } else if (stage->status == OUTLAST_OK) {
      if (strcmp(name, "bytes") == 0)
        found = (double)result.object_bytes;
      else if (strcmp(name, "parts") == 0)
        found = result.parts;
      else if (strcmp(name, "parts_reused") == 0)
        found = result.parts_reused;
      else if (strcmp(name, "retries") == 0)
        found = result.retries;
      else if (strcmp(name, "refusals") == 0)
        found = result.refusals;
      else if (strcmp(name, "verified") == 0)
        found = result.verified;
      if (found < 0)
        fail("unknown expectation %s", name);
    }
    (void)snprintf(what, sizeof what, "%s%s%s", name, stage->message[0] != 0 ? " of: " : "", stage->message);
    compare(what, found, found_text, each);
  }
}

static void sign(struct stage *stage, const cJSON *step)
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

static void token(struct stage *stage)
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

static void check_objects(struct stage *stage, const cJSON *expected)
{
  cJSON *objects = control(&stage->cloud, "objects", NULL);
  const cJSON *each;
  if (cJSON_GetArraySize(objects) != cJSON_GetArraySize(expected))
    fail("%d objects, expected %d", cJSON_GetArraySize(objects), cJSON_GetArraySize(expected));
  cJSON_ArrayForEach(each, objects) {
    const char *name = text_of(each, "name", "");
    struct answer answer;
    char path[300], found[65];
    (void)snprintf(path, sizeof path, "bytes?bucket=%s&name=%s", text_of(each, "bucket", ""), name);
    answer = control_raw(&stage->cloud, path, NULL);
    digest(answer.data, answer.len, found);
    free(answer.data);
    if (strcmp(found, text_of(expected, name, "")) != 0)
      fail("object %s has SHA-256 %s", name, found);
  }
  cJSON_Delete(objects);
}

static void check(struct stage *stage, const cJSON *step)
{
  const cJSON *each, *counter;
  cJSON *found;
  only(step, " do objects uploads stats supplied ");
  cJSON_ArrayForEach(each, step) {
    if (strcmp(each->string, "objects") == 0) {
      check_objects(stage, each);
    } else if (strcmp(each->string, "uploads") == 0) {
      found = control(&stage->cloud, "uploads", NULL);
      compare("uploads", cJSON_GetArraySize(found), NULL, each);
      cJSON_Delete(found);
    } else if (strcmp(each->string, "stats") == 0) {
      found = control(&stage->cloud, "stats", NULL);
      cJSON_ArrayForEach(counter, each) compare(counter->string, number_of(found, counter->string, -1), NULL, counter);
      cJSON_Delete(found);
    } else if (strcmp(each->string, "supplied") == 0) {
      int supplied;
      (void)pthread_mutex_lock(&stage->lock);
      supplied = stage->supplied;
      (void)pthread_mutex_unlock(&stage->lock);
      compare("supplied", supplied, NULL, each);
    }
  }
}

static void take_step(struct stage *stage, const cJSON *step)
{
  const char *what = text_of(step, "do", "");
  outlast_error *error = NULL;
  if (strcmp(what, "open") == 0) {
    open_session(stage, step);
  } else if (strcmp(what, "start") == 0) {
    start(stage, step);
  } else if (strcmp(what, "await") == 0) {
    uint32_t kind = event_kind(text_of(step, "event", ""));
    unsigned count = (unsigned)number_of(step, "count", 1);
    only(step, " do event count ");
    until(stage, kind, count);
    if (stage->events[kind] < count)
      fail("the upload ended first: %s", stage->message);
  } else if (strcmp(what, "cancel") == 0) {
    int aborts = strcmp(text_of(step, "on_failure", ""), "abort") == 0;
    only(step, " do on_failure ");
    must(what, outlast_upload_cancel(stage->upload, aborts ? OUTLAST_ON_FAILURE_ABORT : OUTLAST_ON_FAILURE_RETAIN, &error),
         error);
  } else if (strcmp(what, "pause") == 0) {
    must(what, outlast_upload_pause(stage->upload, &error), error);
  } else if (strcmp(what, "resume") == 0) {
    must(what, outlast_upload_resume(stage->upload, &error), error);
  } else if (strcmp(what, "wait") == 0) {
    only(step, " do expect ");
    wait_for(stage, member(step, "expect"));
  } else if (strcmp(what, "supply") == 0) {
    only(step, " do answer ");
    choose_supply(stage, text_of(step, "answer", ""));
  } else if (strcmp(what, "touch") == 0) {
    must(what, outlast_session_touch(stage->session, &error), error);
  } else if (strcmp(what, "reject") == 0) {
    must(what, outlast_session_reject(stage->session, stage->generation, &error), error);
  } else if (strcmp(what, "token") == 0) {
    token(stage);
  } else if (strcmp(what, "sign") == 0) {
    sign(stage, step);
  } else if (strcmp(what, "login") == 0) {
    sign_in(stage, step);
  } else if (strcmp(what, "control") == 0) {
    only(step, " do path body ");
    tell(&stage->cloud, text_of(step, "path", ""), member(step, "body"));
  } else if (strcmp(what, "check") == 0) {
    check(stage, step);
  } else {
    fail("unknown step %s", what);
  }
}

/* ---- scenarios ---- */

static void play(struct stage *stage, const cJSON *scenario)
{
  OUTLAST_STRUCT(outlast_client_options, options);
  const cJSON *cloud = member(scenario, "cloud"), *each;
  outlast_error *error = NULL;
  char state[100];
  only(scenario, " name about needs cloud steps ");
  only(cloud, " settings faults login clock ");
  cloud_start(&stage->cloud);
  if (member(cloud, "settings") != NULL)
    tell(&stage->cloud, "settings", member(cloud, "settings"));
  cJSON_ArrayForEach(each, member(cloud, "faults")) tell(&stage->cloud, "fault", each);
  sign_in(stage, member(cloud, "login"));
  if (member(cloud, "clock") != NULL)
    tell(&stage->cloud, "clock", member(cloud, "clock"));
  (void)snprintf(state, sizeof state, "%s/state", stage->dir);
  options.state_dir = outlast_text(state);
  must("queue", outlast_queue_new(&stage->queue, &error), error);
  must("client", outlast_client_new(&options, NULL, &stage->client, &error), error);
  cJSON_ArrayForEach(each, member(scenario, "steps")) take_step(stage, each);
}

static const char *missing(const cJSON *scenario)
{
  const cJSON *each;
  cJSON_ArrayForEach(each, member(scenario, "needs"))
    if (!outlast_has_feature(outlast_text(each->valuestring)))
      return each->valuestring;
  return NULL;
}

static void report(const char *line)
{
  const char *path = getenv("OUTLAST_REPORT");
  FILE *file = path != NULL ? fopen(path, "a") : NULL;
  printf("%s\n", line);
  (void)fflush(stdout);
  if (file != NULL) {
    (void)fprintf(file, "%s\n", line);
    (void)fclose(file);
  }
}

/* Returns 1 if it failed. */
static int perform(const char *path)
{
  static struct stage stage;
  static cJSON *scenario;
  static char line[900];
  static double began;
  size_t len = 0;
  char *text = read_file(path, &len);
  volatile int failed = 0;
  outlast_error *error = NULL;
  memset(&stage, 0, sizeof stage);
  stage.open_file = -1;
  (void)pthread_mutex_init(&stage.lock, NULL);
  (void)snprintf(stage.dir, sizeof stage.dir, "%s/scenario-XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
  began = now_ms();
  scenario = cJSON_Parse(text);
  free(text);
  if (scenario != NULL && missing(scenario) != NULL) {
    (void)snprintf(line, sizeof line, "skipped %s this library has no %s", text_of(scenario, "name", path), missing(scenario));
    cJSON_Delete(scenario);
    report(line);
    return 0;
  }
  if (setjmp(lab_exit) != 0) {
    failed = 1;
  } else if (scenario == NULL || mkdtemp(stage.dir) == NULL) {
    fail("the scenario or a directory for it cannot be had");
  } else {
    play(&stage, scenario);
  }
  end_upload(&stage);
  outlast_session_free(stage.session);
  if (stage.client != NULL && outlast_client_close(stage.client, 30000, &error) != OUTLAST_OK && !failed) {
    failed = 1;
    (void)snprintf(lab_why, sizeof lab_why, "close: %s", outlast_error_message(error).data);
    outlast_error_free(error);
  }
  outlast_client_free(stage.client);
  outlast_queue_free(stage.queue);
  cloud_stop(&stage.cloud);
  (void)pthread_mutex_destroy(&stage.lock);
  if (failed)
    (void)snprintf(line, sizeof line, "failed %s %s", text_of(scenario, "name", path), lab_why);
  else
    (void)snprintf(line, sizeof line, "played %s %.1f", text_of(scenario, "name", path), (now_ms() - began) / 1e3);
  cJSON_Delete(scenario);
  report(line);
  return failed;
}

/* `path` is `…/NAME.json`. */
static int named(const char *path, char **names, int count)
{
  const char *file = strrchr(path, '/') + 1;
  size_t len = strlen(file) - strlen(".json");
  int at;
  for (at = 1; at < count; at++)
    if (strlen(names[at]) == len && strncmp(names[at], file, len) == 0)
      return 1;
  return count == 1;
}

int main(int count, char **arguments)
{
  const char *folder = getenv("OUTLAST_SCENARIOS");
  char pattern[500];
  glob_t found;
  size_t at;
  int failed = 0;
  if (getenv("OUTLAST_CLOUD") == NULL || folder == NULL || outlast_abi_version() != OUTLAST_ABI_VERSION) {
    fprintf(stderr, "OUTLAST_CLOUD and OUTLAST_SCENARIOS must be set, and the library be of this header's ABI\n");
    return 2;
  }
  (void)snprintf(pattern, sizeof pattern, "%s/*.json", folder);
  if (glob(pattern, 0, NULL, &found) != 0) {
    fprintf(stderr, "no scenarios in %s\n", folder);
    return 2;
  }
  for (at = 0; at < found.gl_pathc; at++)
    if (named(found.gl_pathv[at], arguments, count))
      failed += perform(found.gl_pathv[at]);
  globfree(&found);
  return failed != 0;
}
