/* One thread, one poll loop: a stream from standard input is pushed into an upload while its events are watched.
 *
 * poll_loop CONFIG PROFILE ENDPOINT NAMESPACE BUCKET NAME PART_BYTES < FILE
 * Builds as C11 and as C++17. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "outlast.h"

struct loop {
  outlast_queue *queue;
  outlast_writer *writer;
  unsigned char block[65536];
  size_t from;
  size_t until;
  int input_ended;
  int refreshes;
  int finished;
  outlast_status status;
};

static void take_events(struct loop *loop)
{
  OUTLAST_STRUCT(outlast_event, event);
  while (outlast_queue_next(loop->queue, 0, &event, NULL) == OUTLAST_OK) {
    switch (event.kind) {
    case OUTLAST_EVENT_REFRESHED:
      loop->refreshes++;
      break;
    case OUTLAST_EVENT_PROGRESS:
      fprintf(stderr, "%" PRIu64 " bytes\n", event.bytes);
      break;
    case OUTLAST_EVENT_FINISHED:
      loop->finished = 1;
      loop->status = event.status;
      if (event.error != NULL)
        fprintf(stderr, "%s\n", outlast_error_message(event.error).data);
      break;
    default:
      break;
    }
    outlast_event_clear(&event);
  }
}

/* Writes what it has, without waiting; reads more when all is written. Returns 0 when there is nothing left to do. */
static int move_bytes(struct loop *loop)
{
  if (loop->from < loop->until) {
    size_t written = 0;
    outlast_status status = outlast_writer_write(loop->writer, loop->block + loop->from, loop->until - loop->from, 20,
                                                 &written, NULL);
    loop->from += written;
    return status == OUTLAST_OK || status == OUTLAST_E_TIMEOUT;
  }
  if (!loop->input_ended) {
    ssize_t count = read(STDIN_FILENO, loop->block, sizeof loop->block);
    loop->from = 0;
    loop->until = count > 0 ? (size_t)count : 0;
    if (count <= 0) {
      loop->input_ended = 1;
      (void)outlast_writer_finish(loop->writer, NULL);
    }
    return 1;
  }
  return 0;
}

int main(int count, char **arguments)
{
  static struct loop loop;
  OUTLAST_STRUCT(outlast_oci_options, profile);
  OUTLAST_STRUCT(outlast_upload_options, options);
  outlast_client *client = NULL;
  outlast_session *session = NULL;
  outlast_upload *upload = NULL;
  outlast_error *error = NULL;

  if (count < 8) {
    fprintf(stderr, "usage: poll_loop CONFIG PROFILE ENDPOINT NAMESPACE BUCKET NAME PART_BYTES < FILE\n");
    return 2;
  }
  profile.config_file = outlast_text(arguments[1]);
  profile.profile = outlast_text(arguments[2]);
  profile.endpoint = profile.auth_endpoint = outlast_text(arguments[3]);
  options.namespace_name = outlast_text(arguments[4]);
  options.bucket_name = outlast_text(arguments[5]);
  options.name = outlast_text(arguments[6]);
  options.part_size_bytes = strtoull(arguments[7], NULL, 10);
  options.parallel_upload_count = 3;
  options.source = OUTLAST_SOURCE_WRITER;
  options.progress_interval_ms = 100;
  if (outlast_queue_new(&loop.queue, &error) == OUTLAST_OK
      && outlast_writer_new(&loop.writer, &error) == OUTLAST_OK
      && outlast_client_new(NULL, loop.queue, &client, &error) == OUTLAST_OK
      && outlast_session_open_oci(client, &profile, &session, &error) == OUTLAST_OK) {
    options.writer = loop.writer;
    if (outlast_upload_start(client, session, &options, &upload, &error) == OUTLAST_OK) {
      struct pollfd watched;
      int moving = 1;
      watched.fd = outlast_queue_fd(loop.queue);
      watched.events = POLLIN;
      while (!loop.finished) {
        if (moving)
          moving = move_bytes(&loop);
        if (poll(&watched, 1, moving ? 0 : 1000) > 0)
          take_events(&loop);
      }
    }
  }
  if (error != NULL)
    fprintf(stderr, "%s\n", outlast_error_message(error).data);
  outlast_error_free(error);
  /* Any order is fine. */
  outlast_queue_free(loop.queue);
  outlast_session_free(session);
  (void)outlast_client_close(client, 10000, NULL);
  outlast_client_free(client);
  outlast_upload_free(upload);
  outlast_writer_free(loop.writer);
  printf("finished %d, %s, %d credentials\n", loop.finished, outlast_status_name(loop.status), loop.refreshes);
  return loop.finished && loop.status == OUTLAST_OK ? 0 : 1;
}
