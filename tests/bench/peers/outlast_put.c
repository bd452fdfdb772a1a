/* Outlast from C; what to upload comes in the environment. */
#include <stdio.h>
#include <stdlib.h>

#include "outlast.h"

static outlast_str given(const char *name)
{
  const char *value = getenv(name);
  return outlast_text(value == NULL ? "" : value);
}

static int fail(const char *what, outlast_error *error)
{
  fprintf(stderr, "%s: %s\n", what, outlast_error_message(error).data);
  outlast_error_free(error);
  return 1;
}

static int put(outlast_client *client, outlast_session *session)
{
  OUTLAST_STRUCT(outlast_upload_options, options);
  outlast_upload *upload = NULL;
  outlast_error *error = NULL;
  outlast_status status;

  options.namespace_name = given("BENCH_NAMESPACE");
  options.bucket_name = given("BENCH_BUCKET");
  options.name = outlast_text("object");
  options.source = OUTLAST_SOURCE_PATH;
  options.file = given("BENCH_FILE");
  options.part_size_bytes = strtoull(given("BENCH_PART_MIB").data, NULL, 10) << 20;
  options.parallel_upload_count = (uint32_t)strtoul(given("BENCH_PARALLEL").data, NULL, 10);
  if (outlast_upload_start(client, session, &options, &upload, &error) != OUTLAST_OK)
    return fail("start", error);
  status = outlast_upload_wait(upload, -1, NULL, &error);
  outlast_upload_free(upload);
  return status == OUTLAST_OK ? 0 : fail("upload", error);
}

int main(void)
{
  OUTLAST_STRUCT(outlast_client_options, setup);
  OUTLAST_STRUCT(outlast_oci_options, profile);
  outlast_client *client = NULL;
  outlast_session *session = NULL;
  outlast_error *error = NULL;
  int code = 1;

  setup.state_dir = given("BENCH_STATE");
  setup.cert_bundle = given("BENCH_CA");
  profile.config_file = given("BENCH_CONFIG");
  profile.profile = given("BENCH_PROFILE");
  profile.endpoint = profile.auth_endpoint = given("BENCH_ENDPOINT");
  if (outlast_client_new(&setup, NULL, &client, &error) != OUTLAST_OK)
    code = fail("client", error);
  else if (outlast_session_open_oci(client, &profile, &session, &error) != OUTLAST_OK)
    code = fail("session", error);
  else
    code = put(client, session);
  outlast_session_free(session);
  if (client != NULL && outlast_client_close(client, 10000, &error) != OUTLAST_OK)
    code = fail("close", error);
  outlast_client_free(client);
  return code;
}
