/* Threads, forks, signals, and closing while something runs. */
#include "abuse.h"

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

void sixty_four_threads_on_one_handle(void)
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

void fork_in_the_middle(void)
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

static void *slow_waiter(void *data)
{
  (void)outlast_upload_wait((outlast_upload *)data, -1, NULL, NULL);
  return NULL;
}

void closed_during_an_upload(void)
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

/* A slow upload that has stored its first part. */
static outlast_upload *begun(outlast_client **client, outlast_session **session, outlast_queue **queue, const char *name)
{
  OUTLAST_STRUCT(outlast_client_options, setup);
  OUTLAST_STRUCT(outlast_event, event);
  outlast_upload *upload = NULL;
  outlast_upload_options options = upload_options(name);
  int stored = 0;
  setup.limit_rate = 1 << 20;
  CHECK(outlast_queue_new(queue, NULL) == OUTLAST_OK);
  CHECK(outlast_client_new(&setup, *queue, client, NULL) == OUTLAST_OK);
  *session = new_session(*client);
  options.parallel_upload_count = 1;
  CHECK(outlast_upload_start(*client, *session, &options, &upload, NULL) == OUTLAST_OK);
  while (!stored && outlast_queue_next(*queue, 60000, &event, NULL) == OUTLAST_OK) {
    stored = event.kind == OUTLAST_EVENT_PART_STORED;
    outlast_event_clear(&event);
  }
  CHECK(stored);
  return upload;
}

void cancelled_as_its_options_say(void)
{
  outlast_client *client = NULL;
  outlast_session *session = NULL;
  outlast_queue *queue = NULL;
  outlast_upload *upload = begun(&client, &session, &queue, "cancelled");
  CHECK(outlast_upload_cancel(upload, 0, NULL) == OUTLAST_OK);
  CHECK(outlast_upload_wait(upload, 60000, NULL, NULL) == OUTLAST_E_CANCELLED);
  CHECK(outlast_upload_is_resumable(upload) == 0);
  outlast_upload_free(upload);
  outlast_session_free(session);
  close_and_free(client);
  outlast_queue_free(queue);
}

void a_lifeline_that_is_cut(void)
{
  outlast_client *client = NULL;
  outlast_session *session = NULL;
  outlast_queue *queue = NULL;
  outlast_upload *upload = begun(&client, &session, &queue, "lifeline");
  int32_t first = -1, second = -1, late = -1;
  char byte;
  CHECK(outlast_client_lifeline(NULL, &first, NULL) == OUTLAST_E_INVALID && first == -1);
  CHECK(outlast_client_lifeline(client, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_client_lifeline(client, &first, NULL) == OUTLAST_OK && first >= 0);
  CHECK(outlast_client_lifeline(client, &second, NULL) == OUTLAST_OK && second >= 0 && second != first);
  /* What is written to it means nothing. */
  CHECK(write(first, "x", 1) == 1);
  CHECK(close(first) == 0);
  CHECK(outlast_upload_wait(upload, 60000, NULL, NULL) == OUTLAST_E_CANCELLED);
  CHECK(outlast_upload_is_resumable(upload) == 1);
  CHECK(outlast_client_close(client, 60000, NULL) == OUTLAST_OK);
  /* Nothing is held any more. */
  CHECK(read(second, &byte, 1) == 0 && close(second) == 0);
  CHECK(outlast_client_lifeline(client, &late, NULL) == OUTLAST_OK);
  CHECK(read(late, &byte, 1) == 0 && close(late) == 0);
  outlast_upload_free(upload);
  outlast_session_free(session);
  outlast_client_free(client);
  outlast_queue_free(queue);
}

/* A server that closes connections at once: a library that wrote to them carelessly would kill this process. */
void sigpipe_is_survived(void)
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

/* Nothing of the library is left: the threads of clients that were only freed end by themselves. */
void all_threads_end(void)
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
