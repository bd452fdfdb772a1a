/* What calls cost: call_cost CONFIG PROFILE ENDPOINT NAMESPACE BUCKET
 *
 * A fresh token, with the library's own table of handles and all; and bytes pushed through a writer, beside a memcpy of the
 * same bytes. Medians of many runs. Builds as C11 and as C++17; the numbers mean something with a library built --release. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "outlast.h"

#define RUNS 101
#define CALLS 20000
#define PIECE (1u << 20)
#define PIECES 256u

static double now_ns(void)
{
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int by_size(const void *left, const void *right)
{
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static int fail(const char *what, outlast_error *error)
{
  fprintf(stderr, "%s: %s\n", what, outlast_error_message(error).data);
  outlast_error_free(error);
  return 1;
}

static int token_cost(outlast_session *session)
{
  static double runs[RUNS];
  static char buffer[16384];
  outlast_error *error = NULL;
  OUTLAST_STRUCT(outlast_token, token);
  int run, call;
  if (outlast_session_token(session, 20000, buffer, sizeof buffer, &token, &error) != OUTLAST_OK)
    return fail("token", error);
  for (run = 0; run < RUNS; run++) {
    double began = now_ns();
    for (call = 0; call < CALLS; call++)
      if (outlast_session_token(session, 0, buffer, sizeof buffer, &token, &error) != OUTLAST_OK)
        return fail("token", error);
    runs[run] = (now_ns() - began) / CALLS;
  }
  qsort(runs, RUNS, sizeof *runs, by_size);
  printf("outlast_session_token, %zu bytes: median %.0f ns, best %.0f ns of %d runs of %d calls\n", token.len,
         runs[RUNS / 2], runs[0], RUNS, CALLS);
  return 0;
}

/* How long the host is kept: the copies, and the handing over of pieces that are larger than a block. */
static int writer_cost(outlast_client *client, outlast_session *session, const char *name_space, const char *bucket)
{
  OUTLAST_STRUCT(outlast_upload_options, options);
  outlast_error *error = NULL;
  outlast_writer *writer = NULL;
  outlast_upload *upload = NULL;
  uint8_t *from = (uint8_t *)malloc(PIECE), *to = (uint8_t *)malloc((size_t)PIECE * PIECES);
  double began, copied, written;
  unsigned piece;
  int code = 1;
  memset(from, 7, PIECE);
  memset(to, 1, (size_t)PIECE * PIECES);
  began = now_ns();
  for (piece = 0; piece < PIECES; piece++)
    memcpy(to + (size_t)piece * PIECE, from, PIECE);
  copied = now_ns() - began;
  options.namespace_name = outlast_text(name_space);
  options.bucket_name = outlast_text(bucket);
  options.name = outlast_text("call-cost");
  options.source = OUTLAST_SOURCE_WRITER;
  options.part_size_bytes = (uint64_t)PIECE * PIECES;
  options.integrity = OUTLAST_INTEGRITY_OFF;
  options.on_failure = OUTLAST_ON_FAILURE_ABORT;
  if (outlast_writer_new(&writer, &error) != OUTLAST_OK) {
    code = fail("writer", error);
  } else {
    options.writer = writer;
    began = now_ns();
    if (outlast_upload_start(client, session, &options, &upload, &error) != OUTLAST_OK) {
      code = fail("start", error);
    } else {
      for (piece = 0; piece < PIECES && error == NULL; piece++)
        (void)outlast_writer_write(writer, from, PIECE, 60000, NULL, &error);
      written = now_ns() - began;
      (void)outlast_writer_finish(writer, NULL);
      code = error != NULL ? fail("write", error) : 0;
      printf("%u MiB through outlast_writer_write: %.0f MiB/s; memcpy of the same: %.0f MiB/s\n", PIECES,
             PIECES / (written / 1e9), PIECES / (copied / 1e9));
      if (outlast_upload_wait(upload, 60000, NULL, &error) != OUTLAST_OK)
        code = fail("upload", error);
    }
  }
  outlast_upload_free(upload);
  outlast_writer_free(writer);
  free(from);
  free(to);
  return code;
}

int main(int count, char **arguments)
{
  OUTLAST_STRUCT(outlast_oci_options, profile);
  outlast_client *client = NULL;
  outlast_session *session = NULL;
  outlast_error *error = NULL;
  int code;
  if (count < 6) {
    fprintf(stderr, "usage: call_cost CONFIG PROFILE ENDPOINT NAMESPACE BUCKET\n");
    return 2;
  }
  profile.config_file = outlast_text(arguments[1]);
  profile.profile = outlast_text(arguments[2]);
  profile.endpoint = profile.auth_endpoint = outlast_text(arguments[3]);
  if (outlast_client_new(NULL, NULL, &client, &error) != OUTLAST_OK)
    code = fail("client", error);
  else if (outlast_session_open_oci(client, &profile, &session, &error) != OUTLAST_OK)
    code = fail("session", error);
  else
    code = token_cost(session) != 0 || writer_cost(client, session, arguments[4], arguments[5]) != 0;
  outlast_session_free(session);
  if (client != NULL)
    (void)outlast_client_close(client, 10000, NULL);
  outlast_client_free(client);
  return code;
}
