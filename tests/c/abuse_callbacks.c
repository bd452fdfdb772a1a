/* Functions of the host that call back, fail or lie, and credentials that nobody supplies. */
#include "abuse.h"

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
  struct calls *calls = (struct calls *)data;
  pthread_mutex_lock(&calls->lock);
  calls->freed++;
  pthread_mutex_unlock(&calls->lock);
}

/* The thread that reads a host's source is not waited for by close, since a read may never return: its free_fn says when the
 * data is the host's again. */
static int freed_in_time(struct calls *calls)
{
  struct timespec pause = {0, 1000000};
  int freed = 0;
  for (int round = 0; round < 60000 && freed == 0; round++) {
    pthread_mutex_lock(&calls->lock);
    freed = calls->freed;
    pthread_mutex_unlock(&calls->lock);
    if (freed == 0)
      nanosleep(&pause, NULL);
  }
  return freed;
}

void callbacks_that_call_back(void)
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
  int asked, fails;
  pthread_mutex_lock(&calls->lock);
  asked = ++calls->asked;
  fails = calls->events;
  pthread_mutex_unlock(&calls->lock);
  memset(buffer, 'x', capacity);
  if (asked < 3)
    return (int64_t)capacity;
  return fails ? -5 : (int64_t)capacity + 1;
}

void readers_that_fail_or_lie(void)
{
  /* Not on the stack: the reading thread may still be leaving its lock when this function has returned. */
  static struct calls readers[2];
  for (int lies = 0; lies < 2; lies++) {
    struct calls *calls = &readers[lies];
    outlast_client *client;
    outlast_session *session;
    outlast_upload *upload = NULL;
    outlast_upload_options options = upload_options("reader");
    memset(calls, 0, sizeof *calls);
    pthread_mutex_init(&calls->lock, NULL);
    calls->events = !lies;
    client = new_client(NULL);
    session = new_session(client);
    options.source = OUTLAST_SOURCE_READ;
    options.read_fn = broken_read;
    options.source_data = calls;
    options.free_fn = freed_calls;
    CHECK(outlast_upload_start(client, session, &options, &upload, NULL) == OUTLAST_OK);
    CHECK(outlast_upload_wait(upload, 30000, NULL, NULL) == OUTLAST_E_SOURCE);
    outlast_upload_free(upload);
    outlast_session_free(session);
    close_and_free(client);
    CHECK(freed_in_time(calls) == 1);
  }
}

void credentials_from_nobody(void)
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
