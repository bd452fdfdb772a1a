/* Plays the scenarios of tests/scenarios from C; what they mean is told there.
 *
 * conformance [NAME…]        OUTLAST_CLOUD is the cloud's program, OUTLAST_SCENARIOS the folder, OUTLAST_REPORT a file that
 *                            takes a line per scenario. Builds as C11 and as C++17. */
#include "conformance.h"

double now_ms(void)
{
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

uint32_t event_kind(const char *name)
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
void note(struct stage *stage, outlast_status status, outlast_error *error)
{
  stage->status = status;
  stage->retry = outlast_error_retry(error);
  stage->http_status = outlast_error_http_status(error);
  (void)snprintf(stage->message, sizeof stage->message, "%s", status == OUTLAST_OK ? "" : outlast_error_message(error).data);
  outlast_error_free(error);
}

void must(const char *what, outlast_status status, outlast_error *error)
{
  char message[300];
  if (status == OUTLAST_OK)
    return;
  (void)snprintf(message, sizeof message, "%s", outlast_error_message(error).data);
  outlast_error_free(error);
  fail("%s: %s", what, message);
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
