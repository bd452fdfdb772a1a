/* What no program should do, and every program does once: each must end in an error code, never in a crash.
 *
 * abuse CONFIG PROFILE ENDPOINT NAMESPACE BUCKET FILE
 * Builds as C11 and as C++17; runs under AddressSanitizer, UndefinedBehaviorSanitizer and Valgrind. SIGPIPE keeps its
 * default action throughout. */
#include "abuse.h"

const char *config, *profile_name, *endpoint, *namespace_name, *bucket, *file;
int failures;

outlast_client *new_client(outlast_queue *queue)
{
  OUTLAST_STRUCT(outlast_client_options, options);
  outlast_client *client = NULL;
  CHECK(outlast_client_new(&options, queue, &client, NULL) == OUTLAST_OK);
  return client;
}

outlast_session *new_session(outlast_client *client)
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

outlast_upload_options upload_options(const char *name)
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

void close_and_free(outlast_client *client)
{
  outlast_error *error = NULL;
  if (outlast_client_close(client, 60000, &error) != OUTLAST_OK) {
    failures++;
    fprintf(stderr, "close: %s\n", outlast_error_message(error).data);
    outlast_error_free(error);
  }
  outlast_client_free(client);
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
    {"options of a profile", options_of_a_profile},
    {"checksums that are vouched for", checksums_that_are_vouched_for},
    {"freed in every order", freed_in_every_order},
    {"64 threads on one handle", sixty_four_threads_on_one_handle},
/* AddressSanitizer's allocator does not free its locks in a forked child, which then waits in its first malloc for a thread of
 * the parent. Played plainly and under both of Valgrind's tools. */
#ifndef __SANITIZE_ADDRESS__
    {"fork in the middle", fork_in_the_middle},
#endif
    {"callbacks that call back", callbacks_that_call_back},
    {"readers that fail or lie", readers_that_fail_or_lie},
    {"closed during an upload", closed_during_an_upload},
    {"cancelled as its options say", cancelled_as_its_options_say},
    {"a lifeline that is cut", a_lifeline_that_is_cut},
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
