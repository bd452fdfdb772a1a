/* What no program should do, and every program does once: each must end in an error code, never in a crash.
 *
 * abuse CONFIG PROFILE ENDPOINT NAMESPACE BUCKET FILE
 * Builds as C11 and as C++17; runs under AddressSanitizer, UndefinedBehaviorSanitizer and Valgrind. SIGPIPE keeps its
 * default action throughout. */
#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "outlast.h"

static const char *config, *profile_name, *endpoint, *namespace_name, *bucket, *file;
static int failures;

#define CHECK(condition) \
  do { \
    if (!(condition)) { \
      failures++; \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
    } \
  } while (0)

static outlast_client *new_client(outlast_queue *queue)
{
  OUTLAST_STRUCT(outlast_client_options, options);
  outlast_client *client = NULL;
  CHECK(outlast_client_new(&options, queue, &client, NULL) == OUTLAST_OK);
  return client;
}

static outlast_session *new_session(outlast_client *client)
{
  OUTLAST_STRUCT(outlast_oci_options, profile);
  outlast_session *session = NULL;
  outlast_error *error = NULL;
  profile.config_file = outlast_text(config);
  profile.profile = outlast_text(profile_name);
  profile.endpoint = profile.auth_endpoint = outlast_text(endpoint);
  if (outlast_session_open_oci(client, &profile, &session, &error) != OUTLAST_OK) {
    fprintf(stderr, "%s\n", outlast_error_message(error).data);
    outlast_error_free(error);
    failures++;
  }
  return session;
}

static outlast_upload_options upload_options(const char *name)
{
  OUTLAST_STRUCT(outlast_upload_options, options);
  options.namespace_name = outlast_text(namespace_name);
  options.bucket_name = outlast_text(bucket);
  options.source = OUTLAST_SOURCE_PATH;
  options.file = outlast_text(file);
  options.name = outlast_text(name);
  options.part_size_bytes = 1 << 20;
  options.on_failure = OUTLAST_ON_FAILURE_ABORT;
  options.restart = 1;
  return options;
}

static void close_and_free(outlast_client *client)
{
  outlast_error *error = NULL;
  if (outlast_client_close(client, 60000, &error) != OUTLAST_OK) {
    failures++;
    fprintf(stderr, "close: %s\n", outlast_error_message(error).data);
    outlast_error_free(error);
  }
  outlast_client_free(client);
}

static void nulls(void)
{
  outlast_error *error = NULL;
  outlast_str view = {NULL, 7};
  CHECK(outlast_client_new(NULL, NULL, NULL, &error) == OUTLAST_E_INVALID);
  CHECK(outlast_error_code(error) == OUTLAST_E_INVALID && outlast_error_message(error).len > 0);
  CHECK(strlen(outlast_error_message(error).data) == outlast_error_message(error).len);
  outlast_error_free(error);
  CHECK(outlast_client_close(NULL, 0, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_client_limit_rate(NULL, 0, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_client_on_event(NULL, NULL, NULL, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_queue_new(NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_queue_fd(NULL) == -1 && outlast_queue_lost(NULL) == 0);
  CHECK(outlast_queue_next(NULL, 0, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_open_oci(NULL, NULL, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_open_supplied(NULL, NULL, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_token(NULL, 0, NULL, 0, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_sign(NULL, NULL, 0, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_sign_digest(NULL, NULL, 0, 0, NULL, 0, NULL, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_sign_digest(NULL, (const uint8_t *)"12345678901234567890123456789012", 32, 0, NULL, 0, NULL, NULL, NULL)
        == OUTLAST_E_INVALID);
  CHECK(outlast_session_reject(NULL, 0, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_accept(NULL, 0, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_refresh(NULL, 0, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_look(NULL, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_hold(NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_release(NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_touch(NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_namespace(NULL, NULL, 0, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_supply(NULL, 0, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_supply_failed(NULL, 0, 0, 0, view, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_number(NULL) == 0);
  CHECK(outlast_upload_start(NULL, NULL, NULL, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_upload_wait(NULL, 0, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_upload_progress(NULL, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_upload_pause(NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_upload_resume(NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_upload_cancel(NULL, 0, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_upload_number(NULL) == 0 && outlast_upload_is_resumable(NULL) == 0);
  CHECK(outlast_writer_new(NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_writer_write(NULL, NULL, 0, 0, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_writer_finish(NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_writer_abandon(NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_headers_count(NULL) == 0 && outlast_headers_generation(NULL) == 0);
  CHECK(outlast_headers_name(NULL, 0).data == NULL && outlast_headers_value(NULL, 9).data == NULL);
  CHECK(outlast_error_code(NULL) == OUTLAST_E_INVALID && outlast_error_message(NULL).data == NULL);
  CHECK(outlast_error_retry(NULL) == OUTLAST_RETRY_NEVER && outlast_error_retry_after_ms(NULL) == -1);
  CHECK(outlast_error_http_status(NULL) == 0 && outlast_error_part_number(NULL) == 0);
  CHECK(outlast_error_service_code(NULL).len == 0 && outlast_error_request_id(NULL).len == 0);
  CHECK(outlast_has_feature(view) == 0 && outlast_has_feature(outlast_text("upload.writer")) == 1);
  CHECK(strcmp(outlast_status_name(OUTLAST_E_BUSY), "busy") == 0 && strcmp(outlast_status_name(7), "unknown") == 0);
  outlast_event_clear(NULL);
  outlast_client_free(NULL);
  outlast_session_free(NULL);
  outlast_upload_free(NULL);
  outlast_queue_free(NULL);
  outlast_writer_free(NULL);
  outlast_headers_free(NULL);
  outlast_error_free(NULL);
}

static void freed_foreign_and_invented(void)
{
  outlast_client *client = new_client(NULL);
  outlast_session *session = new_session(client);
  outlast_queue *queue = NULL;
  CHECK(outlast_queue_new(&queue, NULL) == OUTLAST_OK);
  /* Of another kind. */
  CHECK(outlast_session_hold((outlast_session *)client, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_queue_fd((outlast_queue *)session) == -1);
  outlast_session_free((outlast_session *)client);
  outlast_error_free((outlast_error *)session);
  CHECK(outlast_session_hold(session, NULL) == OUTLAST_OK && outlast_session_release(session, NULL) == OUTLAST_OK);
  CHECK(outlast_session_release(session, NULL) == OUTLAST_E_INVALID);
  /* Invented. */
  CHECK(outlast_client_limit_rate((outlast_client *)(uintptr_t)3, 0, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_client_limit_rate((outlast_client *)(void *)&client, 0, NULL) == OUTLAST_E_INVALID);
  outlast_client_free((outlast_client *)(void *)&client);
  /* Freed, and freed again. */
  outlast_queue_free(queue);
  outlast_queue_free(queue);
  CHECK(outlast_queue_fd(queue) == -1);
  outlast_session_free(session);
  outlast_session_free(session);
  CHECK(outlast_session_touch(session, NULL) == OUTLAST_E_INVALID);
  close_and_free(client);
  outlast_client_free(client);
  CHECK(outlast_client_close(client, 0, NULL) == OUTLAST_E_INVALID);
}

static void sizes_and_unknown_values(void)
{
  outlast_client *client = new_client(NULL);
  outlast_client *other = NULL;
  outlast_session *session = new_session(client);
  outlast_upload *upload = NULL;
  outlast_upload_options options = upload_options("sizes");
  OUTLAST_STRUCT(outlast_client_options, setup);
  OUTLAST_STRUCT(outlast_event, event);
  OUTLAST_STRUCT(outlast_token, token);
  struct {
    outlast_client_options known;
    uint64_t unknown;
  } newer;
  char small[8];
  size_t sizes[] = {0, 1, sizeof(size_t), sizeof(setup) - 1, SIZE_MAX};

  for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++) {
    setup.size = sizes[index];
    CHECK(outlast_client_new(&setup, NULL, &other, NULL) == OUTLAST_E_INVALID);
    event.size = sizes[index] == sizeof(setup) - 1 ? sizeof(event) - 1 : sizes[index];
    outlast_event_clear(&event);
  }
  memset(&newer, 0, sizeof newer);
  newer.known.size = sizeof newer;
  CHECK(outlast_client_new(&newer.known, NULL, &other, NULL) == OUTLAST_OK);
  close_and_free(other);
  newer.unknown = 1;
  CHECK(outlast_client_new(&newer.known, NULL, &other, NULL) == OUTLAST_E_INVALID);
  memset(&setup, 0, sizeof setup);
  setup.size = sizeof setup;
  setup.allow_http = 2;
  CHECK(outlast_client_new(&setup, NULL, &other, NULL) == OUTLAST_E_INVALID);

#define REFUSED(field, value) \
  do { \
    options = upload_options("sizes"); \
    options.field = (value); \
    CHECK(outlast_upload_start(client, session, &options, &upload, NULL) == OUTLAST_E_INVALID); \
  } while (0)
  REFUSED(source, 0);
  REFUSED(source, 77);
  REFUSED(integrity, 3);
  REFUSED(checksum_algorithm, 4);
  REFUSED(on_failure, 3);
  REFUSED(no_overwrite, 2);
  REFUSED(no_multipart, 0xffffffff);
  REFUSED(restart, 9);
  REFUSED(reserved, 1);
  REFUSED(storage_tier, outlast_text("Attic"));
  REFUSED(bucket_name, outlast_text(""));
  REFUSED(metadata_count, 1);
  REFUSED(name, outlast_text("\xff\xfe"));
  REFUSED(encryption_key, outlast_text("alone"));
  options = upload_options("sizes");
  options.source = OUTLAST_SOURCE_WRITER;
  CHECK(outlast_upload_start(client, session, &options, &upload, NULL) == OUTLAST_E_INVALID);
  options.source = OUTLAST_SOURCE_READ;
  CHECK(outlast_upload_start(client, session, &options, &upload, NULL) == OUTLAST_E_INVALID);
  options.source = OUTLAST_SOURCE_FD;
  options.fd = 9999;
  CHECK(outlast_upload_start(client, session, &options, &upload, NULL) == OUTLAST_E_SOURCE);
  options = upload_options("sizes");
  options.file = outlast_text("/nonexistent/file");
  CHECK(outlast_upload_start(client, session, &options, &upload, NULL) == OUTLAST_E_SOURCE);
  CHECK(upload == NULL);

  CHECK(outlast_session_token(session, 10000, small, sizeof small, &token, NULL) == OUTLAST_E_BUFFER);
  CHECK(token.len > sizeof small);
  {
    char *buffer = (char *)malloc(token.len + 1);
    CHECK(outlast_session_token(session, 10000, buffer, token.len, &token, NULL) == OUTLAST_E_BUFFER);
    CHECK(outlast_session_token(session, 10000, buffer, token.len + 1, &token, NULL) == OUTLAST_OK);
    CHECK(strlen(buffer) == token.len && token.generation >= 1);
    free(buffer);
  }
  outlast_session_free(session);
  close_and_free(client);
}

/* Six objects, freed in every order. */
static void freed_in_every_order(void)
{
  int order[4] = {0, 1, 2, 3};
  int step[4] = {0, 0, 0, 0};
  int at = 0, rounds = 0;
  for (;;) {
    outlast_queue *queue = NULL;
    outlast_client *client;
    outlast_session *session;
    outlast_upload *upload = NULL;
    outlast_upload_options options;
    char name[32];
    /* Each its own object: a client that was only freed is still putting its upload to rest. */
    snprintf(name, sizeof name, "order-%d", rounds);
    options = upload_options(name);
    CHECK(outlast_queue_new(&queue, NULL) == OUTLAST_OK);
    client = new_client(queue);
    session = new_session(client);
    CHECK(outlast_upload_start(client, session, &options, &upload, NULL) == OUTLAST_OK);
    if (rounds % 2)
      CHECK(outlast_client_close(client, 20000, NULL) == OUTLAST_OK);
    for (int index = 0; index < 4; index++) {
      switch (order[index]) {
      case 0:
        outlast_queue_free(queue);
        break;
      case 1:
        outlast_client_free(client);
        break;
      case 2:
        outlast_session_free(session);
        break;
      default:
        /* Its result stays available whatever was freed before. */
        if (index == 3)
          (void)outlast_upload_wait(upload, 20000, NULL, NULL);
        outlast_upload_free(upload);
        break;
      }
    }
    rounds++;
    /* Heap's algorithm, without recursion. */
    while (at < 4 && step[at] >= at) {
      step[at] = 0;
      at++;
    }
    if (at == 4)
      break;
    {
      int swap = at % 2 ? step[at] : 0;
      int kept = order[swap];
      order[swap] = order[at];
      order[at] = kept;
      step[at]++;
      at = 0;
    }
  }
  CHECK(rounds == 24);
}

struct crowd {
  outlast_session *session;
  int good;
};

static void *crowd_member(void *data)
{
  struct crowd *crowd = (struct crowd *)data;
  char buffer[16384];
  OUTLAST_STRUCT(outlast_token, token);
  for (int index = 0; index < 200; index++) {
    outlast_status status = outlast_session_token(crowd->session, 20000, buffer, sizeof buffer, &token, NULL);
    if (status != OUTLAST_OK)
      return NULL;
    if (index % 50 == 0)
      (void)outlast_session_reject(crowd->session, token.generation > 1 ? token.generation - 1 : 99, NULL);
  }
  crowd->good = 1;
  return NULL;
}

static void sixty_four_threads_on_one_handle(void)
{
  outlast_client *client = new_client(NULL);
  outlast_session *session = new_session(client);
  pthread_t threads[64];
  struct crowd crowds[64];
  for (int index = 0; index < 64; index++) {
    crowds[index].session = session;
    crowds[index].good = 0;
    CHECK(pthread_create(&threads[index], NULL, crowd_member, &crowds[index]) == 0);
  }
  for (int index = 0; index < 64; index++) {
    pthread_join(threads[index], NULL);
    CHECK(crowds[index].good);
  }
  /* And freed while they are at it. */
  for (int index = 0; index < 64; index++)
    CHECK(pthread_create(&threads[index], NULL, crowd_member, &crowds[index]) == 0);
  outlast_session_free(session);
  for (int index = 0; index < 64; index++)
    pthread_join(threads[index], NULL);
  close_and_free(client);
}

static void forked_child(outlast_client *client, outlast_session *session, outlast_upload *upload, outlast_queue *queue)
{
  OUTLAST_STRUCT(outlast_event, event);
  OUTLAST_STRUCT(outlast_progress, progress);
  OUTLAST_STRUCT(outlast_token, token);
  char buffer[16384];
  outlast_error *error = NULL;
  failures = 0;
  CHECK(outlast_client_close(client, 1000, &error) == OUTLAST_E_FORKED);
  CHECK(outlast_error_code(error) == OUTLAST_E_FORKED);
  outlast_error_free(error);
  CHECK(outlast_session_refresh(session, 1000, NULL) == OUTLAST_E_FORKED);
  CHECK(outlast_upload_wait(upload, 1000, NULL, NULL) == OUTLAST_E_FORKED);
  CHECK(outlast_upload_progress(upload, &progress, NULL) == OUTLAST_E_FORKED);
  CHECK(outlast_queue_next(queue, 1000, &event, NULL) == OUTLAST_E_FORKED);
  CHECK(outlast_queue_fd(queue) == -1);
  outlast_upload_free(upload);
  outlast_session_free(session);
  outlast_client_free(client);
  outlast_queue_free(queue);
  /* New ones work. */
  client = new_client(NULL);
  session = new_session(client);
  CHECK(outlast_session_token(session, 20000, buffer, sizeof buffer, &token, NULL) == OUTLAST_OK);
  outlast_session_free(session);
  close_and_free(client);
  /* What the parent's threads held is not this process's to free: leave without a leak check. */
  execl(failures ? "/bin/false" : "/bin/true", "child", (char *)NULL);
  _exit(1);
}

static void fork_in_the_middle(void)
{
  outlast_queue *queue = NULL;
  outlast_client *client;
  outlast_session *session;
  outlast_upload *upload = NULL;
  outlast_upload_options options = upload_options("forked");
  int forks;
  CHECK(outlast_queue_new(&queue, NULL) == OUTLAST_OK);
  client = new_client(queue);
  session = new_session(client);
  CHECK(outlast_upload_start(client, session, &options, &upload, NULL) == OUTLAST_OK);
  /* Many times: what the library's threads are doing just then differs. */
  for (forks = 0; forks < 20; forks++) {
    int status = 0;
    pid_t child = fork();
    if (child == 0)
      forked_child(client, session, upload, queue);
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  CHECK(outlast_upload_wait(upload, 30000, NULL, NULL) == OUTLAST_OK);
  outlast_upload_free(upload);
  outlast_session_free(session);
  close_and_free(client);
  outlast_queue_free(queue);
}

struct calls {
  outlast_client *client;
  outlast_upload *upload;
  pthread_mutex_t lock;
  int events, freed, finished, closed, asked;
};

static void calls_back(const outlast_event *event, void *data)
{
  struct calls *calls = (struct calls *)data;
  OUTLAST_STRUCT(outlast_progress, progress);
  outlast_client *client;
  outlast_upload *upload;
  pthread_mutex_lock(&calls->lock);
  calls->events++;
  calls->finished += event->kind == OUTLAST_EVENT_FINISHED;
  calls->closed += event->kind == OUTLAST_EVENT_CLOSED;
  client = calls->client;
  upload = calls->upload;
  pthread_mutex_unlock(&calls->lock);
  if (upload != NULL && outlast_upload_progress(upload, &progress, NULL) == OUTLAST_OK) {
    (void)outlast_upload_wait(upload, 0, NULL, NULL);
    (void)outlast_client_limit_rate(client, 0, NULL);
  }
  if (event->kind == OUTLAST_EVENT_PART_STORED && upload != NULL)
    (void)outlast_upload_cancel(upload, OUTLAST_ON_FAILURE_ABORT, NULL);
  if (event->kind == OUTLAST_EVENT_FINISHED && client != NULL)
    CHECK(outlast_client_close(client, 20000, NULL) == OUTLAST_OK);
}

static void freed_calls(void *data)
{
  (void)__atomic_fetch_add(&((struct calls *)data)->freed, 1, __ATOMIC_RELEASE);
}

/* The thread that reads a host's source is not waited for by close, since a read may never return: its free_fn says when the
 * data is the host's again. */
static int freed_in_time(struct calls *calls)
{
  struct timespec pause = {0, 1000000};
  for (int round = 0; round < 60000 && __atomic_load_n(&calls->freed, __ATOMIC_ACQUIRE) == 0; round++)
    nanosleep(&pause, NULL);
  return __atomic_load_n(&calls->freed, __ATOMIC_ACQUIRE);
}

static void callbacks_that_call_back(void)
{
  struct calls calls;
  outlast_session *session;
  outlast_upload *upload = NULL;
  outlast_upload_options options = upload_options("callbacks");
  OUTLAST_STRUCT(outlast_client_options, setup);
  memset(&calls, 0, sizeof calls);
  pthread_mutex_init(&calls.lock, NULL);
  setup.limit_rate = 4 << 20;
  CHECK(outlast_client_new(&setup, NULL, &calls.client, NULL) == OUTLAST_OK);
  CHECK(outlast_client_on_event(calls.client, calls_back, &calls, freed_calls, NULL) == OUTLAST_OK);
  CHECK(outlast_client_on_event(calls.client, calls_back, &calls, freed_calls, NULL) == OUTLAST_OK);
  session = new_session(calls.client);
  CHECK(outlast_upload_start(calls.client, session, &options, &upload, NULL) == OUTLAST_OK);
  pthread_mutex_lock(&calls.lock);
  calls.upload = upload;
  pthread_mutex_unlock(&calls.lock);
  (void)outlast_upload_wait(upload, 30000, NULL, NULL);
  CHECK(outlast_client_close(calls.client, 20000, NULL) == OUTLAST_OK);
  outlast_upload_free(upload);
  outlast_session_free(session);
  outlast_client_free(calls.client);
  CHECK(calls.events > 2 && calls.finished == 1 && calls.closed == 1 && calls.freed == 2);
  /* A call that fails frees what came with it. */
  CHECK(outlast_client_on_event(calls.client, calls_back, &calls, freed_calls, NULL) == OUTLAST_E_INVALID);
  CHECK(calls.freed == 3);
}

static int64_t broken_read(uint8_t *buffer, size_t capacity, void *data)
{
  struct calls *calls = (struct calls *)data;
  calls->asked++;
  memset(buffer, 'x', capacity);
  if (calls->asked < 3)
    return (int64_t)capacity;
  return calls->events ? -5 : (int64_t)capacity + 1;
}

static void readers_that_fail_or_lie(void)
{
  for (int lies = 0; lies < 2; lies++) {
    struct calls calls;
    outlast_client *client = new_client(NULL);
    outlast_session *session = new_session(client);
    outlast_upload *upload = NULL;
    outlast_upload_options options = upload_options("reader");
    memset(&calls, 0, sizeof calls);
    calls.events = !lies;
    options.source = OUTLAST_SOURCE_READ;
    options.read_fn = broken_read;
    options.source_data = &calls;
    options.free_fn = freed_calls;
    CHECK(outlast_upload_start(client, session, &options, &upload, NULL) == OUTLAST_OK);
    CHECK(outlast_upload_wait(upload, 30000, NULL, NULL) == OUTLAST_E_SOURCE);
    outlast_upload_free(upload);
    outlast_session_free(session);
    close_and_free(client);
    CHECK(freed_in_time(&calls) == 1);
  }
}

static void *slow_waiter(void *data)
{
  (void)outlast_upload_wait((outlast_upload *)data, -1, NULL, NULL);
  return NULL;
}

static void closed_during_an_upload(void)
{
  OUTLAST_STRUCT(outlast_client_options, setup);
  OUTLAST_STRUCT(outlast_event, event);
  outlast_queue *queue = NULL;
  outlast_client *client = NULL;
  outlast_session *session;
  outlast_upload *upload = NULL;
  outlast_upload_options options = upload_options("closed");
  outlast_error *error = NULL;
  pthread_t waiter;
  int finished = 0, last = 0;
  setup.limit_rate = 1 << 20;
  CHECK(outlast_queue_new(&queue, NULL) == OUTLAST_OK);
  CHECK(outlast_client_new(&setup, queue, &client, NULL) == OUTLAST_OK);
  session = new_session(client);
  CHECK(outlast_upload_start(client, session, &options, &upload, NULL) == OUTLAST_OK);
  CHECK(pthread_create(&waiter, NULL, slow_waiter, upload) == 0);
  CHECK(outlast_upload_wait(upload, 300, NULL, NULL) == OUTLAST_E_TIMEOUT);
  CHECK(outlast_client_close(client, 20000, NULL) == OUTLAST_OK);
  CHECK(outlast_client_close(client, 0, NULL) == OUTLAST_OK);
  pthread_join(waiter, NULL);
  CHECK(outlast_upload_wait(upload, 0, NULL, &error) == OUTLAST_E_CANCELLED);
  CHECK(outlast_error_code(error) == OUTLAST_E_CANCELLED);
  outlast_error_free(error);
  while (outlast_queue_next(queue, 0, &event, NULL) == OUTLAST_OK) {
    finished += event.kind == OUTLAST_EVENT_FINISHED;
    last = event.kind == OUTLAST_EVENT_CLOSED;
    outlast_event_clear(&event);
    outlast_event_clear(&event);
  }
  CHECK(finished == 1 && last);
  CHECK(outlast_session_look(session, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_refresh(session, 1000, NULL) == OUTLAST_E_CANCELLED);
  CHECK(outlast_upload_start(client, session, &options, &upload, NULL) == OUTLAST_E_CANCELLED);
  outlast_upload_free(upload);
  outlast_session_free(session);
  outlast_client_free(client);
  outlast_queue_free(queue);
}

/* A server that closes connections at once: a library that wrote to them carelessly would kill this process. */
static void sigpipe_is_survived(void)
{
  OUTLAST_STRUCT(outlast_client_options, setup);
  outlast_client *client = NULL;
  outlast_session *session;
  outlast_upload *upload = NULL;
  outlast_upload_options options = upload_options("fault-reset");
  struct sigaction action;
  CHECK(sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
  CHECK(outlast_client_new(&setup, NULL, &client, NULL) == OUTLAST_OK);
  session = new_session(client);
  CHECK(outlast_upload_start(client, session, &options, &upload, NULL) == OUTLAST_OK);
  CHECK(outlast_upload_wait(upload, 60000, NULL, NULL) == OUTLAST_OK);
  outlast_upload_free(upload);
  outlast_session_free(session);
  close_and_free(client);
}

static void credentials_from_nobody(void)
{
  OUTLAST_STRUCT(outlast_supplied_options, options);
  OUTLAST_STRUCT(outlast_credential, credential);
  OUTLAST_STRUCT(outlast_event, event);
  OUTLAST_STRUCT(outlast_token, token);
  outlast_queue *queue = NULL;
  outlast_client *client;
  outlast_session *session = NULL;
  char buffer[64];
  int wished = 0;
  CHECK(outlast_queue_new(&queue, NULL) == OUTLAST_OK);
  client = new_client(queue);
  options.endpoint = outlast_text(endpoint);
  CHECK(outlast_session_open_supplied(client, &options, &session, NULL) == OUTLAST_OK);
  CHECK(outlast_session_token(session, 300, buffer, sizeof buffer, &token, NULL) == OUTLAST_E_TIMEOUT);
  while (!wished && outlast_queue_next(queue, 5000, &event, NULL) == OUTLAST_OK) {
    if (event.kind == OUTLAST_EVENT_CREDENTIAL_WANTED) {
      wished = 1;
      CHECK(event.session == outlast_session_number(session));
      CHECK(outlast_session_supply(session, event.request + 1, &credential, NULL) == OUTLAST_E_INVALID);
      CHECK(outlast_session_supply(session, event.request, &credential, NULL) == OUTLAST_E_INVALID);
      credential.token = outlast_text("not a token");
      credential.private_key = outlast_text("not a key");
      CHECK(outlast_session_supply(session, event.request, &credential, NULL) == OUTLAST_E_CONFIG);
      CHECK(outlast_session_supply_failed(session, event.request, 1, 0, outlast_text("no broker"), NULL) == OUTLAST_OK);
    }
    outlast_event_clear(&event);
  }
  CHECK(wished);
  CHECK(outlast_session_token(session, 5000, buffer, sizeof buffer, &token, NULL) == OUTLAST_E_SIGN_IN_NEEDED);
  outlast_session_free(session);
  close_and_free(client);
  outlast_queue_free(queue);
}

/* Nothing of the library is left: the threads of clients that were only freed end by themselves. */
static void all_threads_end(void)
{
  struct timespec pause = {0, 10000000};
  for (int round = 0; round < 6000; round++) {
    int tasks = 0;
    DIR *directory = opendir("/proc/self/task");
    if (directory == NULL)
      return;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
      tasks += entry->d_name[0] != '.';
    closedir(directory);
    if (tasks == 1)
      return;
    nanosleep(&pause, NULL);
  }
  CHECK(!"threads are left");
}

int main(int count, char **arguments)
{
  static const struct {
    const char *name;
    void (*run)(void);
  } all[] = {
    {"nulls", nulls},
    {"freed, foreign and invented handles", freed_foreign_and_invented},
    {"sizes and unknown values", sizes_and_unknown_values},
    {"freed in every order", freed_in_every_order},
    {"64 threads on one handle", sixty_four_threads_on_one_handle},
    {"fork in the middle", fork_in_the_middle},
    {"callbacks that call back", callbacks_that_call_back},
    {"readers that fail or lie", readers_that_fail_or_lie},
    {"closed during an upload", closed_during_an_upload},
    {"SIGPIPE's default", sigpipe_is_survived},
    {"credentials from nobody", credentials_from_nobody},
    {"all threads end", all_threads_end},
  };
  if (count < 7) {
    fprintf(stderr, "usage: abuse CONFIG PROFILE ENDPOINT NAMESPACE BUCKET FILE [TEST]\n");
    return 2;
  }
  config = arguments[1];
  profile_name = arguments[2];
  endpoint = arguments[3];
  namespace_name = arguments[4];
  bucket = arguments[5];
  file = arguments[6];
  for (size_t index = 0; index < sizeof all / sizeof *all; index++) {
    int before = failures;
    if (count > 7 && strstr(all[index].name, arguments[7]) == NULL)
      continue;
    all[index].run();
    printf("%s: %s\n", failures == before ? "ok" : "FAILED", all[index].name);
    fflush(stdout);
  }
  return failures != 0;
}
