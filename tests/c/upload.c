/* Uploads a file with a progress line: upload CONFIG PROFILE ENDPOINT NAMESPACE BUCKET FILE [PART_BYTES [RATE]]
 *
 * ENDPOINT "-" is the profile's region. Builds as C11 and as C++17. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "outlast.h"

static int fail(const char *what, outlast_error *error)
{
  fprintf(stderr, "%s: %s\n", what, outlast_error_message(error).data);
  outlast_error_free(error);
  return 1;
}

static int upload(outlast_client *client, outlast_session *session, char **arguments, int count)
{
  OUTLAST_STRUCT(outlast_upload_options, options);
  OUTLAST_STRUCT(outlast_upload_result, result);
  OUTLAST_STRUCT(outlast_progress, progress);
  outlast_upload *upload = NULL;
  outlast_error *error = NULL;
  outlast_status status;

  options.namespace_name = outlast_text(arguments[4]);
  options.bucket_name = outlast_text(arguments[5]);
  options.source = OUTLAST_SOURCE_PATH;
  options.file = outlast_text(arguments[6]);
  options.part_size_bytes = count > 7 ? strtoull(arguments[7], NULL, 10) : 0;
  if (outlast_upload_start(client, session, &options, &upload, &error) != OUTLAST_OK)
    return fail("start", error);
  /* The blocking form, a quarter of a second at a time. */
  while ((status = outlast_upload_wait(upload, 250, &result, NULL)) == OUTLAST_E_TIMEOUT) {
    if (outlast_upload_progress(upload, &progress, NULL) == OUTLAST_OK && progress.total_bytes > 0)
      fprintf(stderr, "\r%3.0f %%  %" PRIu32 "/%" PRIu32 " parts%s", 100.0 * (double)progress.stored_bytes
              / (double)progress.total_bytes, progress.parts_stored, progress.parts_total,
              progress.parked ? "  waiting for somebody to sign in" : "");
  }
  fputc('\n', stderr);
  if (status == OUTLAST_OK)
    printf("%s %" PRIu64 " bytes, %" PRIu32 " parts, verified %" PRIu32 "\n", result.etag.data, result.object_bytes,
           result.parts, result.verified);
  else
    (void)outlast_upload_wait(upload, 0, NULL, &error);
  outlast_upload_free(upload);
  return status == OUTLAST_OK ? 0 : fail("upload", error);
}

int main(int count, char **arguments)
{
  OUTLAST_STRUCT(outlast_client_options, setup);
  OUTLAST_STRUCT(outlast_oci_options, profile);
  outlast_client *client = NULL;
  outlast_session *session = NULL;
  outlast_error *error = NULL;
  int code = 1;

  if (count < 7) {
    fprintf(stderr, "usage: upload CONFIG PROFILE ENDPOINT NAMESPACE BUCKET FILE [PART_BYTES [RATE]]\n");
    return 2;
  }
  if (outlast_abi_version() != OUTLAST_ABI_VERSION) {
    fprintf(stderr, "this liboutlast has another ABI\n");
    return 2;
  }
  setup.limit_rate = count > 8 ? strtoull(arguments[8], NULL, 10) : 0;
  profile.config_file = outlast_text(arguments[1]);
  profile.profile = outlast_text(arguments[2]);
  if (strcmp(arguments[3], "-") != 0)
    profile.endpoint = profile.auth_endpoint = outlast_text(arguments[3]);
  if (outlast_client_new(&setup, NULL, &client, &error) != OUTLAST_OK)
    code = fail("client", error);
  else if (outlast_session_open_oci(client, &profile, &session, &error) != OUTLAST_OK)
    code = fail("session", error);
  else
    code = upload(client, session, arguments, count);
  outlast_session_free(session);
  if (client != NULL && outlast_client_close(client, 10000, &error) != OUTLAST_OK)
    code = fail("close", error);
  outlast_client_free(client);
  return code;
}
