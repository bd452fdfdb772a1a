/* Handles and arguments: NULL, freed, foreign, invented; sizes and values that nobody knows. */
#include "abuse.h"

void nulls(void)
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
  CHECK(outlast_session_open_defined(NULL, NULL, NULL, NULL) == OUTLAST_E_INVALID);
  CHECK(outlast_session_service(NULL, NULL, NULL) == OUTLAST_E_INVALID);
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

void freed_foreign_and_invented(void)
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

void sizes_and_unknown_values(void)
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
  REFUSED(opc_checksum_algorithm, 4);
  REFUSED(on_failure, 3);
  REFUSED(no_overwrite, 2);
  REFUSED(no_multipart, 0xffffffff);
  REFUSED(restart, 9);
  REFUSED(verify_checksum, 2);
  REFUSED(no_retry, 3);
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

void options_of_a_profile(void)
{
  outlast_client *client = new_client(NULL);
  outlast_session *session = NULL;
  outlast_error *error = NULL;
  char found[64];
  size_t length = 0;
  OUTLAST_STRUCT(outlast_oci_options, profile);

#define NOT_OPENED(field, value, status) \
  do { \
    memset(&profile, 0, sizeof profile); \
    profile.size = sizeof profile; \
    profile.config_file = outlast_text(config); \
    profile.profile = outlast_text(profile_name); \
    profile.endpoint = profile.auth_endpoint = outlast_text(endpoint); \
    profile.field = (value); \
    CHECK(outlast_session_open_oci(client, &profile, &session, &error) == (status)); \
  } while (0)
  NOT_OPENED(realm_specific_endpoint, 2, OUTLAST_E_INVALID);
  outlast_error_free(error);
  NOT_OPENED(enable_dual_stack, 2, OUTLAST_E_INVALID);
  outlast_error_free(error);
  NOT_OPENED(reserved, 1, OUTLAST_E_INVALID);
  outlast_error_free(error);
  NOT_OPENED(cli_rc_file, outlast_text("/nonexistent/rc"), OUTLAST_E_CONFIG);
  CHECK(strstr(outlast_error_message(error).data, "the file of defaults /nonexistent/rc does not exist") != NULL);
  outlast_error_free(error);
  CHECK(session == NULL);
  /* A namespace that is told is not asked for. */
  NOT_OPENED(namespace_name, outlast_text("told"), OUTLAST_OK);
  CHECK(outlast_session_namespace(session, found, sizeof found, &length, NULL) == OUTLAST_OK);
  CHECK(length == 4 && strcmp(found, "told") == 0);
  outlast_session_free(session);
  close_and_free(client);
}

/* Uploads "hello world" and waits for the end. */
static outlast_status vouched(outlast_client *client, outlast_session *session, const outlast_upload_options *options)
{
  outlast_upload *upload = NULL;
  outlast_upload_options own = *options;
  outlast_status status;
  own.source = OUTLAST_SOURCE_BYTES;
  own.bytes = outlast_text("hello world");
  own.file = outlast_text("");
  status = outlast_upload_start(client, session, &own, &upload, NULL);
  if (status == OUTLAST_OK)
    status = outlast_upload_wait(upload, 60000, NULL, NULL);
  outlast_upload_free(upload);
  return status;
}

void checksums_that_are_vouched_for(void)
{
  outlast_client *client = new_client(NULL);
  outlast_session *session = new_session(client);
  outlast_upload_options options;

/* Objects that were refused do not exist: no_overwrite makes the next one all the same. */
#define VOUCHED(field, value, status) \
  do { \
    options = upload_options(name); \
    options.no_overwrite = 1; \
    options.field = outlast_text(value); \
    CHECK(vouched(client, session, &options) == (status)); \
  } while (0)
#define ALL(field, wrong, right) \
  do { \
    char name[64]; \
    (void)snprintf(name, sizeof name, "%s-%s", #field, profile_name); \
    VOUCHED(field, wrong, OUTLAST_E_INTEGRITY); \
    VOUCHED(field, "nonsense", OUTLAST_E_INVALID); \
    VOUCHED(field, right, OUTLAST_OK); \
    VOUCHED(field, right, OUTLAST_E_PRECONDITION); \
  } while (0)
  ALL(content_md5, "AAAAAAAAAAAAAAAAAAAAAA==", "XrY7u+Ae7tCTyyK7j1rNww==");
  ALL(opc_content_crc32c, "AAAAAA==", "yZRlqg==");
  ALL(opc_content_sha256, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=");
  ALL(opc_content_sha384, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      "/b2OdaZ/KfcBpOBAOF4uI5hjA+oQI5IRr5B/y7g1eLPkF8txzmRu/QgZ3YwIjeG9");

  options = upload_options("vouched");
  options.opc_content_crc32c = outlast_text("yZRlqg==");
  options.opc_checksum_algorithm = OUTLAST_CHECKSUM_SHA256;
  CHECK(vouched(client, session, &options) == OUTLAST_E_INVALID);
  options.opc_checksum_algorithm = 0;
  options.opc_content_sha256 = outlast_text("uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=");
  CHECK(vouched(client, session, &options) == OUTLAST_E_INVALID);
  /* In parts, nobody would compare it. */
  options = upload_options("vouched");
  options.part_size_bytes = 4;
  options.content_md5 = outlast_text("XrY7u+Ae7tCTyyK7j1rNww==");
  CHECK(vouched(client, session, &options) == OUTLAST_E_INVALID);
  outlast_session_free(session);
  close_and_free(client);
}

/* Six objects, freed in every order. */
void freed_in_every_order(void)
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
